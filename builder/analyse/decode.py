"""Reading the executable parts of one file: which places each stretch of code refers to.

Every unit is decoded from its start, so that data between functions cannot shift the decoding of the next; and again
from each place inside that is referred to but did not come out as an instruction.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from builder.analyse import elf
from builder.analyse.arch import Step, Text, Unit, of
from builder.analyse.elf import Elf

POINTER = 8  # bytes
Range = tuple[int, bytes, str, int]  # address, code, section name, size of its entries


class Reader:
    """Decodes the executable parts of one file. `slots` are the addresses the loader fills from symbols."""

    def __init__(self, file: Elf, slots: Iterable[int]) -> None:
        self.file = file
        self.arch = of(file.machine)
        self.slots = frozenset(slots)
        self.changed: set[int] | None = None  # variables that may change; None: all of them
        self.imports: Mapping[int, int] = {}  # slots by the number of their import
        self.ranges = _ranges(file)
        self.bases = [r[0] for r in self.ranges]
        self.first = min(self.bases, default=0)
        self.last = max((base + len(code) for base, code, _, _ in self.ranges), default=0)
        self.low = min(s.address for s in file.loads())
        self.high = max(s.address + s.memory_size for s in file.loads())
        self.fixed = file.kind == elf.ET_EXEC
        self.text = Text([(base, code) for base, code, _, _ in self.ranges])
        self.scanner = self.arch.scanner(self.low, self.high, self.text, fixed=self.fixed)

    def place(self, address: int) -> int:
        """Which executable range an address lies in, or -1."""
        if not self.first <= address < self.last:
            return -1
        i = bisect_right(self.bases, address) - 1
        return i if i >= 0 and address < self.bases[i] + len(self.ranges[i][1]) else -1

    def constant(self, address: int, size: int) -> int | str | None:
        """The number at an address that nothing can write to, `!` and an import's number where the loader puts the
        import's address, or None."""
        if size == POINTER and address in self.imports:
            return f"!{self.imports[address]}"
        for s in self.file.loads():
            if s.address <= address and address + size <= s.address + s.file_size:
                at = s.offset + address - s.address
                if s.flags & elf.PF_W and (
                    self.changed is None or not self.changed.isdisjoint(range(address, address + size))
                ):
                    return None
                return int.from_bytes(self.file.data[at : at + size], "little")
        return None

    def bytes_of(self, start: int, end: int) -> bytes:
        """The code of a stretch inside one range."""
        base, code, _, _ = self.ranges[self.place(start)]
        return code[start - base : end - base]

    def steps(self, unit: Unit, inner: Iterable[int] = ()) -> list[Step]:
        """A unit's instructions from its start on, then those from each place inside that is referred to, and from
        after bytes that are none, as far as they did not come out before."""
        found: list[Step] = []
        seen: set[int] = set()
        starts = [unit.start, *sorted(inner)]
        for start in starts:  # grows while it is walked
            if start in seen:
                continue
            steps = self.arch.lift(self.bytes_of(start, unit.end), start)
            for step in steps:
                if step.address in seen:
                    break
                seen.add(step.address)
                found.append(step)
                if step.target is not None and unit.start <= step.target < unit.end and not unit.framed:
                    starts.append(step.target)
            else:
                after = steps[-1].address + steps[-1].size if steps else start
                if unit.framed and after + 1 < unit.end:
                    starts.append(after + 1)
        return found

    def read(self, unit: Unit, start: int) -> None:
        """Decode a unit from `start` on and add what it refers to.

        Where no record says that the unit is code, decoding ends at bytes that are no instruction (constants may
        stand there) and goes on where the unit itself jumps to.
        """
        done: set[int] = set()
        todo = [start]
        while todo:
            at = todo.pop()
            if at not in done:
                labels = self.scanner.sweep(self.bytes_of(at, unit.end), at, unit, done)
                if not unit.framed:
                    todo.extend(labels)
        self._settle(unit)

    def _settle(self, unit: Unit) -> None:
        """Sort what a unit refers to into code, slots and data."""
        if not unit.places and not unit.data and not unit.maybe:
            return
        aligned = self.arch.convention.aligned
        code = {a for a in unit.places | unit.maybe if a % aligned == 0 and self.place(a) >= 0}
        found = (unit.places | unit.data | unit.maybe) & self.slots
        if found:
            unit.slots |= found
            unit.data -= found
        unit.places -= code
        unit.maybe -= code
        inside = range(unit.start, unit.end if unit.framed else unit.start + 1)
        unit.addresses |= {a for a in code if a not in inside}


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
