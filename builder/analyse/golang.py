"""What Go programs do otherwise: pointers to functions that are no addresses.

A Go type's method table holds pairs of 4-byte distances from the start of the code (runtime/type.go: method.ifn and
method.tfn, of type textOff). Function values, interface tables and deferred calls hold addresses, like all data. The
table of all functions (pclntab) names every function and calls none.
"""

import re
import struct
from array import array
from collections.abc import Iterator

from builder.analyse import elf
from builder.analyse.decode import Reader
from builder.analyse.elf import Elf

START = re.compile(rb"[A-Za-z_\x80-\xff]")
MARK = b"\xff Go buildinf:"
PCLNTAB = (".gopclntab", ".data.rel.ro.gopclntab", ".gosymtab")
RETURNS = "runtime.morestack"  # what follows a call of it runs, though it has no return of its own
NEVER = ("runtime.gopanic", "runtime.panic", "runtime.goPanic", "runtime.throw", "runtime.fatal")  # beginnings of names
PART = "part of a Go program"  # why a function counts as reached that nothing is seen to refer to


def is_go(file: Elf) -> bool:
    """Whether a file is a Go program (it carries the linker's build information)."""
    return MARK in file.data


def tables(file: Elf) -> list[tuple[int, int]]:
    """Address ranges of the tables that name functions without calling them."""
    return [(s.address, s.address + s.size) for s in file.sections if s.name in PCLNTAB]


def methods(file: Elf, reader: Reader, starts: frozenset[int]) -> Iterator[int]:
    """Addresses of functions that stand in method tables: two neighbouring distances, both to a function's start."""
    base = _base(file, reader)
    skip = [(s.offset, s.offset + s.size) for s in file.sections if s.name in PCLNTAB]
    offsets = {a - base for a in starts if a >= base}
    for s in file.loads():
        if not s.flags & elf.PF_X:
            for low, high in _without(s.offset, s.offset + s.file_size, skip):
                yield from (base + v for v in _pairs(file, low, high, offsets))


def _without(low: int, high: int, skip: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in sorted(skip):
        if low < end and start < high:
            yield low, max(low, start)
            low = end
    yield low, high


def _pairs(file: Elf, low: int, high: int, offsets: set[int]) -> Iterator[int]:
    low += -low % 4
    words = array("I")
    words.frombytes(file.data[low : low + max(high - low, 0) // 4 * 4])
    known = offsets & set(words)
    types = next((s.offset for s in file.sections if s.name == ".rodata"), -1)
    for i in range(2, len(words) - 1) if known else ():
        if words[i] in known and words[i + 1] in known and (types < 0 or _named(file.data, types + words[i - 2])):
            yield words[i]
            yield words[i + 1]


def _named(data: bytes, at: int) -> bool:
    """Whether a method's name stands at an offset: flags, length, and a text that begins like an identifier
    (internal/abi/type.go, Name)."""
    return at + 3 < len(data) and data[at] < 0x10 and 0 < data[at + 1] < 0xFF and bool(START.match(data, at + 2))


def functions(file: Elf, reader: Reader) -> dict[int, str]:
    """Names of a Go program's functions by address, from the table the runtime itself uses (also in stripped ones).

    Formats of Go 1.16 and later (debug/gosym/pclntab.go; runtime/symtab.go, pcHeader). Empty where there is none, or
    where it does not fit the file: the program is then read like any other.
    """
    data = _table(file)
    if not data:
        return {}
    magic, _, _, pointer = struct.unpack_from("<IHBB", data)
    if magic not in WIDTHS or pointer != 8:
        return {}
    width, words = WIDTHS[magic], struct.unpack_from("<8Q", data, 8)
    count, names, table = words[0], words[3 if width == 4 else 2], words[7 if width == 4 else 6]
    base = _base(file, reader) if width == 4 else 0
    if count > len(data) or table + 2 * width * count > len(data) or names >= len(data):
        return {}
    rows = struct.unpack_from(f"<{2 * count}{'I' if width == 4 else 'Q'}", data, table)
    return dict(_names(data, reader, base, width, names, table, rows))


WIDTHS = {0xFFFFFFFA: 8, 0xFFFFFFF0: 4, 0xFFFFFFF1: 4}  # magic → bytes of a table's number (Go 1.16, 1.18, 1.20)


def _table(file: Elf) -> bytes:
    found = next((s for s in file.sections if s.name in PCLNTAB and s.size >= 72), None)
    return file.data[found.offset : found.offset + found.size] if found else b""


def _base(file: Elf, reader: Reader) -> int:
    """Where Go's code begins: the table says so (C code may stand before it), else the section's start."""
    data = _table(file)
    known = struct.unpack_from("<Q", data, 24)[0] if data and WIDTHS.get(struct.unpack_from("<I", data)[0]) == 4 else 0
    text = next((r[0] for r in reader.ranges if r[2] == ".text"), reader.ranges[0][0] if reader.ranges else 0)
    return int(known or text)


def _names(
    data: bytes, reader: Reader, base: int, width: int, names: int, table: int, rows: tuple[int, ...]
) -> Iterator[tuple[int, str]]:
    for start, offset in zip(rows[::2], rows[1::2], strict=True):
        at = table + offset
        if at + width + 4 > len(data) or reader.place(base + start) < 0:
            continue
        name = names + struct.unpack_from("<i", data, at + width)[0]
        end = data.find(b"\0", name, name + LONGEST) if 0 <= name < len(data) else -1
        yield base + start, data[name:end].decode(errors="replace") if end >= 0 else ""


LONGEST = 4096  # of a function's name
