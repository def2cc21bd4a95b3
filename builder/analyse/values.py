"""The values a register or stack slot can have: a small abstract domain, and expressions evaluated in it.

A value is a set of constants, of names of what the unit was called with (`"rdi"`; `"@8"` for the stack slot 8 bytes
above where the stack pointer stood; `"rdi=7"` where it is known to be 7 if it comes here at all), and of places in the
unit's own stack frame; or None: anything. What is not modelled becomes "anything", so it costs precision, never
soundness.
"""

from collections.abc import Callable
from dataclasses import dataclass

from builder.analyse.arch import Architecture, Expression, Memory

MOST = 32  # members one value may have before it counts as anything
MASK64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the unit's stack frame, in bytes from the stack pointer's value at its entry."""

    offset: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What the condition flags tell of: two operands of `bits`, and how they were put together (`arch.Flags.kind`)."""

    kind: str
    bits: int
    first: int
    second: int


Member = int | str | Place | Compared
Value = frozenset[Member] | None
Location = int | tuple[int, int] | str  # a register, a stack slot (offset, bytes), FLOOR, or a register's lowest byte
State = dict[Location, frozenset[Member]]  # what is not in it can be anything

FEW = 4  # bits of a mask whose combinations are told apart
BYTE, WORD = 8, 32  # bits
FLAGS = "flags"  # where a state keeps what the flags tell
NOWHERE = 1 << 40  # beyond any frame
FLOOR = "floor"  # lowest frame offset whose address has left the registers: all above it can be written by others
READ_ONLY = Callable[[int, int], int | str | None]  # address, bytes → constant, or `!` and an import's number


def entry(arch: Architecture, slots: int = 8) -> State:
    """The state at a unit's entry: every register and the stack slots above hold what the caller put there."""
    state: State = {r: frozenset((name,)) for r, name in enumerate(arch.convention.registers)}
    state[arch.convention.stack] = frozenset((Place(0),))
    for i in range(slots):
        offset = arch.convention.call_pushes + 8 * i
        state[offset, 8] = frozenset((f"@{offset}",))
    return state


def read(state: State, arch: Architecture, location: str, *, pushes: int) -> Value:
    """What a location at a callee's entry holds when the state is that before the call: a register by its name, or a
    stack slot `@offset`, counted from the stack pointer that the callee gets after the call has pushed `pushes`."""
    if not location.startswith("@"):
        return state.get(arch.convention.registers.index(location))
    top = state.get(arch.convention.stack)
    if top is None or len(top) != 1 or not isinstance(place := next(iter(top)), Place):
        return None
    return _slot(state, place.offset - pushes + int(location[1:]), 8)


def cut(value: Value, bits: int, *, signed: bool = False) -> Value:
    """The part of a value that a narrower name reads. Entry values survive at 32 bits: no number or argument that is
    looked for is wider."""
    if value is None or bits >= 64:
        return value
    if any(isinstance(v, Place) or (isinstance(v, str) and (bits < WORD or v[0] == "!")) for v in value):
        return None
    mask, top = (1 << bits) - 1, 1 << (bits - 1)
    numbers = frozenset(v & mask if isinstance(v, int) else v for v in value)
    if not signed:
        return numbers
    return frozenset(((v ^ top) - top) & MASK64 if isinstance(v, int) else v for v in numbers)


def combined(old: Value, bits: int, new: Value) -> Value:
    """The whole register after its lowest `bits` were written; a write of 32 bits clears the rest."""
    if bits >= 32 or new is None:
        return cut(new, bits)
    if old is None or not all(isinstance(v, int) for v in old | new):
        return None
    mask = (1 << bits) - 1
    both = frozenset((o & ~mask) | (n & mask) for o in old for n in new)  # type: ignore[operator]
    return both if len(both) <= MOST else None


def address(state: State, memory: Memory) -> Value:
    """What a memory operand's address can be."""
    if memory.base == -2 or memory.index == -2:
        return None
    total: Value = frozenset((memory.displacement & MASK64,))
    if memory.base >= 0:
        total = _sum(state.get(memory.base), memory.displacement)
    if memory.index >= 0 and total is not None:
        index = state.get(memory.index)
        if index is None or not all(isinstance(v, int) for v in index) or len(total) * len(index) > MOST:
            return None
        parts = [_sum(total, v * memory.scale) for v in index if isinstance(v, int)]
        return None if None in parts else frozenset(v for p in parts if p is not None for v in p)
    return total


def _sum(value: Value, amount: int) -> Value:
    if value is None or amount == 0:
        return value
    found: set[Member] = set()
    for v in value:
        if isinstance(v, int):
            found.add((v + amount) & MASK64)
        elif isinstance(v, Place):
            signed = amount - (1 << 64) if amount >> 63 == 1 else amount
            found.add(Place(v.offset + signed))
        else:
            return None
    return frozenset(found)


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << (b & 63),
    "shr": lambda a, b: a >> (b & 63),
}


def evaluate(state: State, expression: Expression, constant: READ_ONLY) -> Value:  # noqa: PLR0911 - one for each kind
    """The values an expression can have. `constant` reads memory that nothing writes to."""
    kind = expression[0]
    if kind == "imm":
        return frozenset((expression[1],))  # type: ignore[arg-type]
    if kind == "reg":
        _, register, bits, signed = expression
        value = state.get(f"low{register}") if bits == BYTE else None
        return cut(value or state.get(register), bits, signed=bool(signed))  # type: ignore[arg-type, call-overload]
    if kind == "load":
        _, memory, size, signed = expression
        return cut(_load(state, memory, size, constant), size * 8, signed=bool(signed))  # type: ignore[arg-type, operator]
    if kind == "addr":
        return address(state, expression[1])  # type: ignore[arg-type]
    if kind == "any":
        return None
    first, second = (evaluate(state, e, constant) for e in expression[1:3])  # type: ignore[arg-type]
    if kind == "either":
        return None if first is None or second is None or len(first | second) > MOST else first | second
    return _operate(str(kind), first, second)


def _operate(kind: str, first: Value, second: Value) -> Value:
    if second is None or first is None:
        known = second if first is None else first
        return _masked(known) if kind == "and" and known is not None else None
    if kind in ("add", "sub") and len(second) == 1 and isinstance(amount := next(iter(second)), int):
        moved = _sum(first, amount if kind == "add" else -amount)
        if moved is not None:
            return moved
    if len(first) * len(second) > MOST or not all(isinstance(v, int) for v in first | second):
        return _masked(second) if kind == "and" else None
    operation = OPERATIONS[kind]
    return frozenset(operation(a, b) & MASK64 for a in first for b in second)  # type: ignore[arg-type]


def _masked(mask: frozenset[Member]) -> Value:
    """What anything can be after a mask of few bits."""
    if len(mask) != 1 or not isinstance(bits := next(iter(mask)), int) or bits.bit_count() > FEW:
        return None
    found, part = {0}, bits
    while part:
        found.add(part)
        part = (part - 1) & bits
    return frozenset(found)


def _load(state: State, memory: Memory, size: int, constant: READ_ONLY) -> Value:
    where = address(state, memory)
    if where is None:
        return None
    found: set[Member] = set()
    for one in where:
        if isinstance(one, Place):
            value = _slot(state, one.offset, size)
            if value is None:
                return None
            found |= value
        elif isinstance(one, int) and (number := constant(one, size)) is not None:
            found.add(number)
        else:
            return None
    return frozenset(found) if len(found) <= MOST else None


def _slot(state: State, offset: int, size: int) -> Value:
    for width in (size, 8, 4):
        if width >= size and (value := state.get((offset, width))) is not None:
            return value if width == size else cut(value, size * 8)
    return None


def store(state: State, memory: Memory, size: int, value: Value) -> None:
    """A write to memory: every slot it may touch is forgotten, what is written to a known slot is remembered."""
    where = address(state, memory)
    leaks = {v.offset for v in value or () if isinstance(v, Place)}
    if where is not None and len(where) == 1 and isinstance(one := next(iter(where)), Place):
        forget(state, one.offset, one.offset + size)
        if value is not None and size <= 8:
            state[one.offset, size] = value
    elif where is not None and all(isinstance(v, Place) for v in where):
        forget(state, min(v.offset for v in where if isinstance(v, Place)), NOWHERE)
    elif where is None and memory.base >= 0 and (base := state.get(memory.base)) and _of_frame(base):
        forget(state, min(v.offset for v in base if isinstance(v, Place)) + memory.displacement, NOWHERE)
    elif where is None and memory.index >= 0 and (index := state.get(memory.index)) and _of_frame(index):
        forget(state, min(v.offset for v in index if isinstance(v, Place)), NOWHERE)
    else:
        written_by_others(state)
    for offset in leaks:
        leak(state, offset)


MADE = frozenset(("addr", "and", "add", "either", "or", "reg", "shl", "shr", "sub", "xor"))


def lowest(state: State, expression: Expression, stack: int) -> int:
    """The lowest offset in the frame that an address made by an expression can have, where its value is not known: a
    part of an object may be at any place behind the object's start, but not before it."""
    kind = expression[0]
    if kind == "reg":
        return min((v.offset for v in state.get(expression[1], ()) if isinstance(v, Place)), default=NOWHERE)  # type: ignore[call-overload]
    if kind == "addr":
        memory = expression[1]
        assert isinstance(memory, Memory)
        base, index = (lowest(state, ("reg", r), stack) for r in (memory.base, memory.index))
        return min(base if base == NOWHERE else base + memory.displacement, index)
    if kind == "sub" and expression[2][:2] == ("reg", stack):  # type: ignore[index]
        return NOWHERE  # how far it is from the top of the stack: a size
    if kind not in MADE:
        return NOWHERE
    low = min(lowest(state, part, stack) for part in expression[1:3])  # type: ignore[arg-type]
    return low if kind in ("add", "either") or low == NOWHERE else -NOWHERE


def _of_frame(value: frozenset[Member]) -> bool:
    return all(isinstance(v, Place) for v in value)


def leak(state: State, offset: int) -> None:
    """An address in the frame can be used by others from now on: they may write to it and to all above it."""
    floor = min((v for v in state.get(FLOOR, ()) if isinstance(v, int)), default=NOWHERE)
    if offset < floor:
        state[FLOOR] = frozenset((offset,))


def written_by_others(state: State) -> None:
    """A write through a pointer, or a call: slots at and above the lowest address that has leaked can have changed."""
    floor = min((v for v in state.get(FLOOR, ()) if isinstance(v, int)), default=NOWHERE)
    forget(state, floor, NOWHERE)


def forget(state: State, low: int, high: int) -> None:
    """Drop the slots that share a byte with a range of the frame."""
    if low < high:
        for key in [k for k in state if isinstance(k, tuple) and k[0] < high and low < k[0] + k[1]]:
            del state[key]


def merge(old: State, new: State) -> State:
    """What holds on both of two paths."""
    merged: State = {}
    for key, value in old.items():
        other = new.get(key)
        if other is value:
            merged[key] = value
        elif other is not None:
            both = value if value == other else value | other
            if len(both) <= MOST:
                merged[key] = both
    if FLOOR in old or FLOOR in new:
        floors = [v for s in (old, new) for v in s.get(FLOOR, ()) if isinstance(v, int)]
        merged[FLOOR] = frozenset((min(floors),))
    return merged
