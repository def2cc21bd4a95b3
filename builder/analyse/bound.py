"""What of a function can run when its parameters are known (pure).

`flow` merges all paths through a function. Here the parameters hold given constants, and a branch that they decide is
followed one way only: `sysconf(_SC_PAGESIZE)` opens no file, `glob` without `GLOB_TILDE` asks for no user. The
function's code and what it needs of its file stand in the file's summary as a `Body`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache

from builder.analyse import values
from builder.analyse.arch import Expression, Flags, Step, of
from builder.analyse.body import Binding, Body, Known, Outcome
from builder.analyse.conditions import holds
from builder.analyse.flow import PATIENCE, Flow
from builder.analyse.values import FLAGS, Compared, Place, State


def outcome(body: Body, bindings: frozenset[Binding]) -> Outcome:
    """What can run of a body that is called with these values and no others."""
    ran = [_run(_Same(body), binding) for binding in sorted(bindings, key=str)]
    runs = frozenset[int]().union(*(one[0] for one in ran))
    held: dict[int, dict[str, Known]] = {}
    for _, known in ran:
        for address, here in known.items():
            before = held.setdefault(address, dict.fromkeys(here, ()))
            for where, now in here.items():
                old = before[where]
                before[where] = None if now is None or old is None else tuple(sorted({*old, *now}, key=str))
    active = [b for b in body.blocks if b.start in runs]
    return Outcome(
        tuple(sorted({*body.always}.union(*(b.edges for b in active)))),
        tuple(sorted({u for b in active for u in b.uses})),
        tuple(sorted({p for b in active for p in b.paths})),
        held,
    )


class _Same:
    """A body as a key: by identity, since its content takes long to compare."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def __hash__(self) -> int:
        return id(self.body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.body is self.body


@lru_cache(maxsize=4096)
def _run(same: _Same, binding: Binding) -> tuple[frozenset[int], dict[int, dict[str, Known]]]:
    """The instructions of a body that can run with one binding, and what the asked locations hold."""
    body, arch = same.body, of(same.body.machine)
    known = values.entry(arch)
    for name, value in zip(body.parameters, binding, strict=True):
        if value is not None:
            known[arch.convention.registers.index(name)] = frozenset((value,))
    flow = _flow(same)
    flow.start(known, (*body.outer, *body.unseen))
    states = flow.states_at({a for a, _, _ in body.asked})
    held: dict[int, dict[str, Known]] = {}
    for address, pushes, locations in body.asked:
        if (state := states.get(address)) is not None:
            held[address] = {w: _known(values.read(state, arch, w, pushes=pushes)) for w in locations}
    return frozenset(flow.steps[i].address for i in flow.seen), held


def _known(value: values.Value) -> Known:
    if value is None or not all(isinstance(v, int) or (isinstance(v, str) and v[0] != "!") for v in value):
        return None
    return tuple(sorted((v for v in value if isinstance(v, int | str)), key=str))


def unseen(body: Body) -> tuple[int, ...]:
    """Where code begins in a body that no path leads to that is seen, whatever the parameters are."""
    flow = _flow(_Same(body))
    seen: set[int] = set()
    found: list[int] = []
    starts = [0, *(flow.index[a] for a in body.outer), *range(len(flow.steps))]
    for number, start in enumerate(starts):
        if start in seen or (number > len(body.outer) and flow.steps[start].kind == "nop"):
            continue
        if number > len(body.outer):
            found.append(flow.steps[start].address)
        work = [start]
        while work:
            i = work.pop()
            if i not in seen:
                seen.add(i)
                targets, onward = flow.leads[i]
                work += [*targets, onward] if onward is not None else targets
    return tuple(found)


def _flow(same: _Same) -> "_Bound":
    steps, flags = _code(same)
    body = same.body

    def constant(address: int, size: int) -> int | None:
        for at, raw in body.memory:
            if at <= address and address + size <= at + len(raw):
                return int.from_bytes(raw[address - at : address - at + size], "little")
        return None

    flow = _Bound(steps, of(body.machine), constant, body.through, body.endless)
    flow.flags = flags
    return flow


@lru_cache(maxsize=64)
def _code(same: _Same) -> tuple[list[Step], Mapping[int, Flags]]:
    body, arch = same.body, of(same.body.machine)
    return arch.lift(body.code, body.start), arch.flags(body.code, body.start) or {}


class _Bound(Flow):
    """The flow that knows the condition flags, and leaves out branches that they decide against."""

    flags: Mapping[int, Flags]

    @property
    def general(self) -> set[int]:
        """The registers that can hold an address for others."""
        return set(range(len(self.arch.convention.registers))) - {self.arch.convention.stack}

    def start(self, state: State, outer: tuple[int, ...]) -> None:
        """Everything that can run from the function's entry, and from where something outside leads to."""
        if state:
            self.enter(0, state)
        for address in outer:
            if (i := self.index.get(address)) is not None:
                self.enter(i, {})
        while self.work:
            first = self.work.pop()
            self._path(first, dict(self.states[first]), lambda _step, _state: None)

    def states_at(self, wanted: Collection[int]) -> dict[int, State]:
        """The state before each wanted instruction that can run, once all is settled."""
        found: dict[int, State] = {}

        def note(step: Step, state: State) -> None:
            if step.address in wanted:
                old = found.get(step.address)
                found[step.address] = dict(state) if old is None else values.merge(old, state)

        if wanted:
            for start in list(self.states):
                self._path(start, dict(self.states[start]), note)
        return found

    def _path(self, start: int, state: State, note: Callable[[Step, State], None]) -> None:
        """The straight way from where paths meet to where they meet again."""
        i: int | None = start
        before: Step | None = None
        while i is not None:
            step = self.steps[i]
            self.seen.add(i)
            note(step, state)
            targets, onward = self._ways(i, step, state)
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

    def _ways(self, i: int, step: Step, state: State) -> tuple[list[int], int | None]:
        targets, onward = self.leads[i]
        if step.kind == "branch" and step.address in self.flags:
            ways = self._decided(self.flags[step.address].condition, state)
            return (targets if True in ways else []), (onward if False in ways else None)
        if step.kind == "jump" and step.target is None:
            where = self._jump(step, state)
            if where and all(isinstance(a, int) and a in self.index for a in where):
                return [self.index[a] for a in where if isinstance(a, int)], None
        return targets, onward

    def _jump(self, step: Step, state: State) -> values.Value:
        expression = step.sets[0][2] if step.sets else ("load", step.through, 8, False)
        return values.evaluate(state, expression, self.constant)

    # ---- addresses in the frame: told to others only where they leave the registers ------------------------------

    def keep(self, r: int, value: frozenset[values.Member], state: State) -> None:
        """A register may hold an address in the frame: it is told to others later, if at all."""

    def enter(self, i: int, state: State) -> None:
        """As in the flow; others may use an address that is lost sight of where paths meet."""
        old = self.states.get(i)
        if old is not None and old != state:
            merged = values.merge(old, state) if self.visits.get(i, 0) < PATIENCE else {}
            low = [
                p.offset
                for s in (old, state)
                for r, value in s.items()
                for p in value
                if isinstance(p, Place) and r in self.general and p not in merged.get(r, ())
            ]
            if low:
                state = dict(state)
                values.leak(state, min(low))
        super().enter(i, state)

    def _tell(self, step: Step, state: State) -> None:
        """Addresses in the frame that an instruction hands to others, or does with what is not modelled."""
        convention = self.arch.convention
        gone: Collection[int] = ()
        if step.kind == "call":
            gone = {*convention.parameters, *convention.call_loses} - {convention.returns, convention.stack}
        elif step.kind == "syscall":
            gone = convention.arguments
        elif step.opaque:
            gone = self.general
        for r in gone:
            for p in state.get(r, ()):
                if isinstance(p, Place):
                    values.leak(state, p.offset)

    def apply(self, step: Step, state: State) -> None:
        """Change a state as an instruction does, the flags too."""
        self._tell(step, state)
        flags = self.flags.get(step.address)
        if step.kind in ("call", "syscall"):
            state.pop(FLAGS, None)
        if flags is None:
            super().apply(step, state)
            return
        ways = self._decided(flags.condition, state) if flags.condition else set()
        told = self._told(flags, state) if flags.kind else state.get(FLAGS)
        if len(ways) == 1 and step.sets:
            way = next(iter(ways))
            step = replace(step, sets=tuple((r, bits, _taken(e, way)) for r, bits, e in step.sets))
        super().apply(step, state)
        state.pop(FLAGS, None)
        if told:
            state[FLAGS] = told

    def _told(self, flags: Flags, state: State) -> frozenset[values.Member] | None:
        if flags.kind == "?":
            return None
        first = values.evaluate(state, flags.first, self.constant)
        second = frozenset((0,)) if flags.kind == "value" else values.evaluate(state, flags.second, self.constant)
        if first is None or second is None or len(first) * len(second) > values.MOST:
            return None
        mask = (1 << flags.bits) - 1
        pairs = [(a, b) for a in first for b in second if isinstance(a, int) and isinstance(b, int)]
        if len(pairs) < len(first) * len(second):
            return None
        return frozenset(Compared(flags.kind, flags.bits, a & mask, b & mask) for a, b in pairs)

    def _decided(self, condition: str, state: State) -> set[bool]:
        """Which ways a condition can turn out."""
        told = state.get(FLAGS)
        found = {holds(condition, c) if isinstance(c, Compared) else None for c in told or (None,)}
        return {True, False} if None in found else {way for way in found if way is not None}


def _taken(expression: Expression, way: bool) -> Expression:
    """Of a choice that the flags decide, what is chosen."""
    if expression[0] != "either":
        return expression
    part = expression[2 if way else 1]
    return part if isinstance(part, tuple) else expression
