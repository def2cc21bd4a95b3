"""Data cut into objects, as far as they can be told apart, and the pointers that stand in each of them.

A function whose address stands in data can run only if reachable code refers to the object it stands in. Objects
begin where code computes an address, where a relocation points, and where a symbol stands. Loads and stores do not
begin one: a structure is copied by loading its parts. Compilers align objects of 32 bytes and more to 32 bytes, so an
address that is not aligned may lie inside an object: what stands before it, back to an aligned start, belongs to it
too. What nobody refers to in a way that is seen here counts as referred to.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from builder.analyse import elf, tables
from builder.analyse.decode import Reader
from builder.analyse.elf import Elf
from builder.analyse.tables import Relocation, Symbol

ALIGNED = 32  # gcc's DATA_ALIGNMENT for aggregates on x86-64 and aarch64


@dataclass(frozen=True)
class Link:
    """A pointer in data: where it stands and what it points to: an address of this file, or a dynamic symbol."""

    address: int
    target: int = -1
    symbol: int = -1


@dataclass
class Objects:
    """The objects that contain pointers, or that belong to one that does. `starts` in order; `links` by object;
    `before` is the object that one belongs to. `cuts` are the starts of all objects."""

    cuts: list[int]
    starts: list[int] = field(default_factory=list)
    links: list[list[Link]] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)
    by_cut: dict[int, int] = field(default_factory=dict)

    def index(self, address: int) -> int:
        """The object with pointers that an address lies in, or -1."""
        i = bisect_right(self.cuts, address) - 1
        return self.by_cut.get(i, -1)

    def within(self, low: int, high: int) -> set[int]:
        """The objects with pointers of which a part lies in a stretch."""
        first, last = bisect_right(self.cuts, low) - 1, bisect_right(self.cuts, high - 1)
        return {self.by_cut[i] for i in range(max(first, 0), last) if i in self.by_cut}


def pointers(file: Elf, reader: Reader, moves: Iterable[Relocation], symbols: Sequence[Symbol]) -> list[Link]:
    """Every pointer in a file's data: what the loader writes there, and every word of a program that is linked to a
    fixed address and needs no writing."""
    found: dict[int, Link] = {}
    if reader.fixed:
        found.update(_words(file, reader))
    for m in moves:
        if m.role == "relative":
            found[m.address] = Link(m.address, m.addend)
        elif m.role in ("absolute", "copy") and m.symbol < len(symbols):
            found[m.address] = Link(m.address, symbol=m.symbol)
    return [found[a] for a in sorted(found)]


def _words(file: Elf, reader: Reader) -> Iterable[tuple[int, Link]]:
    for s in file.loads():
        if s.flags & elf.PF_X:
            continue
        start = s.offset + (-s.address % 8)
        size = max(s.offset + s.file_size - start, 0) // 8 * 8
        words = struct.unpack(f"<{size // 8}Q", file.data[start : start + size])
        low, high = reader.low, reader.high
        for i, value in enumerate(words):
            if low <= value < high:
                address = s.address + start - s.offset + 8 * i
                yield address, Link(address, value)


def cut(file: Elf, reader: Reader, links: Sequence[Link], places: Iterable[int], symbols: Iterable[Symbol]) -> Objects:
    """The objects of a file. `places` are data addresses that code computes."""
    segments = [(s.address, s.address + s.memory_size) for s in file.loads() if not s.flags & elf.PF_X]
    named = {s.address for s in symbols if s.section and s.kind not in (tables.STT_FUNC, tables.STT_GNU_IFUNC)}
    firm = named | {s.address for s in file.sections if s.flags & elf.SHF_ALLOC} | {a for a, _ in segments}
    for s in file.sections:
        if s.name.startswith(".got") and s.kind != elf.SHT_NOBITS:
            firm.update(range(s.address, s.address + s.size, 8))  # each word is an object of its own
    loose = {a for a in places if reader.place(a) < 0} | {
        link.target for link in links if reader.place(link.target) < 0
    }
    at = {link.address for link in links}
    for place in loose - firm:
        if place % ALIGNED == ALIGNED // 2 and place in at and place - 16 not in at:
            firm.add(place - 16)  # a table of virtual functions: its address points behind two words
    cuts = sorted(a for a in firm | loose if any(low <= a < high for low, high in segments))
    return _fill(Objects(cuts), links, firm)


def _fill(objects: Objects, links: Sequence[Link], firm: set[int]) -> Objects:
    by_cut: dict[int, list[Link]] = {}
    for link in links:
        by_cut.setdefault(bisect_right(objects.cuts, link.address) - 1, []).append(link)
    last = -1  # the object with pointers that an address inside it may belong to
    for i, start in enumerate(objects.cuts):
        weak = start % ALIGNED != 0 and start not in firm
        if not weak:
            last = -1
        mine = by_cut.get(i, [])
        if not mine and last < 0:
            continue
        number = len(objects.starts)
        objects.starts.append(start)
        objects.links.append(mine)
        objects.by_cut[i] = number
        if last >= 0:
            objects.before[number] = last
        last = number
    return objects
