"""Code cut into units (functions, as far as they can be told apart) and what each of them refers to.

A unit is a range of an .eh_frame record, a PLT entry, or - where no such record exists, as in musl and stripped
programs - the stretch between two places that something refers to. Units are taken whole: reached anywhere means
everything in them counts. Every unit is decoded from its start, so that data between functions cannot shift the
decoding of the next; and again from each place inside that is referred to but did not come out as an instruction.
"""

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from builder.analyse import elf, tables
from builder.analyse.elf import Elf

Instruction = tuple[int, int, str, str]  # address, size, mnemonic, operands as capstone writes them

PADDING = re.compile(
    rb"(?s)(?:[\xcc\x00]|\x66*\x90|[\x66\x2e]*\x0f\x1f(?:\x00|\x40.|\x44\x00.|\x80....|\x84\x00....))*"
)
ENDS = {"ret", "jmp", "bnd jmp", "notrack jmp", "ud2", "hlt", "int3", "bnd ret", "repz ret", "rep ret", "iretq"}
BRANCHES = {"call", "bnd call", "bnd jmp", "notrack jmp", "loop", "loope", "loopne", "xbegin"}
NOPS = {"nop", "int3", "endbr64"}
ABSOLUTE = re.compile(r"0x[0-9a-f]{5,}")
ROUNDS = 64  # of looking for further starts; what is left after them is still reached, as part of a larger unit
LONGEST_TABLE = 65536


@dataclass
class Unit:
    """A stretch of code. `calls`, `jumps` and `addresses` are code addresses outside it: called, jumped to, or taken
    with `lea`; `slots` are places the loader fills from a symbol; `data` are other places in memory it refers to,
    `tables` those of them that may be jump tables. `framed`: an .eh_frame record says it is code."""

    start: int
    end: int
    hard: bool  # its end is a function's end, not just the next place something refers to
    framed: bool = False
    calls: set[int] = field(default_factory=set)
    jumps: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    data: set[int] = field(default_factory=set)
    tables: set[int] = field(default_factory=set)
    syscalls: set[int] = field(default_factory=set)
    legacy: set[int] = field(default_factory=set)  # int 0x80, sysenter
    falls: bool = False  # runs on into what follows it
    stub: bool = False  # an entry of a procedure linkage table


@dataclass(frozen=True)
class Code:
    """All units of a file in address order, and the places inside units that something outside refers to."""

    units: tuple[Unit, ...]
    starts: tuple[int, ...]
    inner: dict[int, set[int]]  # unit index → referred-to addresses inside it
    tables: dict[int, set[int]]  # unit index → its jump tables' targets

    def index(self, address: int) -> int:
        """The unit an address lies in, or -1."""
        i = bisect_right(self.starts, address) - 1
        return i if i >= 0 and address < self.units[i].end else -1


class Reader:
    """Decodes the executable parts of one file."""

    def __init__(self, file: Elf, slots: Iterable[int]) -> None:
        from capstone import CS_ARCH_X86, CS_MODE_64, Cs  # noqa: PLC0415 - only when a file is really analysed

        self.file = file
        self.slots = frozenset(slots)
        self.decoder: Any = Cs(CS_ARCH_X86, CS_MODE_64)
        self.decoder.skipdata = True
        self.ranges = _ranges(file)
        self.marks = [bytearray(len(code)) for _, code, _, _ in self.ranges]
        self.low = min(s.address for s in file.loads())
        self.high = max(s.address + s.memory_size for s in file.loads())
        self.fixed = file.kind == elf.ET_EXEC

    def place(self, address: int) -> int:
        """Which executable range an address lies in, or -1."""
        for i, (base, code, _, _) in enumerate(self.ranges):
            if base <= address < base + len(code):
                return i
        return -1

    def instructions(self, start: int, end: int) -> list[Instruction]:
        """The decoded instructions of a stretch of one range; bytes that are no instruction come as `.byte`."""
        i = self.place(start)
        base, code, _, _ = self.ranges[i]
        return list(self.decoder.disasm_lite(code[start - base : end - base], start))

    def read(self, unit: Unit, start: int) -> None:
        """Decode a unit from `start` on and add what it refers to.

        Where no record says that the unit is code, decoding ends at bytes that are no instruction (constants may
        stand there) and goes on where the unit itself jumps to.
        """
        base = self.ranges[which := self.place(start)][0]
        todo = self._sweep(unit, start, which)
        while todo and not unit.framed:
            target = todo.pop()
            if not self.marks[which][target - base]:
                todo |= self._sweep(unit, target, which)
        self._settle(unit)

    def _sweep(self, unit: Unit, start: int, which: int) -> set[int]:
        """Decode one stretch in a row; the unit's own labels that it jumps to."""
        base, code, _, _ = self.ranges[which]
        marks, low, high, fixed = self.marks[which], unit.start, unit.end, self.fixed
        last = ""
        local: set[int] = set()
        for address, size, name, operands in self.decoder.disasm_lite(code[start - base : high - base], start):
            marks[address - base] = 1
            if name not in NOPS:
                last = name
            if "rip" in operands:
                begin = operands.index("rip") + 3
                distance = operands[begin : operands.index("]", begin)].replace(" ", "")
                target = address + size + (int(distance, 16) if distance else 0)
                (unit.addresses if name == "lea" else unit.data).add(target)
            elif operands[:2] == "0x" and (name[0] == "j" or name in BRANCHES):
                target = int(operands, 16)
                if low <= target < high:
                    local.add(target)
                else:
                    (unit.calls if name[-4:] == "call" else unit.jumps).add(target)
            elif name == "syscall":
                unit.syscalls.add(address)
            elif name == "sysenter" or (name == "int" and operands == "0x80"):
                unit.legacy.add(address)
            elif name == ".byte" and not unit.framed:
                last = "hlt"
                break
            if fixed and "0x" in operands:
                unit.addresses.update(v for v in map(_hex, ABSOLUTE.findall(operands)) if self.low <= v < self.high)
        unit.falls |= last not in ENDS and not (unit.hard and last[-4:] == "call")
        return local

    def _settle(self, unit: Unit) -> None:
        """Sort what a unit refers to into code, slots and data."""
        both = unit.addresses | unit.data
        unit.tables |= {a for a in unit.addresses if self.place(a) < 0}
        unit.slots = {a for a in both if a in self.slots}
        code = {a for a in unit.addresses if self.place(a) >= 0}
        unit.data = both - unit.slots - code
        unit.addresses = {a for a in code if not unit.start <= a < unit.end}


def _ranges(file: Elf) -> list[tuple[int, bytes, str, int]]:
    """Executable stretches: address, bytes, section name, entry size. Segments where section headers tell nothing."""
    named = [
        (s.address, file.data[s.offset : s.offset + s.size], s.name, s.entry_size)
        for s in file.sections
        if s.flags & elf.SHF_EXECINSTR and s.flags & elf.SHF_ALLOC and s.kind != elf.SHT_NOBITS and s.size
    ]
    whole = [
        (s.address, file.data[s.offset : s.offset + s.file_size], "", 0)
        for s in file.loads()
        if s.flags & elf.PF_X and s.file_size
    ]
    inside = all(any(a <= n[0] and n[0] + len(n[1]) <= a + len(b) for a, b, _, _ in whole) for n in named)
    apart = all(x[0] + len(x[1]) <= y[0] for x, y in zip(sorted(named), sorted(named)[1:], strict=False))
    entry = any(a <= file.entry < a + len(b) for a, b, _, _ in named) or not file.entry
    return sorted(named) if named and inside and apart and entry else sorted(whole)


def cut(reader: Reader, known: Iterable[int], pointers: Iterable[int]) -> Code:
    """The units of a file. `known` are function starts (symbols, entry point); `pointers` other references to code
    (relocations, words of data)."""
    ranges = reader.ranges
    units = list(_framed(reader))
    for unit in units:
        reader.read(unit, unit.start)
    gaps = list(_gaps(ranges, units))
    pointers = set(pointers)
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
    return _finish(reader, sorted(units + loose, key=lambda u: u.start), wanted)


def _framed(reader: Reader) -> Iterator[Unit]:
    """Units of .eh_frame records; a record that begins inside another one ends it. PLT entries one by one."""
    ranges = _frames_by_range(reader)
    for (base, code, name, entry), frames in ranges:
        end = base + len(code)
        if name.startswith(".plt"):
            step = entry if entry in (8, 16) else 16
            for at in range(base, end, step):
                yield Unit(at, min(at + step, end), hard=True, stub=True, framed=True)
            continue
        for i, (start, stop) in enumerate(frames):
            limit = frames[i + 1][0] if i + 1 < len(frames) else end
            if start < min(stop, limit):
                yield Unit(start, min(stop, limit), hard=stop <= limit, framed=True)


def _hex(text: str) -> int:
    return int(text, 16)


def _gaps(ranges: list[tuple[int, bytes, str, int]], units: list[Unit]) -> Iterator[tuple[int, int]]:
    """Stretches of code that no record describes, without the padding before them."""
    taken = sorted((u.start, u.end) for u in units)
    for base, code, _, _ in ranges:
        at, end = base, base + len(code)
        first = bisect_right(taken, (base, 0))
        last = bisect_right(taken, (end, 0))
        for low, high in [*taken[first:last], (end, end)]:
            if at < low:
                match = PADDING.match(code, at - base, low - base)
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
        for start, end in zip(edges, edges[1:], strict=False):
            yield start, end, end in starts or end == high


def _piece(reader: Reader, known: dict[tuple[int, int, bool], Unit], start: int, end: int, hard: bool) -> Unit:
    if (start, end, hard) not in known:
        unit = known[start, end, hard] = Unit(start, end, hard)
        reader.read(unit, start)
    return known[start, end, hard]


def _finish(reader: Reader, units: list[Unit], wanted: set[int]) -> Code:
    starts = tuple(u.start for u in units)
    code = Code(tuple(units), starts, {}, {})
    edge = {a for u in units for a in u.calls | u.jumps | u.addresses}
    bases = {a for u in units for a in u.tables}
    memo: dict[int, set[int]] = {}
    for i, unit in enumerate(units):
        targets = {t for base in unit.tables for t in _table(reader, base, bases, memo)}
        if targets:
            code.tables[i] = targets
            outside = {t for t in targets if not unit.start <= t < unit.end}
            unit.jumps |= outside
            edge |= outside
    for address in sorted(edge | wanted):
        i = code.index(address)
        if i >= 0 and address != units[i].start:
            code.inner.setdefault(i, set()).add(address)
            which = reader.place(address)
            if not reader.marks[which][address - reader.ranges[which][0]]:
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


def _frames_by_range(reader: Reader) -> list[tuple[tuple[int, bytes, str, int], list[tuple[int, int]]]]:
    """The .eh_frame ranges that lie in each executable range."""
    frames = tables.frames(reader.file)
    return [(r, [f for f in frames if r[0] <= f[0] < r[0] + len(r[1])]) for r in reader.ranges]
