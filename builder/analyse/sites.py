"""System call sites of one file: their numbers and telling arguments, and the calls that pass such values on.

A number or argument that is the unit's own parameter makes the unit a *sink*: then its callers' arguments are looked
at, and so on, until constants are found. What other files pass is put together later, from the summaries.
"""

from collections.abc import Iterable, Mapping

from builder.analyse.decode import Reader, Unit, relative
from builder.analyse.features import FEATURES, WATCHED, argument_values
from builder.analyse.registers import State
from builder.analyse.units import Code
from builder.analyse.values import at
from builder.model import Value

Known = tuple[int | str, ...] | None  # constants and names of entry registers; None: anything


class Call(Value, frozen=True, array_like=True):
    """A system call instruction: the values its number can have, and those of its telling arguments by number."""

    unit: int
    address: int
    numbers: Known
    arguments: dict[int, Known]


class Site(Value, frozen=True, array_like=True):
    """A call or jump to a sink: a unit of this file, or (`callee` < 0) import number `-1 - callee`."""

    unit: int
    address: int
    callee: int
    values: dict[str, Known]


def look(
    reader: Reader, code: Code, slots: Mapping[int, int], imports: list[str]
) -> tuple[tuple[Call, ...], tuple[Site, ...]]:
    """All system call instructions of a file and all calls that pass on numbers or telling arguments."""
    search = _Search(reader, code, slots, imports)
    for i, unit in enumerate(code.units):
        if unit.syscalls:
            search.calls.extend(search.syscalls(i, unit))
    watched = {-1 - i: set(WATCHED[n]) for i, n in enumerate(imports) if n in WATCHED}
    work = watched | search.fresh
    while work:
        search.fresh = {}
        search.callers(work)
        work = search.fresh
    return tuple(search.calls), tuple(sorted(search.sites.values(), key=lambda s: (s.address, s.callee)))


class _Search:
    def __init__(self, reader: Reader, code: Code, slots: Mapping[int, int], imports: list[str]) -> None:
        self.reader, self.code, self.slots = reader, code, slots
        self.endless = code.endless()
        self.calls: list[Call] = []
        self.sites: dict[tuple[int, int], Site] = {}
        self.sinks: dict[int, set[str]] = {}
        self.fresh: dict[int, set[str]] = {}  # sinks whose callers were not looked at yet
        self.reached: dict[int, set[int]] = {}  # callee → units that call, jump to or run on into it
        self.stubs: dict[int, int] = {}  # start of a linkage table entry → import
        self._index(imports)

    def _index(self, imports: list[str]) -> None:
        for unit in self.code.units:
            if unit.stub and len(unit.slots) == 1:
                self.stubs[unit.start] = self.slots[next(iter(unit.slots))]
        watched = {i for i, n in enumerate(imports) if n in WATCHED}
        for i, unit in enumerate(self.code.units):
            for target in unit.calls | unit.jumps | unit.addresses:
                if target in self.stubs:
                    self.reached.setdefault(-1 - self.stubs[target], set()).add(i)
                elif (callee := self.code.index(target)) >= 0:
                    self.reached.setdefault(callee, set()).add(i)
            for slot in unit.slots:
                if self.slots[slot] in watched and not unit.stub:
                    self.reached.setdefault(-1 - self.slots[slot], set()).add(i)

    def states(self, i: int, wanted: Iterable[int]) -> dict[int, State]:
        """Register states of a unit before the wanted instructions."""
        inner = self.code.inner.get(i, set())
        instructions = self.reader.instructions(self.code.units[i], inner)
        return at(instructions, wanted, inner, self.code.tables.get(i, ()), self.endless)

    def known(self, i: int, state: State, register: str) -> Known:
        """A register's values; those that come from the unit's caller make the unit a sink."""
        value = state.get(register)
        if value is None:
            return None
        for entry in value:
            if isinstance(entry, str) and entry not in self.sinks.setdefault(i, set()):
                self.sinks[i].add(entry)
                self.fresh.setdefault(i, set()).add(entry)
        return tuple(sorted(value, key=str))

    def syscalls(self, i: int, unit: Unit) -> Iterable[Call]:
        """The system call instructions of a unit."""
        for address, state in sorted(self.states(i, unit.syscalls).items()):
            numbers = self.known(i, state, "rax")
            telling = [n for n in argument_values(numbers or ()) if n in FEATURES]
            arguments = {n: self.known(i, state, FEATURES[n].register) for n in telling}
            yield Call(i, address, numbers, arguments)

    def callers(self, work: Mapping[int, set[str]]) -> None:
        """Record what the callers of the given sinks pass."""
        by_caller: dict[int, set[int]] = {}
        for callee in work:
            for caller in self.reached.get(callee, ()):
                by_caller.setdefault(caller, set()).add(callee)
        for caller, callees in by_caller.items():
            self.caller(caller, callees, work)

    def caller(self, i: int, callees: set[int], work: Mapping[int, set[str]]) -> None:
        """Record the calls and jumps of one unit to the given sinks, and where it takes their addresses."""
        instructions = self.reader.instructions(self.code.units[i], self.code.inner.get(i, set()))
        wanted: dict[int, int] = {}
        taken: set[int] = set()
        for address, size, name, operands in instructions:
            callee = self.target(operands, address + size)
            if callee is not None and callee in callees:
                wanted[address] = callee
                if name[-4:] != "call" and name[0] != "j" and name[-3:] != "jmp":
                    taken.add(address)
        for address, state in self.states(i, wanted).items():
            callee = wanted[address]
            old = self.sites.get((address, callee))
            registers = work[callee] | set(old.values if old else ())
            values = {r: None if address in taken else self.known(i, state, r) for r in sorted(registers)}
            self.sites[address, callee] = Site(i, address, callee, values)

    def target(self, operands: str, after: int) -> int | None:
        """The unit or import an instruction's operand leads to, or None."""
        if operands[:2] == "0x":
            address = int(operands, 16)
        elif "rip" in operands:
            address = relative(operands, after)
            if address in self.slots:
                return -1 - self.slots[address]
        else:
            return None
        if address in self.stubs:
            return -1 - self.stubs[address]
        callee = self.code.index(address)
        return callee if callee >= 0 and self.code.starts[callee] == address else None
