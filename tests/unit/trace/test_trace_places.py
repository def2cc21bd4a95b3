"""A place in a mapped file becomes the address that the ELF file itself gives it, however the file was linked."""

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from builder.trace.places import Segment, address, segments

SOURCE = "int function(int a) { return a + 1; }\nint main(int c, char **v) { (void)v; return function(c); }\n"
LINKED = {
    "pages of their own for code": ["-Wl,-z,separate-code", "-pie", "-fPIE"],
    "code and data in one segment": ["-Wl,-z,noseparate-code", "-pie", "-fPIE"],
    "fixed addresses": ["-no-pie", "-fno-pie"],
    "fixed addresses far away": ["-no-pie", "-fno-pie", "-Wl,-Ttext-segment=0x10000000"],
    "a library": ["-shared", "-fPIC"],
    "large pages": ["-Wl,-z,max-page-size=0x200000", "-pie", "-fPIE"],
}


@pytest.mark.parametrize("options", LINKED.values(), ids=LINKED.keys())
def test_every_function_is_found_again_from_its_bytes_in_the_file(options: list[str], tmp_path: Path) -> None:
    source, program = tmp_path / "a.c", tmp_path / "a"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-O0", *options, "-o", program, source], check=True, timeout=60)
    with program.open("rb") as stream:
        elf = ELFFile(stream)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbols = [symbol for symbol in table.iter_symbols() if symbol.name in ("function", "main")]
        assert len(symbols) == 2
        for symbol in symbols:
            section = elf.get_section(symbol["st_shndx"])
            offset = symbol["st_value"] - section["sh_addr"] + section["sh_offset"]
            assert address(offset, segments(program)) == symbol["st_value"]


SHARING = (  # as linkers lay out: the second begins within the last page of the first
    Segment(offset=0x0, size=0x1800, address=0x400000, executable=False),
    Segment(offset=0x1800, size=0x1000, address=0x402800, executable=True),
)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0x17FF, 0x4017FF), (0x1800, 0x402800), (0x27FF, 0x4037FF), (0x2900, 0x403900), (0x9000, 0x9000)],
)
def test_of_segments_that_share_a_page_the_one_that_holds_the_byte_counts(offset: int, expected: int) -> None:
    assert address(offset, SHARING) == expected


def test_where_two_segments_hold_the_same_bytes_the_executable_one_counts() -> None:
    data = Segment(0x1000, 0x1000, 0x600000, executable=False)
    code = Segment(0x1000, 0x1000, 0x401000, executable=True)
    assert address(0x1010, (data, code)) == address(0x1010, (code, data)) == 0x401010


def test_a_file_that_is_no_elf_file_has_no_segments(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(60))):
        file = tmp_path / str(number)
        file.write_bytes(content)
        assert segments(file) == ()
    assert address(0x1234, ()) == 0x1234
