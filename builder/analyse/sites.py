"""System call sites of one file: their numbers and telling arguments, and the calls that pass such values on.

A number or argument that is the unit's own parameter makes the unit a *sink*: then its callers' arguments are looked
at, and so on, until constants are found. What other files pass is put together later, from the summaries.
"""

from collections.abc import Iterable, Mapping, Sequence

from builder.analyse import flow, golang, values
from builder.analyse.arch import Expression, Memory, Step, Unit
from builder.analyse.decode import Reader
from builder.analyse.telling import ASKED, telling, watched
from builder.analyse.units import Code
from builder.analyse.values import State
from builder.value import Value

NOWHERE = -(1 << 40)  # less than any import's number
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
    search = Search(reader, code, slots, functions)
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

    def __init__(self, reader: Reader, code: Code, slots: Mapping[int, int], functions: Mapping[str, int]) -> None:
        self.reader, self.code, self.slots = reader, code, slots
        self.arch = reader.arch
        self.endless = code.endless - {a for n, a in functions.items() if n.startswith(golang.RETURNS)}
        self.endless |= {a for n, a in functions.items() if n.startswith(golang.NEVER)}
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
        known = {start: -1 - import_ for start, import_ in self.stubs.items()}
        for i, unit in enumerate(self.code.units):
            for targets in (unit.calls, unit.jumps, unit.addresses):
                for target in targets:
                    callee = known.get(target)
                    if callee is None:
                        found = self.code.index(target)
                        callee = known[target] = found if found >= 0 else NOWHERE
                    if callee != NOWHERE:
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
        if value is None or any(isinstance(v, values.Place) or (isinstance(v, str) and v[0] == "!") for v in value):
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
                itself = {callee} if callee >= 0 else set()  # a unit's calls of itself are not among what it refers to
                for caller in self.users.get(callee, set()) | itself:
                    by_caller.setdefault(caller, set()).add(callee)
            for caller, callees in by_caller.items():
                self.caller(caller, callees, work)
                self.pointed(caller, callees, work)
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

    def pointed(self, i: int, callees: set[int], work: Mapping[int, set[str]]) -> None:
        """Record the calls of one unit to the given sinks through pointers it holds in registers or in its frame. A
        pointer that may leave the unit, or that is lost sight of, is recorded as a call that passes anything."""
        unit = self.code.units[i]
        held = {self.slots[slot] for slot in unit.slots}
        marks: dict[values.Member, int] = {
            f"!{-1 - c}" if c < 0 else self.code.starts[c]: c
            for c in callees
            if (-1 - c in held if c < 0 else self.code.starts[c] in unit.addresses)
        }
        if not marks:
            return
        steps = self.steps(i)
        loads = [s for s in steps if any(self.taken(e) in marks for _, _, e in s.sets)]
        if not loads:
            return
        wanted = {s.address: ((), 0) for s in steps if s.kind in ("call", "jump", "return") or s.stores}
        states = flow.at(
            steps,
            wanted,
            self.arch,
            self.reader.constant,
            outer=self.code.inner.get(i, set()),
            tables=self.code.tables.get(i, ()),
            endless=self.endless,
        )
        lost = False
        called: set[int] = set()
        for step in steps:
            if (state := states.get(step.address)) is None:
                continue
            through = self.through(step, state)
            lost |= step.kind in ("call", "jump") and bool(step.sets) and through is None
            pushes = self.arch.convention.call_pushes if step.kind == "call" else 0
            for mark in marks.keys() & (through or set()):
                callee = marks[mark]
                called.add(callee)
                passed = {w: self.known(i, state, w, pushes) for w in sorted(work[callee])}
                self.sites[step.address, callee] = Site(i, step.address, callee, passed)
            for mark in marks.keys() & self.exposed(step, state):
                self.anything(i, step.address, marks[mark], work)
        for load in loads:
            for _, _, expression in load.sets:
                callee = marks.get(self.taken(expression) or "", 0)
                if self.taken(expression) in marks and (lost or callee not in called):
                    self.anything(i, load.address, callee, work)

    def anything(self, i: int, address: int, callee: int, work: Mapping[int, set[str]]) -> None:
        """Record a place that may pass anything to a sink."""
        self.sites[address, callee] = Site(i, address, callee, dict.fromkeys(sorted(work[callee])))

    def taken(self, expression: Expression) -> values.Member | None:
        """The pointer to a function or import that an expression gives without any register, as a value's member."""
        if expression[0] in ("load", "addr") and isinstance(memory := expression[1], Memory):
            if memory.base != -1 or memory.index != -1:
                return None
            if expression[0] == "addr":
                return memory.displacement
            found = self.slots.get(memory.displacement)
            return None if found is None else f"!{found}"
        return expression[1] if expression[0] == "imm" and isinstance(expression[1], int) else None

    def through(self, step: Step, state: State) -> values.Value:
        """Where an indirect call or jump can lead."""
        if step.kind not in ("call", "jump") or step.target is not None:
            return frozenset()
        expression: Expression = step.sets[0][2] if step.sets else ("load", step.through, 8, False)
        if step.through is not None and step.through.base == -1:
            return frozenset()  # directly through the import's place: a call that is seen already
        return values.evaluate(state, expression, self.reader.constant)

    def exposed(self, step: Step, state: State) -> set[values.Member]:
        """Values that leave the unit here: passed on, returned, or written to memory that is not its frame's."""
        convention = self.arch.convention
        registers: tuple[int, ...] = ()
        if step.kind in ("call", "jump"):
            registers = convention.parameters
        elif step.kind == "return":
            registers = (convention.returns,)
        found = {v for r in registers for v in state.get(r) or ()}
        for memory, _, expression in step.stores:
            where = values.address(state, memory)
            if where is None or not all(isinstance(v, values.Place) for v in where):
                found |= values.evaluate(state, expression, self.reader.constant) or set()
        return found

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
