"""What AArch64 instructions do to the general registers and to memory, as `Step`s.

The frequent ones are modelled; of all others the encoding's class says which registers they may write. Register 31
is the stack pointer; where an instruction means the zero register, the constant 0 stands. Source: Arm Architecture
Reference Manual (DDI 0487), C4.1.
"""

from builder.analyse.arch import ANY, Expression, Memory, Step
from builder.analyse.arch import aarch64_memory as memory
from builder.analyse.arch.aarch64_words import (
    ADR,
    ADRP,
    BRANCH,
    CALL,
    EXCEPTION,
    HINT,
    HINT_MASK,
    INVALID,
    JUMP,
    KINDS,
    NOP,
    REGISTER,
    ZERO,
    add_immediate,
    branch_target,
    loads,
    logical_immediate,
    page_of,
    scaled_size,
    written,
)

MASK = (1 << 64) - 1
LOGICAL = ("and", "or", "xor", "and")
EQUAL = {0: True, 1: False}  # conditions eq, ne


def lift(code: bytes, start: int) -> list[Step]:
    """Every instruction of a stretch of code as a Step; bytes that are no instruction end it."""
    steps: list[Step] = []
    found = _Loaded()
    for i, word in enumerate(memoryview(code[: len(code) & ~3]).cast("I")):
        if KINDS[word >> 24] == INVALID:
            break
        at = start + 4 * i
        steps.append(_step(word, at, found))
        found.follow(word, at)
    return steps


class _Loaded:
    """Which registers hold what was loaded from a known place: calls through them are calls through that place. Known
    is what stands in the straight code before; whatever something else may lead to is left out."""

    def __init__(self) -> None:
        self.pages: dict[int, int] = {}
        self.places: dict[int, int] = {}

    def follow(self, word: int, at: int) -> None:
        """Take note of one instruction."""
        kind = KINDS[word >> 24]
        if kind != ADRP and kind not in (JUMP, BRANCH, CALL, REGISTER) and not self.pages and not self.places:
            return
        target, base = word & 31, word >> 5 & 31
        page = self.pages.get(base)
        if kind in (JUMP, BRANCH, CALL, REGISTER):
            self.pages.clear()
            self.places.clear()
            return
        for register in written(word):
            self.pages.pop(register, None)
            self.places.pop(register, None)
        if kind == ADRP:
            self.pages[target] = page_of(word, at)
        elif page is not None and word & 0xFFC00000 == 0xF9400000:
            self.places[target] = page + (word >> 10 & 0xFFF) * 8


def _step(word: int, at: int, found: _Loaded) -> Step:
    kind = KINDS[word >> 24]
    if kind in (CALL, JUMP, BRANCH, REGISTER, EXCEPTION):
        return _control(word, at, kind, found)
    if word & HINT_MASK == HINT:
        signs = (30,) if word & 0xFFFFFD1F == 0xD503211F or word == 0xD50320FF else ()  # pointer authentication
        return Step(at, 4, "nop" if word == NOP else "next", clobbers=(*signs, 16, 17) if signs else ())
    if loads(word):
        return memory.step(word, at)
    value = _value(word, at)
    if value is None:
        vector = word >> 29 == 7 and word >> 24 & 0x1E in (0x04, 0x00)  # SVE and SME: they may store
        stores = ((Memory(-2, -1, 1, 0), 64, ANY),) if vector else ()
        return Step(at, 4, stores=stores, clobbers=written(word))
    target = word & 31
    zero_means_stack = (word & 0x1F000000 == 0x11000000 and not word >> 29 & 1) or word & 0x7F800000 in LOGICAL_STACK
    zero_means_stack |= word & 0x7FE00000 == 0x0B200000 or word & 0x7FE00000 == 0x4B200000
    if target == ZERO and not zero_means_stack:
        return Step(at, 4, compares=_compares(word))
    bits = 64 if word >> 31 or KINDS[word >> 24] in (ADR, ADRP) else 32
    return Step(at, 4, sets=((target, bits, value),), compares=_compares(word))


LOGICAL_STACK = (0x12000000, 0x32000000, 0x52000000)  # and, orr, eor of a constant


def _compares(word: int) -> tuple[int, int, int] | None:
    """The register and constant that subs or ands (tst with itself) compare."""
    bits, register = (64 if word >> 31 else 32), word >> 5 & 31
    if word & 0x7F800000 == 0x71000000 and register != ZERO and register != word & 31:
        amount = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
        return register, bits, amount
    if word & 0x7FE0FC00 == 0x6A000000 and register == word >> 16 & 31 != word & 31:
        return register, bits, 0
    if word & 0x7F800000 == 0x31000000 and register != ZERO and register != word & 31:  # cmn
        return register, bits, -(word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    return None


def _control(word: int, at: int, kind: int, found: _Loaded) -> Step:  # noqa: PLR0911 - one for each kind
    if kind == EXCEPTION:
        if word & 0xFFE0001F == 0xD4000001:
            return Step(at, 4, "syscall")
        return Step(at, 4, "stop" if word & 0xFFE0001F in (0xD4200000, 0xD4400000) else "next")
    if kind != REGISTER:
        target = branch_target(word, at)
        if kind != BRANCH:
            return Step(at, 4, "call" if kind == CALL else "jump", target=target)
        top = word >> 24
        if top == 0x54:
            return Step(at, 4, "branch", target=target, equal=EQUAL.get(word & 15))
        if top & 0x7E == 0x34:
            compares = (word & 31, 64 if top >> 7 else 32, 0) if word & 31 != ZERO else None
            return Step(at, 4, "branch", target=target, compares=compares, equal=not top & 1)
        return Step(at, 4, "branch", target=target)
    way = word >> 21 & 3
    if way not in (0, 1) or word >> 23 & 1:
        return Step(at, 4, "return")
    register = word >> 5 & 31
    place = found.places.get(register)
    through = Memory(-1, -1, 1, place) if place is not None else None
    return Step(at, 4, "call" if way else "jump", through=through, sets=((-1, 64, ("reg", register, 64, False)),))


def _reg(register: int, bits: int) -> Expression:
    return ("imm", 0) if register == ZERO else ("reg", register, bits, False)


def _value(word: int, at: int) -> Expression | None:  # noqa: PLR0911 - one for each group
    """What an instruction that writes its lowest register field and no other puts there, or None."""
    group = word >> 24 & 0x1E
    bits = 64 if word >> 31 else 32
    if group == 0x10:
        if KINDS[word >> 24] in (ADR, ADRP):
            return ("imm", page_of(word, at) & MASK)
        return _add_immediate(word, bits)
    if group == 0x12:
        return _constant(word, bits)
    if group == 0x0A:
        return _two(word, bits)
    if group == 0x1A:
        return _conditional(word, bits)
    if word >> 20 == 0xD53:  # mrs
        return ANY
    return None


def _add_immediate(word: int, bits: int) -> Expression | None:
    if word >> 23 & 1:  # with tags
        return None
    amount = (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)
    return "sub" if word >> 30 & 1 else "add", ("reg", word >> 5 & 31, bits, False), ("imm", amount)


def _constant(word: int, bits: int) -> Expression | None:
    kind, source = word >> 23 & 3, _reg(word >> 5 & 31, bits)
    opc = word >> 29 & 3
    if kind == 0:
        mask = logical_immediate(word)
        return None if mask is None else (LOGICAL[opc], source, ("imm", mask & ((1 << bits) - 1)))
    if kind == 1:
        shift = (word >> 21 & 3) * 16
        value = (word >> 5 & 0xFFFF) << shift
        if opc == 3:
            return "or", ("and", _reg(word & 31, bits), ("imm", MASK ^ (0xFFFF << shift))), ("imm", value)
        return None if opc == 1 else ("imm", value if opc else ~value & ((1 << bits) - 1))
    return _field(word, bits, opc, source) if kind == 2 else None


def _field(word: int, bits: int, opc: int, source: Expression) -> Expression | None:
    """Shifts by a constant and the reading of a field: sbfm and ubfm."""
    low, last = word >> 16 & 63, word >> 10 & 63
    if opc == 0 and low == 0 and last in (7, 15, 31):
        return source if source[0] == "imm" else ("reg", word >> 5 & 31, last + 1, True)
    if opc != 2:
        return None
    if last < low:  # the field is moved up
        kept = ("and", source, ("imm", (1 << (last + 1)) - 1))
        return ("shl", source if last == low - 1 else kept, ("imm", bits - low))
    if low == 0 and last in (7, 15, 31) and source[0] == "reg":
        return ("reg", word >> 5 & 31, last + 1, False)
    moved = ("shr", source, ("imm", low)) if low else source
    return moved if last == bits - 1 else ("and", moved, ("imm", (1 << (last - low + 1)) - 1))


def _two(word: int, bits: int) -> Expression | None:
    """Logical, add and subtract of two registers."""
    first, second = _reg(word >> 5 & 31, bits), _shifted(word, bits)
    opc = word >> 29 & 3
    if word >> 24 & 1:
        if word >> 21 & 1:  # extended: the first one can be the stack pointer
            first, second = ("reg", word >> 5 & 31, bits, False), _extended(word)
        return None if second is None else ("sub" if opc & 2 else "add", first, second)
    if second is None:
        return None
    if word >> 21 & 1:
        if opc == 1 and second[0] == "imm":
            return ("imm", MASK)
        second = ("xor", second, ("imm", MASK))
    if opc == 1 and first == ("imm", 0):
        return second
    return ("imm", 0) if opc == 2 and first == second else (LOGICAL[opc], first, second)


def _shifted(word: int, bits: int) -> Expression | None:
    register, kind, amount = word >> 16 & 31, word >> 22 & 3, word >> 10 & 63
    source = _reg(register, bits)
    if not amount or register == ZERO:
        return source
    return (("shl", "shr")[kind], source, ("imm", amount)) if kind < 2 else None


def _extended(word: int) -> Expression | None:
    register, kind, amount = word >> 16 & 31, word >> 13 & 7, word >> 10 & 7
    source: Expression = ("imm", 0) if register == ZERO else ("reg", register, 8 << (kind & 3), bool(kind & 4))
    return ("shl", source, ("imm", amount)) if amount else source


def _conditional(word: int, bits: int) -> Expression | None:
    """csel and its kin: one of two values. (udiv, madd and the like are not modelled.)"""
    first, second = _reg(word >> 5 & 31, bits), _reg(word >> 16 & 31, bits)
    if word & 0x1FE00000 != 0x1A800000 or word >> 29 & 1:
        return None
    if word >> 30 & 1:
        second = ("sub", ("imm", 0), second) if word >> 10 & 1 else ("xor", second, ("imm", MASK))
    elif word >> 10 & 1:
        second = ("add", second, ("imm", 1))
    return "either", first, second


def masked(code: bytes, start: int) -> bytes:
    """The code without what a linker fills in: distances of calls, of jumps out of it and of literals, pages and the
    places in them, offsets of this thread's data; padding after it is left out."""
    source = memoryview(code[: len(code) & ~3]).cast("I")
    split: set[int] = set()  # registers that hold a page, or this thread's pointer
    ever: set[int] = set()
    out = [0] * len(source)
    length = 0
    for i, word in enumerate(source):
        kind = KINDS[word >> 24]
        length = i + 1 if word not in (NOP, 0) else length
        out[i] = _blanked(word, start + 4 * i, range(start, start + len(code)), split, source[i - 1] if i else 0)
        if kind == JUMP or (kind == REGISTER and word >> 21 & 3 != 1):
            split = set(ever)  # what follows is reached from elsewhere
        elif kind in (CALL, BRANCH, REGISTER):
            continue
        elif kind in (ADR, ADRP) or word & 0xFFFFFFE0 == THREAD:
            split.add(word & 31)
            ever.add(word & 31)
        elif not (word & 0xFFC00000 == 0x91400000 and word >> 5 & 31 in split):  # add of the upper part
            split.difference_update(written(word))
        else:
            split.add(word & 31)
    return b"".join(word.to_bytes(4, "little") for word in out[:length])


THREAD = 0xD53BD040  # mrs x0, tpidr_el0


def _blanked(word: int, at: int, inside: range, split: set[int], before: int) -> int:
    """An instruction without what a linker fills in; `split` are registers with the first part of an address."""
    kind = KINDS[word >> 24]
    if kind in (CALL, JUMP, BRANCH):
        if branch_target(word, at) in inside:
            return word
        return word & (0xFC000000 if kind != BRANCH else 0xFF00001F)
    if kind in (ADR, ADRP):
        return word & 0x9F00001F
    if word >> 5 & 31 in split and (add_immediate(word) >= 0 or scaled_size(word)):
        return word & 0xFFC003FF
    offset = before & 0xFFE0001F == 0xD2A00000 | word & 31 and word & 0xFFE00000 == 0xF2800000  # of thread's data
    return word & 0xFFE0001F if offset else word
