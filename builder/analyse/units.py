"""Code cut into units (functions, as far as they can be told apart) and what each of them refers to.

A unit is a range of an .eh_frame record, a PLT entry, or - where no such record exists, as in musl and stripped
programs - the stretch between two places that something refers to. Units are taken whole: reached anywhere means
everything in them counts.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from builder.analyse import tables
from builder.analyse.arch import Table, Unit
from builder.analyse.decode import Range, Reader

SETS = ("calls", "jumps", "addresses", "slots", "data", "writes", "places", "syscalls", "legacy", "undecoded",
        "maybe", "pages", "tables")  # fmt: skip
ROUNDS = 64  # of looking for further starts; what is left after them is still reached, as part of a larger unit
LONGEST_TABLE = 65536
ALIGNMENT = 16  # of functions, with all compilers in use


@dataclass(frozen=True)
class Code:
    """All units of a file in address order, and the places inside units that something outside refers to."""

    units: tuple[Unit, ...]
    starts: tuple[int, ...]
    inner: dict[int, set[int]]  # unit index → referred-to addresses inside it
    tables: dict[int, set[int]]  # unit index → its jump tables' targets

    @cached_property
    def endless(self) -> frozenset[int]:
        """Starts of the units that never return to their caller, as far as that can be seen in this file."""
        returning = {i for i, u in enumerate(self.units) if u.returns or u.falls}
        leading: dict[int, list[int]] = {}  # unit that is jumped to (-1: outside) → those that do
        for i, u in enumerate(self.units):
            for a in u.jumps if i not in returning else ():
                leading.setdefault(self.index(a), []).append(i)
        work = [-1, *returning]
        while work:
            for i in leading.get(work.pop(), ()):
                if i not in returning:
                    returning.add(i)
                    work.append(i)
        return frozenset(u.start for i, u in enumerate(self.units) if i not in returning)

    def within(self, low: int, high: int) -> set[int]:
        """The units of which a part lies in a stretch."""
        first, last = max(bisect_right(self.starts, low) - 1, 0), bisect_right(self.starts, high - 1)
        return {i for i in range(first, last) if low < self.units[i].end}

    def index(self, address: int) -> int:
        """The unit an address lies in, or -1."""
        i = bisect_right(self.starts, address) - 1
        return i if i >= 0 and address < self.units[i].end else -1


def cut(reader: Reader, known: Iterable[int], pointers: Iterable[int], exact: Iterable[int] = ()) -> Code:
    """The units of a file. `known` are function starts (symbols, entry point); `pointers` other references to code
    (relocations, words of data); `exact` the starts of functions that follow each other without a gap, from a table
    that the program itself has."""
    units = list(_framed(reader))
    units = _with(units, sorted(set(exact)), reader)
    for unit in units:
        reader.read(unit, unit.start)
    gaps = list(_gaps(reader, units))
    pointers = {a for a in pointers if a % reader.arch.convention.aligned == 0}
    starts = {k for k in known if reader.place(k) >= 0}
    wanted = starts | pointers | {a for u in units for a in u.calls | u.jumps | u.addresses}
    pieces: dict[tuple[int, int, bool], Unit] = {}
    loose: list[Unit] = []
    for _ in range(ROUNDS):
        loose = [_piece(reader, pieces, *edges) for edges in _edges(gaps, starts, wanted)]
        found = {a for u in loose for a in u.addresses | u.calls if _inside(gaps, a)} - wanted
        if not found:
            break
        wanted |= found
    joined = _joined(sorted(units + loose, key=lambda u: u.start), wanted)
    marks = wanted | {a for u in joined for a in u.jumps}
    return _finish(reader, [part for unit in joined for part in _parted(reader, unit, marks)], wanted)


def _framed(reader: Reader) -> Iterator[Unit]:
    """Units of .eh_frame records; a record that begins inside another one ends it. PLT entries one by one."""
    ranges = _frames_by_range(reader)
    for (base, code, name, entry), frames in ranges:
        end = base + len(code)
        if name.startswith(".plt"):
            edges = [base + at for at in reader.arch.linkage(code, entry)]
            for at, stop in pairwise([*edges, end]):
                yield Unit(at, stop, hard=True, stub=True, framed=True)
            continue
        for i, (start, stop) in enumerate(frames):
            limit = frames[i + 1][0] if i + 1 < len(frames) else end
            if start < min(stop, limit):
                yield Unit(start, min(stop, limit), hard=stop <= limit, framed=True)


def _with(units: list[Unit], exact: list[int], reader: Reader) -> list[Unit]:
    """The units and those that a table of functions tells of, where no record does."""
    taken = sorted(units, key=lambda u: u.start)
    starts = [u.start for u in taken]
    for start, after in zip(exact, [*exact[1:], 0], strict=False):
        base, code, _, _ = reader.ranges[reader.place(start)]
        end = after if start < after <= base + len(code) else base + len(code)
        i = bisect_right(starts, start)
        if i < len(taken):
            end = min(end, taken[i].start)
        if start < end and not (i and start < taken[i - 1].end):
            units.append(Unit(start, end, hard=True, framed=True, go=True))
    return units


def _gaps(reader: Reader, units: list[Unit]) -> Iterator[tuple[int, int]]:
    """Stretches of code that no record describes, without the padding before them."""
    taken = sorted((u.start, u.end) for u in units)
    padding = reader.arch.convention.padding
    for base, code, _, _ in reader.ranges:
        at, end = base, base + len(code)
        first = bisect_right(taken, (base, 0))
        last = bisect_right(taken, (end, 0))
        for low, high in [*taken[first:last], (end, end)]:
            if at < low:
                match = padding.match(code, at - base, low - base)
                start = base + match.end() if match else at
                if start < low:
                    yield start, low
            at = max(at, high)


def _inside(gaps: list[tuple[int, int]], address: int) -> bool:
    i = bisect_right(gaps, (address, 1 << 64)) - 1
    return i >= 0 and address < gaps[i][1]


def _edges(gaps: list[tuple[int, int]], starts: set[int], wanted: set[int]) -> Iterator[tuple[int, int, bool]]:
    """The gaps cut at every place referred to; the last value says whether a known function begins at the end."""
    marks = sorted(wanted)
    for low, high in gaps:
        edges = [low, *marks[bisect_right(marks, low) : bisect_right(marks, high - 1)], high]
        for start, end in pairwise(edges):
            yield start, end, end in starts or end == high


def _piece(reader: Reader, known: dict[tuple[int, int, bool], Unit], start: int, end: int, hard: bool) -> Unit:
    if (start, end, hard) not in known:
        unit = known[start, end, hard] = Unit(start, end, hard)
        reader.read(unit, start)
    return known[start, end, hard]


def _joined(units: list[Unit], wanted: set[int]) -> list[Unit]:
    """Units that no record describes and nothing refers to belong to what runs on into them (glibc's clone)."""
    result: list[Unit] = []
    for unit in units:
        last = result[-1] if result else None
        if last and last.falls and last.end == unit.start and not unit.framed and unit.start not in wanted:
            last.end, last.falls, last.hard = unit.end, unit.falls, unit.hard
            for name in SETS:
                getattr(last, name).update(getattr(unit, name))
            last.returns |= unit.returns
            last.indirect |= unit.indirect
            last.anywhere |= unit.anywhere
            last.jumps = {a for a in last.jumps if not last.start <= a < last.end}
        else:
            result.append(unit)
    return result


def _parted(reader: Reader, unit: Unit, marks: set[int]) -> list[Unit]:
    """A unit that no record describes, parted where a function must begin: at an aligned address that nothing in the
    unit jumps over or to, behind an instruction that does not run on, or where something outside (`marks`) leads to.
    Code that nothing refers to is left apart so."""
    if unit.framed or unit.indirect or unit.end - unit.start <= ALIGNMENT:
        return [unit]
    steps = sorted(reader.steps(unit), key=lambda s: s.address)
    starts = [unit.start]
    jumps = [(s.address, s.target) for s in steps if s.target is not None and unit.start <= s.target < unit.end]
    last = ""
    for step in steps:
        at = step.address
        if step.kind != "nop":
            crossing = any((a < at) != (t < at) for a, t in jumps if not (a >= at and t in starts))
            if (
                (last in ("return", "jump", "stop") or at in marks)
                and at % ALIGNMENT == 0
                and at > unit.start
                and not crossing
            ):
                starts.append(at)
            last = step.kind
    if len(starts) == 1:
        return [unit]
    parts = [Unit(a, b, hard=True) for a, b in pairwise([*starts, unit.end])]
    parts[-1].hard = unit.hard
    for part in parts:
        reader.read(part, part.start)
    return parts


def _finish(reader: Reader, units: list[Unit], wanted: set[int]) -> Code:
    starts = tuple(u.start for u in units)
    code = Code(tuple(units), starts, {}, {})
    edge = {a for u in units for a in u.calls | u.jumps | u.addresses}
    bases = {a for u in units for a in u.places}
    memo: dict[int, set[int]] = {}
    for i, unit in enumerate(units):
        if not unit.indirect and unit.framed:
            continue
        guessed = unit.places if reader.arch.convention.guessed else ()
        targets = {t for base in guessed for t in _table(reader, base, bases, memo)}
        targets |= {t for table in unit.tables for t in _entries(reader, unit, table)}
        targets |= set(range(unit.start, unit.end, reader.arch.convention.aligned)) if unit.anywhere else set()
        if targets:
            code.tables[i] = targets
            outside = {t for t in targets if not unit.start <= t < unit.end}
            unit.jumps |= outside
            edge |= outside
    boundaries: dict[int, set[int]] = {}
    for address in sorted(edge | wanted):
        i = code.index(address)
        if i >= 0 and address != units[i].start:
            code.inner.setdefault(i, set()).add(address)
            if units[i].framed and i not in boundaries:
                unit = units[i]
                boundaries[i] = reader.scanner.boundaries(reader.bytes_of(unit.start, unit.end), unit.start)
            if not units[i].framed or address not in boundaries[i]:
                reader.read(units[i], address)
    return code


def _table(reader: Reader, base: int, bases: set[int], memo: dict[int, set[int]]) -> set[int]:
    """Targets of the jump table that may stand at an address: 4-byte distances from it, or (in programs linked to a
    fixed address) 8-byte addresses. It ends at the first entry that leads out of the code, or at the next table."""
    if base in memo:
        return memo[base]
    targets = memo[base] = set()
    file = reader.file
    offset = file.offset_of(base)
    for shape, step, origin in (("<i", 4, base), ("<Q", 8, 0)) if reader.fixed else (("<i", 4, base),):
        for at in range(offset, min(offset + LONGEST_TABLE, len(file.data) - step + 1), step) if offset >= 0 else ():
            if at != offset and (base + at - offset) in bases:
                break
            target = origin + struct.unpack_from(shape, file.data, at)[0]
            if reader.place(target) < 0:
                break
            targets.add(target)
    return targets


def _entries(reader: Reader, unit: Unit, table: Table) -> Iterator[int]:
    """Targets of a jump table whose shape is known. Where its length is not, it ends at the first entry that leads
    out of the unit."""
    size = table.step * (table.count or LONGEST_TABLE // table.step)
    at = reader.file.offset_of(table.address)
    raw = reader.file.data[at : at + size] if at >= 0 else b""
    for i in range(0, len(raw) - table.step + 1, table.step):
        entry = int.from_bytes(raw[i : i + table.step], "little", signed=table.signed)
        target = table.origin + table.scale * entry
        if target % reader.arch.convention.aligned or reader.place(target) < 0:
            return
        if not (table.count or unit.start <= target < unit.end):
            return
        yield target


def _frames_by_range(reader: Reader) -> list[tuple[Range, list[tuple[int, int]]]]:
    """The .eh_frame ranges that lie in each executable range."""
    frames = tables.frames(reader.file)
    return [(r, [f for f in frames if r[0] <= f[0] < r[0] + len(r[1])]) for r in reader.ranges]
