"""Constant propagation inside one unit: which values can a register hold at an instruction?

A forward data-flow analysis over the unit's instructions. A value is a set of possible constants and of the unit's
own entry values (`"rdi"`: whatever the caller put there), or None: anything. What an instruction is not known to do
to a register makes that register "anything", so a forgotten instruction costs precision, never soundness.
"""

import re
from collections.abc import Iterable

from builder.analyse.units import Instruction

Value = frozenset[int | str] | None
State = dict[str, frozenset[int | str]]  # registers that are not in it can hold anything

MOST = 24  # values one register may have before it counts as anything
MASK32, MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def _names() -> dict[str, tuple[str, int]]:
    """Every general register's names: the 64-bit register it is part of, and its width in bits (9: bits 8 to 15)."""
    table: dict[str, tuple[str, int]] = {}
    for letter in "abcd":
        full = f"r{letter}x"
        pairs = ((full, 64), (f"e{letter}x", 32), (f"{letter}x", 16), (f"{letter}l", 8), (f"{letter}h", 9))
        table.update({n: (full, w) for n, w in pairs})
    for name in ("si", "di", "bp", "sp"):
        pairs = ((f"r{name}", 64), (f"e{name}", 32), (name, 16), (f"{name}l", 8))
        table.update({n: (f"r{name}", w) for n, w in pairs})
    for i in range(8, 16):
        pairs = ((f"r{i}", 64), (f"r{i}d", 32), (f"r{i}w", 16), (f"r{i}b", 8))
        table.update({n: (f"r{i}", w) for n, w in pairs})
    return table


REGISTERS = _names()
FULL = tuple(sorted({r for r, _ in REGISTERS.values()} - {"rsp"}))
ENTRY: State = {r: frozenset((r,)) for r in FULL}
CALL_LOSES = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
SYSCALL_LOSES = ("rax", "rcx", "r11")
IMPLICIT = {
    **dict.fromkeys(("mul", "imul", "div", "idiv", "cwd", "cdq", "cqo", "rdtsc", "rdmsr", "rdpmc", "xgetbv"),
                    ("rax", "rdx")),
    **dict.fromkeys(("cbw", "cwde", "cdqe", "lahf", "xlatb", "in", "cmpxchg", "int", "rdpkru"), ("rax", "rdx")),
    **dict.fromkeys(("cpuid", "cmpxchg8b", "cmpxchg16b", "rdtscp", "sysenter", "vmcall", "encls", "enclu"),
                    ("rax", "rbx", "rcx", "rdx")),
    **dict.fromkeys(("leave", "enter"), ("rbp",)),
    **dict.fromkeys(("loop", "loope", "loopne", "pcmpestri", "pcmpistri", "vpcmpestri", "vpcmpistri"), ("rcx",)),
    "syscall": SYSCALL_LOSES,
}  # fmt: skip
STRING = re.compile(r"(movs|stos|lods|scas|cmps|ins|outs)[bwdq]$")
READS_ONLY = {"cmp", "test", "nop", "push", "bt", "endbr64", "ud2", "ret", "prefetcht0", "prefetchw", "pause", "comisd"}
BRACKETS = re.compile(r"\[[^\]]*\]")
WORD = re.compile(r"[a-z][a-z0-9]*")
ADDRESS = re.compile(r"\[(\w+)(?: ([+-]) (\w+))?\]$")
ARITHMETIC = {"add", "sub", "and", "or", "xor", "shl", "shr", "sar"}


def at(
    code: list[Instruction], wanted: Iterable[int], outer: Iterable[int], tables: Iterable[int]
) -> dict[int, State]:
    """The state before each wanted instruction of a unit.

    `outer` are addresses inside the unit that something outside refers to (nothing is known there), `tables` the
    targets of its jump tables, reached from every indirect jump in it. An instruction that no path reaches is given
    the empty state: its registers can hold anything.
    """
    index = {ins[0]: i for i, ins in enumerate(code)}
    states: dict[int, State] = {0: dict(ENTRY)}
    work = [0]
    for address in outer:
        if (i := index.get(address)) is not None:
            states[i] = {}
            work.append(i)
    found: dict[int, State] = {}
    marks = {index[a] for a in wanted if a in index}
    through = [index[t] for t in tables if t in index]
    while work:
        i = work.pop()
        state = dict(states[i])
        while i < len(code):
            if i in marks:
                found[i] = dict(state)
            targets, onward = _next(code, i, index, through)
            _step(code, i, state)
            for t in targets:
                _flow(states, work, t, state)
            if not onward:
                break
            i += 1
            if i in states or len(targets) > 0:
                _flow(states, work, i, state)
                break
    return {a: found.get(index.get(a, -1), {}) for a in wanted}


def _flow(states: dict[int, State], work: list[int], i: int, state: State) -> None:
    """Merge a state into what is known before instruction `i`; look at it again if that changed something."""
    old = states.get(i)
    if old is None:
        states[i] = dict(state)
        work.append(i)
        return
    new = {r: v | state[r] for r, v in old.items() if r in state and len(v | state[r]) <= MOST}
    if new != old:
        states[i] = new
        work.append(i)


def _next(code: list[Instruction], i: int, index: dict[int, int], through: list[int]) -> tuple[list[int], bool]:
    """Where control goes after an instruction: targets inside the unit, and whether also to the next one."""
    _, _, name, operands = code[i]
    kind = name.rsplit(" ", 1)[-1]
    if kind == "jmp":
        if operands[:2] == "0x":
            return [index[t] for t in (int(operands, 16),) if t in index], False
        return through, False
    if kind[0] == "j" or kind.startswith(("loop", "xbegin")):
        return [index[t] for t in (int(operands, 16),) if t in index] if operands[:2] == "0x" else [], True
    return [], kind not in ("ret", "ud2", "hlt", "iretq")


def _step(code: list[Instruction], i: int, state: State) -> None:
    """Change the state as the instruction does."""
    _, _, name, operands = code[i]
    kind = name.rsplit(" ", 1)[-1]
    if kind == "call":
        for r in CALL_LOSES:
            state.pop(r, None)
        return
    if kind in READS_ONLY or (kind[0] == "j" and operands[:2] == "0x"):
        return
    target, _, source = operands.partition(", ")
    destination = REGISTERS.get(target)
    if destination is not None and (value := _result(code, i, state, kind, destination, source)) is not None:
        state[destination[0]] = value
        return
    for r in IMPLICIT.get(kind, ("rax", "rcx", "rdi", "rsi") if STRING.match(kind) else ()):
        state.pop(r, None)
    outside = BRACKETS.sub("", operands)
    if kind in ("mov", "movaps", "movups", "movdqa", "movdqu", "movq", "movd") and "]" in target:
        return  # a store
    for word in WORD.findall(outside):
        if word in REGISTERS:
            state.pop(REGISTERS[word][0], None)


def _result(
    code: list[Instruction], i: int, state: State, kind: str, destination: tuple[str, int], source: str
) -> Value:
    """The value an instruction leaves in its first operand, a register; None where it is not known."""
    full, width = destination
    old = state.get(full)
    if kind in ("mov", "movabs", "movzx", "movsxd", "movsx"):
        return _stored(old, width, _operand(state, source, signed=kind.startswith("movs")))
    if kind in ("xor", "sub") and REGISTERS.get(source) == destination:
        return _stored(old, width, frozenset((0,)))
    if kind == "lea":
        return _stored(old, width, _address(state, source))
    if kind.startswith("cmov"):
        other = _operand(state, source)
        mine = _cut(old, width)
        return _stored(old, width, mine | other) if mine is not None and other is not None else None
    if kind == "or" and source in ("-1", "0xffffffff", "0xffffffffffffffff"):
        return _stored(old, width, frozenset((MASK64,)))
    if kind == "sbb" and REGISTERS.get(source) == destination:
        return _stored(old, width, frozenset((0, MASK64)))
    if kind.startswith("set") and width == 8:
        return _stored(old, 8, frozenset((0, 1)))
    if kind in ("inc", "dec"):
        return _stored(old, width, _compute(_cut(old, width), "add", 1 if kind == "inc" else -1))
    if kind in ARITHMETIC and (amount := _number(source)) is not None:
        return _stored(old, width, _compute(_cut(old, width), kind, amount))
    if kind == "pop" and i and code[i - 1][2] == "push":
        return _stored(old, width, _operand(state, code[i - 1][3]))
    return None


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _operand(state: State, text: str, *, signed: bool = False) -> Value:
    """What a source operand can be: a constant or a register's values."""
    if (number := _number(text)) is not None:
        return frozenset((number & MASK64,))
    if text not in REGISTERS:
        return None
    full, width = REGISTERS[text]
    value = _cut(state.get(full), width)
    if value is None or not signed or width in (64, 9):
        return value
    top = 1 << (width - 1)
    return frozenset(v if isinstance(v, str) else ((v ^ top) - top) & MASK64 for v in value)


def _cut(value: Value, width: int) -> Value:
    """The part of a register's value that a narrower name reads. Entry values survive at 32 bits: no number or
    argument that is looked for here is wider."""
    if value is None or width == 64:
        return value
    if width < 32 and any(isinstance(v, str) for v in value):
        return None
    if width == 9:
        return frozenset(v >> 8 & 0xFF for v in value if isinstance(v, int))
    mask = (1 << width) - 1
    return frozenset(v if isinstance(v, str) else v & mask for v in value)


def _stored(old: Value, width: int, new: Value) -> Value:
    """The whole register after `new` was written to its lowest `width` bits (32-bit writes clear the upper half)."""
    if new is None or width in (32, 64):
        return _cut(new, width)
    if old is None or any(isinstance(v, str) for v in old | new):
        return None
    shift, mask = (8, 0xFF00) if width == 9 else (0, (1 << width) - 1)
    both = {(o & ~mask) | (n << shift & mask) for o in old for n in new if isinstance(o, int) and isinstance(n, int)}
    return frozenset(both) if len(both) <= MOST else None


def _address(state: State, text: str) -> Value:
    match = ADDRESS.match(text)
    if not match or match[1] not in REGISTERS or (match[2] and _number(match[3]) is None):
        return None
    distance = int(match[3], 0) if match[2] else 0
    value = _operand(state, match[1])
    return _compute(value, "add", -distance if match[2] == "-" else distance) if distance else value


def _compute(value: Value, kind: str, amount: int) -> Value:
    if value is None:
        return None
    numbers = [v for v in value if isinstance(v, int)]
    if len(numbers) != len(value):
        return None
    amount = amount & 63 if kind in ("shl", "shr", "sar") else amount
    results = {
        "add": lambda v: v + amount,
        "sub": lambda v: v - amount,
        "and": lambda v: v & amount,
        "or": lambda v: v | amount,
        "xor": lambda v: v ^ amount,
        "shl": lambda v: v << amount,
        "shr": lambda v: v >> amount,
    }.get(kind)
    return frozenset(results(v) & MASK64 for v in numbers) if results else None
