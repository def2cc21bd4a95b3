"""Jump tables of AArch64 code, found backwards from the `br` that uses them.

gcc: `adrp`+`add` table · `ldrb|ldrh|ldr w, [table, index]` · `adr base` · `add x, base, w, sxt* #2` · `br x`.
LLVM: the same with `add x, base, x, lsl #2`, or with 4-byte distances from the table itself. Entries are distances
in instructions from the base (4-byte ones from the table: in bytes), one, two or four bytes wide.
"""

from builder.analyse.arch import Table
from builder.analyse.arch.aarch64_words import ADR, ADRP, KINDS, add_immediate, page_of, written

FAR, NEAR = 400, 48  # instructions looked back at for addresses, and for the comparison that bounds the index
INDEXED = {0x38600800: (1, False), 0x78600800: (2, False), 0xB8600800: (4, True),
           0x38A00800: (1, True), 0x78A00800: (2, True), 0xB8A00800: (4, True)}  # fmt: skip
HIGHER, NOT_HIGHER = 8, 9  # conditions hi, ls


def find(words: "memoryview[int]", i: int, at: int) -> Table | None:
    """The table behind the `br` that is word `i` and stands at `at`; None where it is no such jump or hard to tell."""
    j = _definition(words, i, words[i] >> 5 & 31)
    if j is None:
        return None
    add = words[j]
    first, second = add >> 5 & 31, add >> 16 & 31
    extend = None
    if add & 0xFFE00000 == 0x8B200000:
        scale, extend = 1 << (add >> 10 & 7), add >> 13 & 7
    elif add & 0xFFE00000 == 0x8B000000:
        scale = 1 << (add >> 10 & 63)
    else:
        return None
    for base, index in ((first, second), (second, first)):
        k = _definition(words, j, index)
        origin = _address(words, j, base, at - 4 * i)
        shape = INDEXED.get(words[k] & 0xFFE00C00) if k is not None else None
        if k is None or origin is None or shape is None:
            continue
        table = _address(words, k, words[k] >> 5 & 31, at - 4 * i)
        if table is not None:
            signed = shape[1] if extend is None else bool(extend & 4) or shape[1]
            return Table(table, shape[0], signed, scale, origin, _bound(words, k))
        if scale != 1 << (add >> 10 & 7) or extend is not None:
            break
    return None


def _definition(words: "memoryview[int]", i: int, register: int) -> int | None:
    """The last instruction before word `i` that writes a register."""
    for j in range(i - 1, max(i - FAR, -1), -1):
        word = words[j]
        if register in written(word):
            return j
    return None


def _address(words: "memoryview[int]", i: int, register: int, start: int) -> int | None:
    """The constant address a register holds before word `i`; `start` is where the first word stands."""
    j = _definition(words, i, register)
    if j is None:
        return None
    word = words[j]
    if KINDS[word >> 24] in (ADR, ADRP):
        return page_of(word, start + 4 * j)
    if (offset := add_immediate(word)) >= 0:
        base = _address(words, j, word >> 5 & 31, start)
        return None if base is None else base + offset
    if word & 0xFFE0FFE0 == 0xAA0003E0:
        return _address(words, j, word >> 16 & 31, start)
    return None


def computed(words: "memoryview[int]", i: int) -> bool:
    """Whether the `br` that is word `i` goes to a sum: into a table's code, not to a function it was given."""
    j = _definition(words, i, words[i] >> 5 & 31)
    return j is not None and words[j] & 0xFF000000 == 0x8B000000


def _bound(words: "memoryview[int]", i: int) -> int:
    """How many entries the comparison of the index before the load at word `i` allows, or 0."""
    index = words[i] >> 16 & 31
    for j in range(i - 1, max(i - NEAR, 0), -1):
        word = words[j]
        if word & 0xFF000010 == 0x54000000 and word & 15 in (HIGHER, NOT_HIGHER):
            for k in range(j - 1, max(j - 4, -1), -1):
                if words[k] & 0x7F80001F == 0x7100001F and words[k] >> 5 & 31 == index:
                    return (words[k] >> 10 & 0xFFF) + 1
    return 0
