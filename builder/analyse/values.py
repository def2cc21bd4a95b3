"""Constant propagation inside one unit: which values can a register hold at an instruction?

A forward data-flow analysis over the unit's instructions. A value is a set of possible constants and of the unit's
own entry values (`"rdi"`: whatever the caller put there), or None: anything. What an instruction is not known to do
to a register makes that register "anything", so a forgotten instruction costs precision, never soundness.
"""

from collections.abc import Collection, Iterable

from builder.analyse import slots
from builder.analyse.decode import NOPS, Instruction
from builder.analyse.registers import (
    ADDRESS,
    BRACKETS,
    CALL_LOSES,
    ENTRY,
    FIRST_ONLY,
    FRAME,
    IMPLICIT,
    LOW,
    MASK32,
    MASK64,
    MOST,
    PARTS,
    READS_ONLY,
    REGISTERS,
    STRING,
    WORD,
    State,
    Value,
    compute,
    cut,
    number,
    stored,
)


def at(
    code: list[Instruction],
    wanted: Iterable[int],
    outer: Iterable[int] = (),
    tables: Iterable[int] = (),
    endless: Collection[int] = (),
) -> dict[int, State]:
    """The state before each wanted instruction of a unit.

    `outer` are addresses inside the unit that something outside refers to (nothing is known there), `tables` the
    targets of its jump tables, reached from every indirect jump in it, `endless` functions that never return. An
    instruction that no path seems to reach is taken to be reached with anything in its registers.
    """
    flow = _Flow(code, tables, endless)
    nothing: State = {FRAME: slots.private(code)}
    flow.enter(0, ENTRY | nothing)
    for address in outer:
        if (i := flow.index.get(address)) is not None:
            flow.enter(i, nothing)
    marks = {flow.index[a] for a in wanted if a in flow.index}
    flow.run(marks)
    for i, (_, _, name, _) in enumerate(code):  # code that is reached in a way we do not see
        if i not in flow.seen and name not in NOPS:
            flow.enter(i, nothing)
            flow.run(marks)
    return {a: flow.found.get(flow.index.get(a, -1), {}) for a in wanted}


class _Flow:
    """One run of the analysis: the states before the instructions where paths meet."""

    def __init__(self, code: list[Instruction], tables: Iterable[int], endless: Collection[int]) -> None:
        self.code, self.endless = code, endless
        self.index: dict[int, int] = {}
        for i, ins in enumerate(code):
            self.index.setdefault(ins[0], i)
        self.through = [self.index[t] for t in tables if t in self.index]
        self.joins = self._joins()
        self.states: dict[int, State] = {}
        self.found: dict[int, State] = {}
        self.seen: set[int] = set()
        self.work: list[int] = []

    def _joins(self) -> set[int]:
        """Instructions more than one path may lead to."""
        return {t for i in range(len(self.code)) for t in self.leads(i)[0]} | set(self.through)

    def enter(self, i: int, state: State) -> None:
        """Merge a state into what is known before instruction `i`; look at it again if that changed something."""
        self.joins.add(i)
        old = self.states.get(i)
        new = state if old is None else {
            r: v | state[r] for r, v in old.items() if r in state and (len(v | state[r]) <= MOST or r == FRAME)
        }  # fmt: skip
        if new != old:
            self.states[i] = dict(new)
            self.work.append(i)

    def run(self, marks: set[int]) -> None:
        """Follow every path until no state changes any more."""
        while self.work:
            at_ = self.work.pop()
            state = dict(self.states[at_])
            i: int | None = at_
            while i is not None:
                self.seen.add(i)
                if i in marks:
                    self.found[i] = dict(state)
                targets, onward = self.leads(i)
                equal = self.compared(i)
                _step(self.code, i, state, alone=self.alone(i))
                for t in targets:
                    self.enter(t, state | equal if self.code[i][2] == "je" else state)
                if self.code[i][2] == "jne":
                    state |= equal
                i = onward
                if i is not None and (i in self.states or i in self.joins):
                    self.enter(i, state)
                    i = None

    def alone(self, i: int) -> bool:
        """Whether only the instruction that stands before it leads to an instruction."""
        return i > 0 and i not in self.joins and self.code[i - 1][0] + self.code[i - 1][1] == self.code[i][0]

    def compared(self, i: int) -> State:
        """What a register holds where `je` jumps (or `jne` does not), after it was compared with a constant."""
        if self.code[i][2] not in ("je", "jne") or not self.alone(i):
            return {}
        _, _, name, operands = self.code[i - 1]
        register, _, other = operands.partition(", ")
        full, width = REGISTERS.get(register, ("", 0))
        if width not in (32, 64):
            return {}
        if name == "test" and other == register:
            return {full: frozenset((0,))}
        constant = number(other) if name == "cmp" else None
        return {} if constant is None else {full: frozenset((constant & (MASK32 if width == 32 else MASK64),))}

    def leads(self, i: int) -> tuple[list[int], int | None]:
        """Where control goes after an instruction: targets inside the unit, and the next one if it goes on."""
        address, size, name, operands = self.code[i]
        kind = name.rsplit(" ", 1)[-1]
        onward = self.index.get(address + size)
        if kind[0] != "j" and not kind.startswith(("loop", "xbegin")):
            if kind == "call" and operands[:2] == "0x" and int(operands, 16) in self.endless:
                return [], None
            return [], None if kind in ("ret", "ud2", "hlt", "iretq") else onward
        if operands[:2] != "0x":
            return self.through, None
        target = self.index.get(int(operands, 16))
        return [] if target is None else [target], None if kind == "jmp" else onward


def _step(code: list[Instruction], i: int, state: State, *, alone: bool) -> None:
    """Change the state as the instruction does; `alone`: only the instruction before it leads to it."""
    _, _, name, operands = code[i]
    kind = name.rsplit(" ", 1)[-1]
    if kind == "call":
        for r in CALL_LOSES:
            _forget(state, r)
        return
    if kind in READS_ONLY or (kind[0] == "j" and operands[:2] == "0x"):
        return
    target, _, source = operands.partition(", ")
    destination = REGISTERS.get(target)
    if destination is not None:
        _write(code, i, state, kind, alone=alone)
        return
    if (place := slots.parse(target)) is not None and kind != "cmp":
        _store(state, place, _operand(state, source) if kind == "mov" else None)
    if kind == "imul" and source:
        kind = "imul with its own target"
    for r in IMPLICIT.get(kind, ("rax", "rcx", "rdi", "rsi") if STRING.match(kind) else ()):
        _forget(state, r)
    if kind in ("mov", "movaps", "movups", "movdqa", "movdqu", "movq", "movd") and "]" in target:
        return  # a store
    for word in WORD.findall(BRACKETS.sub("", operands)):
        if word in REGISTERS:
            _forget(state, REGISTERS[word][0])


def _forget(state: State, register: str) -> None:
    state.pop(register, None)
    state.pop(register + LOW, None)


def _write(code: list[Instruction], i: int, state: State, kind: str, *, alone: bool) -> None:
    """An instruction whose first operand is a register."""
    address, size, _, operands = code[i]
    target, _, source = operands.partition(", ")
    full, width = REGISTERS[target]
    old = state.get(full)
    new = _result(state, kind, (full, width), source, address + size)
    if kind == "pop" and alone and code[i - 1][2] == "push":
        new = _operand(state, code[i - 1][3])
    if kind == "imul" and source:
        kind = "imul with its own target"
    for r in IMPLICIT.get(kind, ("rax", "rcx", "rdi", "rsi") if STRING.match(kind) else ()):
        _forget(state, r)
    for word in WORD.findall(BRACKETS.sub("", source)) if kind not in FIRST_ONLY and not kind.startswith(PARTS) else ():
        if word in REGISTERS:
            _forget(state, REGISTERS[word][0])
    _forget(state, full)
    if (value := stored(old, width, new)) is not None:
        state[full] = value
    elif width == 8 and new is not None and all(isinstance(v, int) for v in new):
        state[full + LOW] = new  # the lowest byte alone is known


def _store(state: State, place: tuple[int, int], value: Value) -> None:
    """A write to the unit's stack frame: what overlaps it is forgotten, what is written is remembered."""
    where, size = place
    for key in [k for k in state if k.startswith("[") and slots.overlap(k, where, size)]:
        del state[key]
    if value is not None and slots.name(where, size) in state.get(FRAME, ()):
        state[slots.name(where, size)] = value


def _result(state: State, kind: str, destination: tuple[str, int], source: str, after: int) -> Value:
    """The value an instruction leaves in its first operand, a register; None where it is not known."""
    full, width = destination
    old = state.get(full)
    new: Value = None
    same = REGISTERS.get(source) == destination
    if kind in ("mov", "movabs", "movzx", "movsxd", "movsx"):
        new = _operand(state, source, signed=kind.startswith("movs"))
    elif kind in ("xor", "sub") and same:
        new = frozenset((0,))
    elif kind == "sbb" and same:
        new = frozenset((0, MASK64))
    elif kind == "lea":
        new = _address(state, source, after)
    elif kind.startswith("cmov"):
        mine, other = cut(old, width), _operand(state, source)
        new = mine | other if mine is not None and other is not None else None
    elif kind == "or" and source in ("-1", "0xffffffff", "0xffffffffffffffff"):
        new = frozenset((MASK64,))
    elif kind.startswith("set"):
        new = frozenset((0, 1))
    elif kind in ("inc", "dec"):
        new = compute(cut(old, width), "add", 1 if kind == "inc" else -1)
    elif (amount := number(source)) is not None:
        new = compute(cut(old, width), kind, amount)
    return new


def _operand(state: State, text: str, *, signed: bool = False) -> Value:
    """What a source operand can be: a constant or a register's values."""
    if (constant := number(text)) is not None:
        return frozenset((constant & MASK64,))
    if text not in REGISTERS:
        place = slots.parse(text)
        return state.get(slots.name(*place)) if place else None
    full, width = REGISTERS[text]
    value = cut(state.get(full), width)
    if value is None and width == 8:
        value = state.get(full + LOW)
    if value is None or not signed or width in (64, 9):
        return value
    top = 1 << (width - 1)
    return frozenset(v if isinstance(v, str) else ((v ^ top) - top) & MASK64 for v in value)


def _address(state: State, text: str, after: int) -> Value:
    """The address a `lea` computes; `after` is where the next instruction stands (rip-relative operands)."""
    match = ADDRESS.match(text)
    if match and match[1] == "rip":
        distance = int(match[3], 0) if match[2] else 0
        return frozenset((after - distance if match[2] == "-" else after + distance,))
    if not match or match[1] not in REGISTERS or (match[2] and number(match[3]) is None):
        return None
    distance = int(match[3], 0) if match[2] else 0
    value = _operand(state, match[1])
    return compute(value, "add", -distance if match[2] == "-" else distance) if distance else value
