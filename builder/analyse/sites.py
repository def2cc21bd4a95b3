"""System call sites of one file: their numbers and telling arguments, and the calls that pass such values on.

A number or argument that is the unit's own parameter makes the unit a *sink*: then its callers' arguments are looked
at, and so on, until constants are found. What other files pass is put together later, from the summaries.
"""

from collections.abc import Iterable, Mapping, Sequence

from builder.analyse import flow, values
from builder.analyse.arch import Step, Unit
from builder.analyse.decode import Reader
from builder.analyse.telling import ASKED, telling, watched
from builder.analyse.units import Code
from builder.analyse.values import State
from builder.model import Value

Known = tuple[int | str, ...] | None  # constants and names of entry locations; None: anything


class Call(Value, frozen=True, array_like=True):
    """A system call instruction: the values its number can have, and those of its telling arguments by index."""

    unit: int
    address: int
    numbers: Known
    arguments: dict[int, Known]


class Site(Value, frozen=True, array_like=True):
    """A call or jump to a sink: a unit of this file, or (`callee` < 0) import number `-1 - callee`. `values` by the
    name of the location at the callee's entry."""

    unit: int
    address: int
    callee: int
    values: dict[str, Known]


def look(
    reader: Reader,
    code: Code,
    slots: Mapping[int, int],
    imports: Sequence[str],
    functions: Mapping[str, int],
    names: Mapping[int, str],
) -> tuple[tuple[Call, ...], tuple[Site, ...]]:
    """All system call instructions of a file and all calls that pass on numbers or telling arguments. `functions` are
    the file's own by name, `names` the system calls by number."""
    search = Search(reader, code, slots)
    for i, unit in enumerate(code.units):
        if unit.syscalls:
            search.calls.extend(search.syscalls(i, unit, names))
    parameters = [reader.arch.convention.registers[r] for r in reader.arch.convention.parameters]
    wanted = {-1 - i: {parameters[p] for p in watched(n)} for i, n in enumerate(imports) if watched(n)}
    for name, places in ASKED.items():
        if (own := code.index(functions.get(name, -1))) >= 0:
            wanted.setdefault(own, set()).update(parameters[p] for p in places)
    search.follow(wanted)
    return tuple(search.calls), tuple(sorted(search.sites.values(), key=lambda s: (s.address, s.callee)))


class Search:
    """The search in one file; `follow` may be called again for further imports."""

    def __init__(self, reader: Reader, code: Code, slots: Mapping[int, int]) -> None:
        self.reader, self.code, self.slots = reader, code, slots
        self.arch = reader.arch
        self.endless = code.endless()
        self.calls: list[Call] = []
        self.sites: dict[tuple[int, int], Site] = {}
        self.sinks: dict[int, set[str]] = {}
        self.fresh: dict[int, set[str]] = {}  # sinks whose callers were not looked at yet
        self.users: dict[int, set[int]] = {}  # callee → units that call, jump to or take the address of it
        self.stubs: dict[int, int] = {}  # start of a linkage table entry → import
        self.lifted: dict[int, list[Step]] = {}
        self._index()

    def _index(self) -> None:
        for unit in self.code.units:
            if unit.stub and len(unit.slots) == 1:
                self.stubs[unit.start] = self.slots[next(iter(unit.slots))]
        for i, unit in enumerate(self.code.units):
            for target in unit.calls | unit.jumps | unit.addresses:
                if target in self.stubs:
                    self.users.setdefault(-1 - self.stubs[target], set()).add(i)
                elif (callee := self.code.index(target)) >= 0:
                    self.users.setdefault(callee, set()).add(i)
            if not unit.stub:
                for slot in unit.slots:
                    self.users.setdefault(-1 - self.slots[slot], set()).add(i)

    def steps(self, i: int) -> list[Step]:
        """A unit's instructions, kept while the search goes on."""
        if i not in self.lifted:
            self.lifted[i] = self.reader.steps(self.code.units[i], self.code.inner.get(i, set()))
        return self.lifted[i]

    def states(self, i: int, wanted: Mapping[int, tuple[Iterable[str], int]]) -> dict[int, State]:
        """Register states of a unit before the wanted instructions, good enough for the locations named there; the
        number is what a call there pushes."""
        outer, through = self.code.inner.get(i, set()), self.code.tables.get(i, set())
        steps, constant = self.steps(i), self.reader.constant
        found = flow.nearby(steps, wanted, self.arch, constant, outer=outer, tables=through)
        rest = [a for a, (locations, pushes) in wanted.items() if not self.told(found.get(a, {}), locations, pushes)]
        if rest:
            found |= flow.at(steps, rest, self.arch, constant, outer=outer, tables=through, endless=self.endless)
        return found

    def told(self, state: State, locations: Iterable[str], pushes: int) -> bool:
        """Whether a state knows all of some locations."""
        return all(values.read(state, self.arch, where, pushes=pushes) is not None for where in locations)

    def known(self, i: int, state: State, location: str, pushes: int = 0) -> Known:
        """What stands in a register or stack slot; what comes from the unit's caller makes the unit a sink."""
        value = values.read(state, self.arch, location, pushes=pushes)
        if value is None or any(isinstance(v, values.Place) for v in value):
            return None
        for one in value:
            entry = one.partition("=")[0] if isinstance(one, str) else ""
            if entry and entry not in self.sinks.setdefault(i, set()):
                self.sinks[i].add(entry)
                self.fresh.setdefault(i, set()).add(entry)
        return tuple(sorted((v for v in value if isinstance(v, int | str)), key=str))

    def syscalls(self, i: int, unit: Unit, names: Mapping[int, str]) -> Iterable[Call]:
        """The system call instructions of a unit."""
        registers = self.arch.convention.registers
        number = registers[self.arch.convention.number]
        first = self.states(i, dict.fromkeys(unit.syscalls, ((number,), 0)))
        numbers = {a: self.known(i, state, number) for a, state in sorted(first.items())}
        places = {
            a: sorted({p for n in known or () if isinstance(n, int) for p in telling(names.get(n & 0xFFFFFFFF, ""))})
            for a, known in numbers.items()
        }
        arguments = [registers[r] for r in self.arch.convention.arguments]
        wanted = {a: ([arguments[p] for p in found], 0) for a, found in places.items() if found}
        second = self.states(i, wanted) if wanted else {}
        for a, known in numbers.items():
            yield Call(i, a, known, {p: self.known(i, second[a], arguments[p]) for p in places[a]})

    def follow(self, work: Mapping[int, set[str]]) -> None:
        """Record what is passed to the given sinks, to those found so far, and to those found on the way."""
        work = {**work, **{k: v | work.get(k, set()) for k, v in self.fresh.items()}}
        while work:
            self.fresh = {}
            by_caller: dict[int, set[int]] = {}
            for callee in work:
                for caller in self.users.get(callee, ()):
                    by_caller.setdefault(caller, set()).add(callee)
            for caller, callees in by_caller.items():
                self.caller(caller, callees, work)
            work = self.fresh

    def caller(self, i: int, callees: set[int], work: Mapping[int, set[str]]) -> None:
        """Record the calls and jumps of one unit to the given sinks."""
        wanted: dict[int, tuple[int, int]] = {}
        for step in self.steps(i):
            if step.kind in ("call", "jump", "branch"):
                callee = self.target(i, step)
                if callee is not None and callee in callees:
                    wanted[step.address] = callee, self.arch.convention.call_pushes if step.kind == "call" else 0
        places: dict[int, tuple[list[str], int]] = {}
        for address, (callee, pushes) in wanted.items():
            old = self.sites.get((address, callee))
            places[address] = sorted(work[callee] | set(old.values if old else ())), pushes
        for address, state in self.states(i, places).items():
            locations, pushes = places[address]
            passed = {w: self.known(i, state, w, pushes) for w in locations}
            self.sites[address, wanted[address][0]] = Site(i, address, wanted[address][0], passed)

    def target(self, i: int, step: Step) -> int | None:
        """The unit or import a call or jump leads to, or None where that is not known or is the unit itself."""
        address = step.target
        if address is None:
            if step.through is None or step.through.base != -1 or step.through.index != -1:
                return None
            slot = self.slots.get(step.through.displacement)
            return None if slot is None else -1 - slot
        if address in self.stubs:
            return -1 - self.stubs[address]
        callee = self.code.index(address)
        inside = callee == i and address != self.code.starts[i]
        return None if callee < 0 or inside or self.code.starts[callee] != address else callee
