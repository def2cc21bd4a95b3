"""Reading ELF files: what is read agrees with pyelftools; what is broken is one clear error, whatever is broken."""

import struct
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.analyse import elf, tables
from builder.analyse.summary import summarise
from builder.errors import AnalysisError
from tests.unit.analyse.programs import Build

LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")
LOOSE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def program(build: Build) -> bytes:
    return build("pointers.c", "-O1").read_bytes()


def refused(data: bytes) -> str:
    with pytest.raises(AnalysisError) as caught:
        elf.parse(data, "/bin/app")
    assert caught.value.hint
    assert caught.value.message.startswith("/bin/app: ")
    return caught.value.message


def changed(data: bytes, offset: int, shape: str, value: int) -> bytes:
    return data[:offset] + struct.pack(shape, value) + data[offset + struct.calcsize(shape) :]


def test_the_tables_of_the_c_library_are_those_pyelftools_reads() -> None:
    file = elf.parse(LIBC.read_bytes(), str(LIBC))
    with LIBC.open("rb") as stream:
        other: Any = ELFFile(stream)
        dynamic = other.get_section_by_name(".dynamic")
        assert file.needed == tuple(t.needed for t in dynamic.iter_tags("DT_NEEDED"))
        assert file.soname == next(t.soname for t in dynamic.iter_tags("DT_SONAME"))
        expected = [(s.name, s["st_value"]) for s in other.get_section_by_name(".dynsym").iter_symbols()]
        assert [(s.name, s.address) for s in tables.dynamic_symbols(file)] == expected
        places = [r["r_offset"] for n in (".rela.dyn", ".rela.plt") for r in _relocations(other, n)]
        assert sorted(m.address for m in tables.relocations(file)) == sorted(places + _packed(other))


def _relocations(file: Any, name: str) -> list[dict[str, int]]:
    section = file.get_section_by_name(name)
    return list(section.iter_relocations()) if section else []


def _packed(file: Any) -> list[int]:
    section = file.get_section_by_name(".relr.dyn")
    return [r["r_offset"] for r in section.iter_relocations()] if section else []


def test_function_ranges_are_those_of_eh_frame(build: Build) -> None:
    path = build("pointers.c", "-O1")
    file = elf.parse(path.read_bytes(), "x")
    with path.open("rb") as stream:
        entries: Any = ELFFile(stream).get_dwarf_info().EH_CFI_entries()
        expected = {e["initial_location"] for e in entries if hasattr(e, "cie") and type(e).__name__ == "FDE"}
    assert {start for start, _ in tables.frames(file)} == expected


def test_versions_of_symbols_are_read() -> None:
    symbols = tables.dynamic_symbols(elf.parse(LIBC.read_bytes(), "libc"))
    assert any(s.name == "memcpy" and s.version == "GLIBC_2.2.5" and s.hidden for s in symbols)
    assert any(s.name == "memcpy" and s.version == "GLIBC_2.14" and not s.hidden for s in symbols)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty file"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (b"\x7fELF\x02\x01\x01", "truncated: the ELF header needs 64 bytes"),
    ],
)
def test_what_is_no_elf_file_is_said_to_be_none(data: bytes, said: str) -> None:
    assert said in refused(data)


def test_foreign_files_are_named_for_what_they_are(program: bytes) -> None:
    assert "32-bit ELF for 32-bit x86" in refused(changed(changed(program, 4, "B", 1), 18, "<H", 3))
    assert "64-bit ELF for AArch64" in refused(changed(program, 18, "<H", 183))
    assert "a relocatable object (.o)" in refused(changed(program, 16, "<H", 1))


def test_a_truncated_file_is_said_to_be_truncated(program: bytes) -> None:
    assert "truncated: a segment ends at offset" in refused(program[: len(program) // 4])
    assert "program headers at offset" in refused(program[:80])


def test_counts_and_offsets_that_lie_are_errors_that_name_the_table(program: bytes) -> None:
    file = elf.parse(program, "x")
    dynamic = next(s for s in file.segments if s.kind == elf.PT_DYNAMIC)
    where = {t: dynamic.offset + i * 16 + 8 for i, (t, _) in enumerate(file.dynamic)}
    huge = changed(program, where[elf.DT_RELASZ], "<Q", 24 << 50)
    with pytest.raises(AnalysisError, match="a relocation table at address 0x"):
        list(tables.relocations(elf.parse(huge, "x")))
    nowhere = changed(program, where[elf.DT_STRTAB], "<Q", 1 << 60)
    with pytest.raises(AnalysisError, match="no string"):
        _ = elf.parse(nowhere, "x").needed


def test_segments_that_map_the_same_bytes_over_and_over_are_refused(program: bytes) -> None:
    count, size = 60000, 4096
    header = bytearray(program[:64])
    header[32:40], header[54:58] = struct.pack("<Q", 64), struct.pack("<HH", 56, count)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0, size, size, size)
    assert "the segments map" in refused(bytes(header) + segment * count)


def test_a_segment_beyond_the_address_space_is_refused(program: bytes) -> None:
    headers = struct.unpack_from("<Q", program, 32)[0]
    for i in range(struct.unpack_from("<H", program, 56)[0]):
        if struct.unpack_from("<I", program, headers + 56 * i)[0] == 1:
            assert "beyond any process" in refused(changed(program, headers + 56 * i + 16, "<Q", (1 << 64) - 1))


def whole(data: bytes) -> None:
    """Everything the stage reads of a file; only AnalysisError may come out."""
    try:
        file = elf.parse(data, "x")
        _ = file.needed, file.soname, file.interpreter
        summarise(data, "x")
    except AnalysisError:
        return


@LOOSE
@given(st.data())
def test_no_damage_makes_anything_but_an_analysis_error(program: bytes, data: st.DataObject) -> None:
    damaged = bytearray(program)
    headers = st.integers(0, 0x400) | st.integers(0, len(program) - 9)
    for at, value in data.draw(st.lists(st.tuples(headers, st.integers(0, (1 << 64) - 1)), min_size=1, max_size=6)):
        size = data.draw(st.sampled_from((1, 2, 4, 8)))
        damaged[at : at + size] = value.to_bytes(8, "little")[:size]
    whole(bytes(damaged))


@LOOSE
@given(st.data())
def test_no_damage_to_the_tables_does_either(program: bytes, data: st.DataObject) -> None:
    file = elf.parse(program, "x")
    dynamic = next(s for s in file.segments if s.kind == elf.PT_DYNAMIC)
    damaged = bytearray(program)
    for _ in range(data.draw(st.integers(1, 3))):
        at = dynamic.offset + data.draw(st.integers(0, len(file.dynamic) - 1)) * 16 + data.draw(st.sampled_from((0, 8)))
        damaged[at : at + 8] = data.draw(st.integers(0, 64) | st.integers(0, (1 << 64) - 1)).to_bytes(8, "little")
    whole(bytes(damaged))


@LOOSE
@given(st.data())
def test_no_truncation_does_either(program: bytes, data: st.DataObject) -> None:
    whole(program[: data.draw(st.integers(0, len(program)))])


@LOOSE
@given(st.binary(max_size=300))
def test_no_bytes_after_an_elf_header_do_either(tail: bytes) -> None:
    whole(b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x03\x00\x3e\x00" + tail)
