"""What stands in an ELF file at known places: named functions, functions run at load, texts (pure)."""

import re
import struct
from collections.abc import Iterator, Sequence

from builder.analyse import elf, tables
from builder.analyse.elf import Elf
from builder.analyse.machine import MACHINES
from builder.analyse.objects import Link
from builder.analyse.tables import Symbol

CODE_KINDS = (tables.STT_FUNC, tables.STT_GNU_IFUNC)
IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,127}(?=\x00)")

SYSTEM = re.compile(rb"/(?:proc|sys|dev)(?=/)")
SYSTEM_PATH = re.compile(rb"/(?:proc|sys|dev)/[\x21-\x7e]*(?=\x00)")
NOT_DATA = (".init_array", ".fini_array", ".preinit_array", ".dynamic", ".dynsym", ".rela.dyn", ".rela.plt")


def functions(static: Sequence[Symbol], symbols: Sequence[Symbol]) -> dict[str, int]:
    """Addresses of the functions that have a name; exported names win over local ones."""
    both = [*static, *symbols]
    return {s.name: s.address for s in both if s.section and s.kind in CODE_KINDS and s.name}


def specials(file: Elf) -> Iterator[int]:
    """Where a file is entered."""
    yield file.entry
    yield from (file.value(tag) for tag in (elf.DT_INIT, elf.DT_FINI) if file.value(tag))


def run_at_load(file: Elf, links: Sequence[Link], symbols: Sequence[Symbol]) -> Iterator[int]:
    """Addresses of the functions the loader (or a static program's start code) runs before and after the program: what
    stands in its arrays, and what the loader puts there first, by address or by symbol."""
    yield from (file.value(tag) for tag in (elf.DT_INIT, elf.DT_FINI) if file.value(tag))
    found = [(file.value(at), file.value(size)) for at, size in ARRAYS if file.value(at)]
    found += [(s.address, s.size) for s in file.sections if s.name in NOT_DATA[:3]]
    for at, size in found:
        length = size // 8 * 8
        if length and file.offset_of(at) >= 0:
            raw = file.bytes_at(at, length, "an array of start-up functions")
            yield from (a for (a,) in struct.iter_unpack("<Q", raw))
    for link in links:
        if any(at <= link.address < at + size for at, size in found):
            yield symbols[link.symbol].address if link.symbol >= 0 else link.target


ARRAYS = (
    (elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ),
    (elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ),
    (elf.DT_PREINIT_ARRAY, elf.DT_PREINIT_ARRAYSZ),
)


def text(file: Elf, pattern: "re.Pattern[bytes]", address: int) -> str:
    """The text that stands at an address, or an empty one."""
    offset = file.offset_of(address)
    match = pattern.match(file.data, offset) if offset >= 0 else None
    return match[0].decode() if match else ""


def system_paths(file: Elf) -> dict[int, str]:
    """Where in a file's memory a name under /proc, /sys or /dev stands, by address."""
    found = {}
    for s in file.loads():
        for hit in SYSTEM.finditer(file.data, s.offset, s.offset + s.file_size):
            if match := SYSTEM_PATH.match(file.data, hit.start()):
                found[s.address + hit.start() - s.offset] = match[0].decode()
    return found


def words(file: Elf, imports: list[str]) -> tuple[str, ...]:
    """Texts that could be names for dlsym, of files that use it (the loader itself imports nothing but looks up)."""
    if imports and not {"dlsym", "dlvsym"} & set(imports) and file.soname != MACHINES[file.machine].gnu_loader:
        return ()
    strings = file.offset_of(file.value(elf.DT_STRTAB))
    skip = range(strings, strings + file.value(elf.DT_STRSZ))
    found = {
        m[0].decode()
        for s in file.loads()
        if not s.flags & elf.PF_X
        for m in IDENTIFIER.finditer(file.data, s.offset, s.offset + s.file_size)
        if m.start() not in skip
    }
    return tuple(sorted(found))
