"""What AArch64's loads and stores do, as `Step`s. Source: Arm Architecture Reference Manual (DDI 0487), C4.1.94."""

from builder.analyse.arch import ANY, Expression, Memory, Step
from builder.analyse.arch.aarch64_words import ZERO, access, signed

WIDE = 64  # bytes that what is not modelled may write


def step(word: int, at: int) -> Step:
    """One load or store."""
    if word & 0x3B000000 in (0x18000000, 0x1C000000):
        return _literal(word, at)
    if word & 0x3A000000 == 0x28000000:
        return _pair(word, at)
    if word & 0x3B000000 == 0x39000000 or word & 0x3B200000 == 0x38000000:
        return _single(word, at)
    if word & 0x3B200C00 == 0x38200800:
        return _indexed(word, at)
    return _other(word, at)


def _other(word: int, at: int) -> Step:
    """What is not modelled: it may write to its base, if it is not one of the loads without side effect."""
    writes, _, base = access(word)
    where = Memory(base, -1, 1, 0) if word & 0x3F000000 == 0x08000000 else Memory(-2, -1, 1, 0)
    only_loads = word & 0x3F600000 in (0x08400000, 0x08C00000)
    return Step(at, 4, stores=() if only_loads else ((where, WIDE, ANY),), clobbers=writes)


def _literal(word: int, at: int) -> Step:
    where = Memory(-1, -1, 1, at + 4 * signed(word >> 5, 19))
    opc = word >> 30
    if word >> 26 & 1 or opc == 3 or word & 31 == ZERO:
        return Step(at, 4)
    size = 8 if opc == 1 else 4
    return Step(at, 4, sets=((word & 31, 64 if opc else 32, ("load", where, size, opc == 2)),))


def _stored(register: int, size: int) -> Expression:
    return ("imm", 0) if register == ZERO else ("reg", register, min(size * 8, 64), False)


def _moved(base: int, offset: int, mode: int) -> tuple[Memory, tuple[tuple[int, int, Expression], ...]]:
    """Where an access goes, and how it changes its base: mode 1 afterwards, 3 before, others not at all."""
    beyond = Memory(base, -1, 1, offset)
    if mode == 1:
        return Memory(base, -1, 1, 0), ((base, 64, ("addr", beyond)),)
    return beyond, ((base, 64, ("addr", beyond)),) if mode == 3 else ()


def _pair(word: int, at: int) -> Step:
    first, second, base = word & 31, word >> 10 & 31, word >> 5 & 31
    vector, opc = word >> 26 & 1, word >> 30
    size = 4 << opc if vector else 8 if opc == 2 else 4
    if opc == 1 and not vector and not word >> 22 & 1:  # stgp: with tags, in units of 16
        return Step(at, 4, stores=((Memory(-2, -1, 1, 0), WIDE, ANY),), clobbers=access(word)[0])
    where, sets = _moved(base, signed(word >> 15, 7) * size, word >> 23 & 3)
    above = Memory(where.base, -1, 1, where.displacement + size)
    places = ((first, where), (second, above))
    if not word >> 22 & 1:
        values = tuple((m, size, ANY if vector else _stored(r, size)) for r, m in places)
        return Step(at, 4, stores=values, sets=sets)
    if vector:
        return Step(at, 4, sets=sets)
    bits = 64 if opc else 32
    read = tuple((r, bits, ("load", m, size, opc == 1)) for r, m in places if r != ZERO)
    return Step(at, 4, sets=(*read, *sets))


def _single(word: int, at: int) -> Step:
    """An unsigned scaled offset, or a signed one with or without writing the base back."""
    size = 1 << (word >> 30)
    if word >> 26 & 1 and size == 1 and word >> 23 & 1:
        size = 16
    if word >> 24 & 1:
        where, sets = _moved(word >> 5 & 31, (word >> 10 & 0xFFF) * size, 0)
    else:
        where, sets = _moved(word >> 5 & 31, signed(word >> 12, 9), word >> 10 & 3)
    return _moving(word, at, where, size, sets)


def _indexed(word: int, at: int) -> Step:
    size = 1 << (word >> 30)
    if word >> 26 & 1 and size == 1 and word >> 23 & 1:
        size = 16
    scale = size if word >> 12 & 1 else 1
    index, kind = word >> 16 & 31, word >> 13 & 7
    if index == ZERO:
        where = Memory(word >> 5 & 31, -1, 1, 0)
    else:
        whole = kind in (3, 7)  # the others extend 32 bits
        where = Memory(word >> 5 & 31, index if whole else -2, scale, 0)
    return _moving(word, at, where, size, ())


def _moving(word: int, at: int, where: Memory, size: int, sets: tuple[tuple[int, int, Expression], ...]) -> Step:
    target, opc, vector = word & 31, word >> 22 & 3, word >> 26 & 1
    if vector:
        return Step(at, 4, stores=() if opc & 1 else ((where, size, ANY),), sets=sets)
    if opc == 0:
        return Step(at, 4, stores=((where, size, _stored(target, size)),), sets=sets)
    if target == ZERO or (size == 8 and opc == 2):
        return Step(at, 4, sets=sets)
    bits = 32 if opc == 3 or (opc == 1 and size < 8) else 64
    return Step(at, 4, sets=((target, bits, ("load", where, size, opc > 1)), *sets))
