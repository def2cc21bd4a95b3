"""The A64 encodings that the analysis looks at, by mask over 4-byte words.

Source: Arm Architecture Reference Manual for A-profile (DDI 0487), C4.1 "A64 instruction set encoding".
"""

NOP = 0xD503201F
HINT, HINT_MASK = 0xD503201F, 0xFFFFF01F  # nop, bti, paciasp, autiasp, yield, …
ZERO = 31  # xzr or sp, by instruction

PLAIN, CALL, JUMP, BRANCH, REGISTER, EXCEPTION, LITERAL, ADR, ADRP, INVALID = range(10)  # in this order: see users
LOADS = 0x08  # bits 27 and 25 of a word, as bits of its top byte: x1x0


def _kind(top: int) -> int:  # noqa: PLR0911 - one for each kind
    """What the top byte of an instruction says of it."""
    group = top & 0x1E
    if group in (0x02, 0x06) or (group == 0 and top < 0x80):
        return INVALID  # unallocated; with bit 31 it is SME
    if top & 0xFC == 0x94:
        return CALL
    if top & 0xFC == 0x14:
        return JUMP
    if top == 0x54 or top & 0x7C == 0x34:
        return BRANCH
    if top in (0xD6, 0xD7):
        return REGISTER
    if top == 0xD4:
        return EXCEPTION
    if top & 0x1F == 0x10:
        return ADRP if top & 0x80 else ADR
    return LITERAL if top in (0x18, 0x58, 0x98, 0x1C, 0x5C, 0x9C) else PLAIN


KINDS = bytes(_kind(top) for top in range(256))


def signed(value: int, bits: int) -> int:
    """The number that the lowest `bits` of a value are in two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def branch_target(word: int, at: int) -> int:
    """Where a direct branch or call leads to."""
    top = word >> 24
    if top & 0x7C == 0x14:
        return at + 4 * signed(word, 26)
    if top & 0x7E == 0x36:  # tbz, tbnz
        return at + 4 * signed(word >> 5, 14)
    return at + 4 * signed(word >> 5, 19)


def page_of(word: int, at: int) -> int:
    """The address that adr or adrp computes."""
    distance = signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
    return (at & ~0xFFF) + (distance << 12) if word >> 31 else at + distance


def add_immediate(word: int) -> int:
    """What a 64-bit add of a constant adds, or -1 for other instructions."""
    if word & 0xFF800000 != 0x91000000:
        return -1
    return (word >> 10 & 0xFFF) << (12 if word >> 22 & 1 else 0)


def scaled_size(word: int) -> int:
    """Bytes that a load or store with an unsigned scaled offset moves, or 0 for other instructions."""
    if word & 0x3B000000 != 0x39000000:
        return 0
    size = word >> 30
    return 16 if word >> 26 & 1 and size == 0 and word >> 23 & 1 else 1 << size


def logical_immediate(word: int) -> int | None:
    """The constant of and, orr, eor, ands (DecodeBitMasks), or None where it is reserved."""
    n, rotate, ones = word >> 22 & 1, word >> 16 & 63, word >> 10 & 63
    length = (n << 6 | (~ones & 63)).bit_length() - 1
    if length < 1:
        return None
    size = 1 << length
    run, turn = ones & (size - 1), rotate & (size - 1)
    if run == size - 1:
        return None
    pattern = (1 << (run + 1)) - 1
    pattern = (pattern >> turn | pattern << (size - turn)) & ((1 << size) - 1)
    value = 0
    for at in range(0, 64, size):
        value |= pattern << at
    return value


def stack_slot(word: int, register: int) -> int:
    """Where in the frame a store puts a 64-bit register, in bytes from the stack pointer after it, or -1."""
    if word >> 5 & 31 != ZERO:
        return -1
    if word & 0xFE400000 == 0xA8000000 and register in (word & 31, word >> 10 & 31):
        offset = 0 if word >> 24 & 1 and word >> 23 & 1 else 8 * signed(word >> 15, 7)
        return offset + (8 if word & 31 != register else 0)
    if word & 31 != register:
        return -1
    if word & 0xFFC00000 == 0xF9000000:
        return (word >> 10 & 0xFFF) * 8
    return 0 if word & 0xFFE00C00 == 0xF8000C00 else -1


def pair_offset(word: int) -> int | None:
    """The offset of a load or store of a pair that leaves its base alone, or None for other instructions."""
    if word & 0x3A000000 != 0x28000000 or word >> 23 & 1:
        return None
    vector, opc = word >> 26 & 1, word >> 30
    return signed(word >> 15, 7) * (4 << opc if vector else 8 if opc == 2 else 4)


def loads(word: int) -> bool:
    """Whether an instruction is of the loads and stores."""
    return word >> 24 & 0x0A == LOADS


def access(word: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:  # noqa: PLR0911 - one for each group
    """Of a load or store: general registers it writes, those whose value it stores or indexes with, and its base."""
    target, base, second, other = word & 31, word >> 5 & 31, word >> 10 & 31, word >> 16 & 31
    vector = word >> 26 & 1
    load = word >> 22 & 1
    group = word & 0x3A000000
    if word & 0x3B000000 in (0x18000000, 0x1C000000):  # literal
        return (() if vector or word >> 30 == 3 else (target,)), (), -1
    if word & 0xBE000000 == 0x0C000000:  # vectors of structures
        return ((base,) if word >> 23 & 1 else ()), ((other,) if word >> 23 & 1 else ()), base
    if word & 0x3F000000 == 0x08000000:
        return _exclusive(word), ((other,) if load and not word >> 21 & 1 else (target, second, other)), base
    if group == 0x28000000:  # pairs; bit 23: writes the base back
        back = (base,) if word >> 23 & 1 else ()
        if vector:
            return back, (), base
        return ((target, second, *back), (), base) if load else (back, (target, second), base)
    if group == 0x38000000:
        return _single(word)
    return (target, base, other), (target, other), base  # memory copies, tags, unscaled release and acquire


def _exclusive(word: int) -> tuple[int, ...]:
    """Registers that exclusive, ordered and compare-and-swap accesses write."""
    target, second, other = word & 31, word >> 10 & 31, word >> 16 & 31
    load, ordered, pair = word >> 22 & 1, word >> 23 & 1, word >> 21 & 1
    if ordered and pair:
        return (other,)
    if ordered:
        return (target,) if load else ()
    if pair and not word >> 31:
        return other, (other + 1) & 31
    return ((target, second) if pair else (target,)) if load else (other,)


def _single(word: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    target, base, other = word & 31, word >> 5 & 31, word >> 16 & 31
    vector, opc, size, mode = word >> 26 & 1, word >> 22 & 3, word >> 30, word >> 10 & 3
    prefetch = not vector and size == 3 and opc == 2
    writes = () if vector or opc == 0 or prefetch else (target,)
    reads = () if vector or opc != 0 else (target,)
    if word >> 24 & 1:
        return writes, reads, base
    if not word >> 21 & 1:
        return ((*writes, base) if mode & 1 else writes), reads, base
    if mode == 0 and not vector:  # atomic operations on memory
        return (target,), (other,), base
    if mode & 1:  # with a signed pointer; bit 11: writes the base back
        return ((target, base) if word >> 11 & 1 else (target,)), (), base
    return writes, (*reads, other), base


def written(word: int) -> tuple[int, ...]:  # noqa: PLR0911 - one for each group
    """General registers (31: sp or none) that an instruction may write, direct branches left out."""
    target, top = word & 31, word >> 24
    if loads(word):
        return access(word)[0]
    group = top & 0x1E
    if group in (0x10, 0x12):  # with constants
        return (target,)
    if group in (0x0A, 0x1A):  # with registers; ccmp and ccmn write none
        return () if word & 0x3FE00000 == 0x3A400000 else (target,)
    if group in (0x0E, 0x1E):
        return (target,) if _to_general(word) else ()
    if group in (0x04, 0x00):  # SVE, SME
        return (target,)
    if top == 0xD5:
        return (target,) if word >> 21 & 1 else ()  # mrs, sysl
    if KINDS[top] in (CALL, REGISTER):
        return (30,)
    return ()


def _to_general(word: int) -> bool:
    """Whether an instruction on vector registers can write a general one: conversions, umov, smov."""
    if word & 0x7F20FC00 == 0x1E200000 or word & 0x7F200000 == 0x1E000000:
        return True
    return word & 0xBFE08400 == 0x0E000400 and word >> 11 & 15 in (5, 7)


def read(word: int) -> tuple[int, ...]:
    """General registers that an instruction may take a value from, the base of a load or store left out."""
    first, second, third = word >> 5 & 31, word >> 16 & 31, word >> 10 & 31
    if loads(word):
        return access(word)[1]
    group = word >> 24 & 0x1E
    if group == 0x10:  # add, sub of a constant; adr
        return (first,) if word >> 24 & 1 else ()
    if group == 0x12:
        kind = word >> 23 & 3
        return () if kind == 1 else (first, second) if kind == 3 else (first,)
    if group == 0x0A:
        return first, second
    if group == 0x1A:
        return (first, second, third) if word >> 24 & 1 else (first, second)
    return ()
