"""Constant propagation inside one unit: which values can a register hold at an instruction?

A forward data-flow analysis over the unit's instructions, in the domain of `values`. Paths that meet are merged; an
instruction that no path seems to reach is taken to be reached with anything in its registers.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from builder.analyse import values
from builder.analyse.arch import Architecture, Step
from builder.analyse.values import READ_ONLY, Place, State

ONWARD = frozenset(("next", "nop", "syscall", "branch", "call"))  # kinds of steps that run on
LOW = tuple(f"low{r}" for r in range(64))  # where a state keeps a register's lowest byte
LEADS = frozenset(("jump", "branch"))  # kinds of steps that go elsewhere in the unit
PATIENCE = 12  # changes of what is known before an instruction, after which what still grows counts as anything


def at(
    steps: list[Step],
    wanted: Iterable[int],
    arch: Architecture,
    constant: READ_ONLY,
    *,
    outer: Iterable[int] = (),
    tables: Iterable[int] = (),
    endless: Collection[int] = (),
) -> dict[int, State]:
    """The state before each wanted instruction of a unit.

    `outer` are addresses inside the unit that something outside refers to (nothing is known there), `tables` the
    targets of its jump tables, reached from every indirect jump in it, `endless` functions that never return.
    """
    flow = Flow(steps, arch, constant, tables, endless)
    marks = {flow.index[a] for a in wanted if a in flow.index}
    flow.before(marks)
    flow.enter(0, values.entry(arch))
    for address in outer:
        if (i := flow.index.get(address)) is not None:
            flow.enter(i, {})
    flow.run(marks)
    for i, step in enumerate(steps):  # code that is reached in a way we do not see, but for padding
        if i not in flow.seen and step.kind != "nop":
            flow.enter(i, {})
            flow.run(marks)
    return {a: flow.found.get(flow.index.get(a, -1), {}) for a in wanted}


def nearby(
    steps: list[Step],
    wanted: Collection[int],
    arch: Architecture,
    constant: READ_ONLY,
    *,
    outer: Collection[int] = (),
    tables: Collection[int] = (),
) -> dict[int, State]:
    """What is known before each wanted instruction from the straight code before it alone: quick, and never more than
    `at` knows."""
    flow = Flow(steps, arch, constant, tables, ())
    joins = flow.joins | {flow.index[a] for a in outer if a in flow.index}
    found: dict[int, State] = {}
    for first, last in _straight(steps, wanted, joins):
        state = {} if first or 0 in joins else values.entry(arch)
        for step in steps[first : last + 1]:
            if step.address in wanted:
                found[step.address] = dict(state)
            flow.apply(step, state)
    return found


def _straight(steps: list[Step], wanted: Collection[int], joins: set[int]) -> Iterator[tuple[int, int]]:
    """The stretches of straight code, from where paths meet to the last wanted instruction before they do again."""
    begin, last, follows = 0, -1, -1
    for i, step in enumerate(steps):
        if i in joins or follows != step.address:
            if last >= begin:
                yield begin, last
            begin = i
        if step.address in wanted:
            last = i
        follows = step.address + step.size if step.kind in ONWARD else -1
    if last >= begin and steps:
        yield begin, last


class Flow:
    """One run of the analysis: the states before the instructions where paths meet."""

    def __init__(
        self,
        steps: list[Step],
        arch: Architecture,
        constant: READ_ONLY,
        tables: Iterable[int],
        endless: Collection[int],
    ) -> None:
        self.steps, self.arch, self.constant, self.endless = steps, arch, constant, endless
        self.index: dict[int, int] = {}
        for i, step in enumerate(steps):
            self.index.setdefault(step.address, i)
        self.through = [self.index[t] for t in tables if t in self.index]
        leading = [step.target for step in steps if step.kind in LEADS and step.target in self.index]
        self.joins = {self.index[t] for t in leading if t is not None} | set(self.through)
        self.relevant: set[int] | None = None  # instructions that lead to a wanted one; None: all
        self.states: dict[int, State] = {}
        self.found: dict[int, State] = {}
        self.seen: set[int] = set()
        self.visits: dict[int, int] = {}
        self.work: list[int] = []

    @cached_property
    def leads(self) -> list[tuple[list[int], int | None]]:
        """For each step the instructions it jumps to, and the one that follows it (None: it does not run on)."""
        return [self._leads(step) for step in self.steps]

    def _leads(self, step: Step) -> tuple[list[int], int | None]:
        match step.kind:
            case "next" | "nop" | "syscall":
                return [], self.index.get(step.address + step.size)
            case "jump":
                direct = self.index.get(step.target) if step.target is not None else None
                indirect = self.through if step.target is None else []
                return ([direct] if direct is not None else indirect), None
            case "branch":
                target = self.index.get(step.target) if step.target is not None else None
                return ([target] if target is not None else []), self.index.get(step.address + step.size)
            case "call" if step.target not in self.endless:
                return [], self.index.get(step.address + step.size)
        return [], None

    def before(self, marks: set[int]) -> None:
        """Find the instructions from which a wanted one can be reached; no other needs to be looked at."""
        sources: dict[int, list[int]] = {}
        for i, (targets, onward) in enumerate(self.leads):
            for t in targets:
                sources.setdefault(t, []).append(i)
            if onward is not None:
                sources.setdefault(onward, []).append(i)
        self.relevant = set(marks)
        work = list(marks)
        while work:
            for i in sources.get(work.pop(), ()):
                if i not in self.relevant:
                    self.relevant.add(i)
                    work.append(i)
        self.seen = set(range(len(self.steps))) - self.relevant

    def enter(self, i: int, state: State) -> None:
        """Merge a state into what is known before instruction `i`; look at it again if that changed something."""
        if self.relevant is not None and i not in self.relevant:
            return
        self.joins.add(i)
        old = self.states.get(i)
        new = dict(state) if old is None else values.merge(old, state)
        if old is not None and new != old:
            self.visits[i] = self.visits.get(i, 0) + 1
            if self.visits[i] > PATIENCE:  # a counter: it would grow with every round
                new = {k: v for k, v in new.items() if k == values.FLOOR or v == old.get(k)}
        if new != old:
            self.states[i] = new
            self.work.append(i)

    def run(self, marks: set[int]) -> None:
        """Follow every path until no state changes any more."""
        while self.work:
            start = self.work.pop()
            state = dict(self.states[start])
            i: int | None = start
            before: Step | None = None
            while i is not None:
                step = self.steps[i]
                self.seen.add(i)
                if i in marks:
                    self.found[i] = dict(state)
                targets, onward = self.leads[i]
                equal = self.learned(before, step, state)
                self.apply(step, state)
                for t in targets:
                    self.enter(t, state | equal if step.equal else state)
                if step.equal is False:
                    state |= equal
                before, i = step, onward
                if i is not None and i in self.joins:
                    self.enter(i, state)
                    i = None

    def learned(self, before: Step | None, step: Step, state: State) -> State:
        """What a register holds where a comparison with a constant just before turned out equal. An entry value that
        is that constant keeps its name: only callers that pass the constant come here."""
        compares = step.compares or (before.compares if before else None)
        if step.equal is None or compares is None or compares[1] < values.WORD:
            return {}
        register, bits, constant = compares
        number = constant & ((1 << bits) - 1)
        old = state.get(register, frozenset())
        entries = [v for v in old if isinstance(v, str)]
        if len(old) == len(entries) == 1:
            return {register: old if "=" in entries[0] else frozenset((f"{entries[0]}={number}",))}
        return {register: frozenset((number,))}

    def apply(self, step: Step, state: State) -> None:
        """Change a state as an instruction does."""
        if step.kind == "call":
            self._call(state)
        elif step.kind == "syscall":
            self._lose(self.arch.convention.syscall_loses, state)
            values.written_by_others(state)
        written = []
        for r, bits, expression in step.sets:
            if r >= 0:
                value = values.evaluate(state, expression, self.constant)
                written.append((r, bits, value))
                if value is None and expression[0] in values.MADE and r != self.arch.convention.stack:
                    values.leak(state, values.lowest(state, expression, self.arch.convention.stack))
        for memory, size, expression in step.stores:
            values.store(state, memory, size, values.evaluate(state, expression, self.constant))
        for r in step.clobbers:
            state.pop(r, None)
            state.pop(LOW[r], None)
        for r, bits, value in written:
            new = values.combined(state.get(r), bits, value)
            state.pop(LOW[r], None)
            if new is None and bits == values.BYTE and value is not None:
                state[LOW[r]] = value  # the lowest byte alone is known
            if new is None:
                state.pop(r, None)
                continue
            state[r] = new
            self.keep(r, new, state)

    def keep(self, r: int, value: frozenset[values.Member], state: State) -> None:
        """A register gets a value: an address in the frame that it holds may be used by others from now on."""
        if r not in (self.arch.convention.stack, self.arch.convention.frame):
            for v in value:
                if isinstance(v, Place):
                    values.leak(state, v.offset)

    def _lose(self, registers: tuple[int, ...], state: State) -> None:
        for r in registers:
            state.pop(r, None)
            state.pop(LOW[r], None)

    def _call(self, state: State) -> None:
        self._lose(self.arch.convention.call_loses, state)
        values.written_by_others(state)
        top = state.get(self.arch.convention.stack)
        if top and len(top) == 1 and isinstance(place := next(iter(top)), Place):
            values.forget(state, -values.NOWHERE, place.offset)
