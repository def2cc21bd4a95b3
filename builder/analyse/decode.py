"""Decoding the executable parts of one file: which places each stretch of code refers to.

Every unit is decoded from its start, so that data between functions cannot shift the decoding of the next; and again
from each place inside that is referred to but did not come out as an instruction.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from builder.analyse import elf
from builder.analyse.elf import Elf

Instruction = tuple[int, int, str, str]  # address, size, mnemonic, operands as capstone writes them
Range = tuple[int, bytes, str, int]  # address, code, section name, size of its entries

ENDS = {"ret", "jmp", "bnd jmp", "notrack jmp", "ud2", "hlt", "int3", "bnd ret", "repz ret", "rep ret", "iretq"}
BRANCHES = {"call", "bnd call", "bnd jmp", "notrack jmp", "loop", "loope", "loopne", "xbegin"}
NOPS = {"nop", "int3", "endbr64"}
ABSOLUTE = re.compile(r"0x[0-9a-f]{5,}")


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
    returns: bool = False  # has a return, or an indirect jump


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

    def instructions(self, unit: Unit, inner: Iterable[int] = ()) -> list[Instruction]:
        """A unit's decoded instructions from its start on, then those from each place inside that is referred to and
        did not come out; bytes that are no instruction come as `.byte`."""
        base, code, _, _ = self.ranges[self.place(unit.start)]
        found: list[Instruction] = []
        seen: set[int] = set()
        starts = [unit.start, *sorted(inner)]
        for start in starts:  # grows while it is walked
            for ins in self.decoder.disasm_lite(code[start - base : unit.end - base], start):
                if ins[0] in seen or (ins[2] == ".byte" and not unit.framed):
                    break
                seen.add(ins[0])
                found.append(ins)
                if not unit.framed and ins[3][:2] == "0x" and (ins[2][0] == "j" or ins[2] in BRANCHES):
                    starts.extend(t for t in (_hex(ins[3]),) if unit.start <= t < unit.end and t not in seen)
        return found

    def read(self, unit: Unit, start: int) -> None:
        """Decode a unit from `start` on and add what it refers to.

        Where no record says that the unit is code, decoding ends at bytes that are no instruction (constants may
        stand there) and goes on where the unit itself jumps to.
        """
        which = self.place(start)
        done: set[int] = set()
        todo = self._sweep(unit, start, which, done)
        while todo and not unit.framed:
            target = todo.pop()
            if target not in done:
                todo |= self._sweep(unit, target, which, done)
        self._settle(unit)

    def _sweep(self, unit: Unit, start: int, which: int, done: set[int]) -> set[int]:
        """Decode one stretch in a row; the unit's own labels that it jumps to. `done` are addresses decoded so far."""
        base, code, _, _ = self.ranges[which]
        marks, high, fixed, framed = self.marks[which], unit.end, self.fixed, unit.framed
        last = ""
        local: set[int] = set()
        for address, size, name, operands in self.decoder.disasm_lite(code[start - base : high - base], start):
            if framed:
                marks[address - base] = 1
            elif address in done or name == ".byte":
                last = "hlt"
                break
            else:
                done.add(address)
            if name not in NOPS:
                last = name
            if "rip" in operands:
                target = relative(operands, address + size)
                (unit.addresses if name == "lea" else unit.data).add(target)
                unit.returns |= name[-3:] == "jmp"
            elif operands[:2] == "0x" and (name[0] == "j" or name in BRANCHES):
                self._branch(unit, name, int(operands, 16), local)
            elif name == "syscall":
                unit.syscalls.add(address)
            elif name[-3:] == "ret" or name[-3:] == "jmp":
                unit.returns = True
            elif name == "sysenter" or (name == "int" and operands == "0x80"):
                unit.legacy.add(address)
            if fixed and "0x" in operands:
                unit.addresses.update(v for v in map(_hex, ABSOLUTE.findall(operands)) if self.low <= v < self.high)
        unit.falls |= last not in ENDS and not (unit.hard and last[-4:] == "call")
        return local

    def _branch(self, unit: Unit, name: str, target: int, local: set[int]) -> None:
        """Sort a direct call or jump. A call within a unit that no record describes leads to a function of its own."""
        inside = unit.start <= target < unit.end
        if inside:
            local.add(target)
        if name[-4:] == "call" and not (inside and unit.framed):
            unit.calls.add(target)
        elif not inside:
            unit.jumps.add(target)

    def _settle(self, unit: Unit) -> None:
        """Sort what a unit refers to into code, slots and data."""
        both = unit.addresses | unit.data
        unit.tables |= {a for a in unit.addresses if self.place(a) < 0}
        unit.slots = {a for a in both if a in self.slots}
        code = {a for a in unit.addresses if self.place(a) >= 0}
        unit.data = both - unit.slots - code
        unit.addresses = {a for a in code if not unit.start <= a < unit.end}


def relative(operands: str, after: int) -> int:
    """The address a rip-relative operand means; `after` is where the next instruction stands."""
    begin = operands.index("rip") + 3
    distance = operands[begin : operands.index("]", begin)].replace(" ", "")
    return after + (int(distance, 16) if distance else 0)


def _hex(text: str) -> int:
    return int(text, 16)


def _ranges(file: Elf) -> list[Range]:
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
