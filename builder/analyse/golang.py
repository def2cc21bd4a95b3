"""What Go programs do otherwise: pointers to functions that are no addresses.

A Go type's method table holds pairs of 4-byte distances from the start of the code (runtime/type.go: method.ifn and
method.tfn, of type textOff). Function values, interface tables and deferred calls hold addresses, like all data. The
table of all functions (pclntab) names every function and calls none.
"""

from array import array
from collections.abc import Iterator

from builder.analyse import elf
from builder.analyse.decode import Reader
from builder.analyse.elf import Elf

MARK = b"\xff Go buildinf:"
PCLNTAB = (".gopclntab", ".data.rel.ro.gopclntab", ".gosymtab")
PART = "part of a Go program"  # why a function counts as reached that nothing is seen to refer to


def is_go(file: Elf) -> bool:
    """Whether a file is a Go program (it carries the linker's build information)."""
    return MARK in file.data


def tables(file: Elf) -> list[tuple[int, int]]:
    """Address ranges of the tables that name functions without calling them."""
    return [(s.address, s.address + s.size) for s in file.sections if s.name in PCLNTAB]


def methods(file: Elf, reader: Reader, starts: frozenset[int]) -> Iterator[int]:
    """Addresses of functions that stand in method tables: two neighbouring distances, both to a function's start."""
    names = {s.address for s in file.sections if s.name == ".text"} or {r[0] for r in reader.ranges[:1]}
    skip = [(s.offset, s.offset + s.size) for s in file.sections if s.name in PCLNTAB]
    for base in names:
        offsets = {a - base for a in starts if a >= base}
        for s in file.loads():
            if not s.flags & elf.PF_X:
                for low, high in _without(s.offset, s.offset + s.file_size, skip):
                    yield from (base + v for v in _pairs(file.data, low, high, offsets))


def _without(low: int, high: int, skip: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in sorted(skip):
        if low < end and start < high:
            yield low, max(low, start)
            low = end
    yield low, high


def _pairs(data: bytes, low: int, high: int, offsets: set[int]) -> Iterator[int]:
    low += -low % 4
    words = array("I")
    words.frombytes(data[low : low + max(high - low, 0) // 4 * 4])
    known = offsets & set(words)
    for i in range(len(words) - 1) if known else ():
        if words[i] in known and words[i + 1] in known:
            yield words[i]
            yield words[i + 1]

