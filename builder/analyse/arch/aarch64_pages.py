"""Addresses that AArch64 code makes of two parts: `adrp` gives a page, a later instruction the place in it.

From each `adrp` on, every path is followed as long as the register holds the page: also past calls (gcc knows what
registers its own functions leave alone), out of the unit (cold parts of functions are units of their own) and over
indirect jumps. What an instruction that no path is certain to lead to would compute counts as referred to, but begins
no object. A page that is kept in memory, computed with, or never used counts as a whole.
"""

from builder.analyse.arch import Text, Unit
from builder.analyse.arch.aarch64_words import (
    BRANCH,
    CALL,
    EXCEPTION,
    INVALID,
    JUMP,
    KINDS,
    LITERAL,
    PLAIN,
    REGISTER,
    add_immediate,
    branch_target,
    loads,
    page_of,
    pair_offset,
    read,
    scaled_size,
    signed,
    stack_slot,
    written,
)

KEPT = range(19, 29)  # registers that calls leave alone
SCRATCH = 27  # Go's assembler builds addresses in it (REGTMP): nothing else keeps a value there
LONGEST = 8192  # instructions followed from one page's origin; behind them the page counts as a whole


class Pages:
    """Follows pages through the code of one file."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.heads: dict[tuple[int, int], list[int]] = {}

    def pair(self, words: "memoryview[int]", i: int, at: int, unit: Unit) -> None:
        """The addresses made from the `adrp` that is word `i` and stands at `at`."""
        word = words[i]
        register, page = word & 31, page_of(word, at)
        if i + 1 < len(words):  # most often the next instruction completes it in the same register
            after = words[i + 1]
            if after >> 5 & 31 == register and after & 31 == register:
                if (offset := add_immediate(after)) >= 0:
                    last = words[i + 2] if i + 2 < len(words) else 0
                    if unit.go and register == SCRATCH and last >> 5 & 31 == SCRATCH and (size := scaled_size(last)):
                        access(unit, last, page + offset + (last >> 10 & 0xFFF) * size)
                    else:
                        unit.places.add(page + offset)
                    return
                if after & 0xFFC00000 in (0xF9400000, 0xB9400000):
                    unit.data.add(page + (after >> 10 & 0xFFF) * scaled_size(after))
                    return
        _Walk(self, unit, page).run(at + 4, register)

    def save_slot(self, unit: Unit, register: int) -> int:
        """Where the first store of a register into a unit's frame puts it, or -1."""
        found = self.text.words(unit.start)
        base, words = found if found else (unit.start, ())
        first = (unit.start - base) // 4
        slots = (stack_slot(word, register) for word in words[first : first + (unit.end - unit.start) // 4])
        return next((slot for slot in slots if slot >= 0), -1)

    def after_barriers(self, unit: Unit) -> list[int]:
        """Places in a unit behind instructions that never run on: indirect jumps and exceptions may lead there."""
        key = (unit.start, unit.end)
        if key not in self.heads:
            words = self.text.words(unit.start)
            if words is None:
                return []
            base, view = words
            first, last = (unit.start - base) // 4, min((unit.end - base) // 4, len(view)) - 1
            self.heads[key] = [base + 4 * (i + 1) for i in range(first, last) if _ends(view[i])]
        return self.heads[key]


def _ends(word: int) -> bool:
    kind = KINDS[word >> 24]
    return kind in (JUMP, INVALID) or (kind == REGISTER and word >> 21 & 3 != 1) or word & 0xFFE0001F == 0xD4200000


def access(unit: Unit, word: int, place: int) -> None:
    """Note a load or store with a known place; a store changes up to 32 bytes from there on."""
    unit.data.add(place)
    if not (word >> 22 & 1 or (word >> 23 & 1 and not word >> 26 & 1)):
        unit.writes.update(range(place, place + 32, 4))


class _Walk:
    """The paths from one `adrp`."""

    def __init__(self, pages: Pages, unit: Unit, page: int) -> None:
        self.pages, self.unit, self.page = pages, unit, page
        self.seen: set[int] = set()  # address and register
        self.todo: list[tuple[int, int, bool]] = []
        self.everywhere: set[int] = set()  # registers in which it may have arrived behind every barrier
        self.used = False

    def run(self, at: int, register: int) -> None:
        """Follow all paths from an address on, with the page in a register."""
        self.todo.append((at, register, True))
        while self.todo:
            if len(self.seen) > LONGEST:
                self.used = False
                break
            self.path(*self.todo.pop())
        if not self.used:
            self.unit.pages.add(self.page)

    def path(self, at: int, register: int, certain: bool) -> None:
        """Follow one path until the register is written."""
        found = self.pages.text.words(at)
        if found is None:
            return
        base, words = found
        seen = self.seen
        for i in range((at - base) // 4, len(words)):
            here = base + 4 * i
            key = here << 5 | register
            if key in seen:
                return
            seen.add(key)
            word = words[i]
            kind = KINDS[word >> 24]
            if kind == PLAIN:
                met = word >> 5 & 31 == register or word & 31 == register
                met = met or word >> 16 & 31 == register or word >> 10 & 31 == register
                if met and (not self.use(word, here, register, certain) or register in written(word)):
                    return
            elif kind == INVALID or (kind >= LITERAL and word & 31 == register):
                return
            elif kind < LITERAL:
                if not self.control(word, kind, here, register, certain):
                    return
                if kind in (CALL, REGISTER):
                    certain = False
                    if here + 4 == self.unit.end:
                        return  # a call that does not come back

    def control(self, word: int, kind: int, at: int, register: int, certain: bool) -> bool:
        """Note where an instruction leads to; whether it runs on."""
        if kind in (JUMP, BRANCH):
            target = branch_target(word, at)
            if target << 5 | register not in self.seen:
                self.todo.append((target, register, certain))
            return kind == BRANCH
        if kind == EXCEPTION:
            return word & 0xFFE0001F != 0xD4200000
        calls = kind == CALL or word >> 21 & 3 == 1
        if (register in KEPT if calls else word >> 21 & 3 == 0) and register not in self.everywhere:
            self.everywhere.add(register)
            heads = self.pages.after_barriers(self.unit)
            self.todo.extend((a, register, False) for a in heads if a << 5 | register not in self.seen)
        return calls and register != 30

    def use(self, word: int, at: int, register: int, certain: bool) -> bool:
        """Note what an instruction does with the page; whether it can hold a page there at all."""
        based = word >> 5 & 31 == register
        size = scaled_size(word) if based else 0
        pair = pair_offset(word) if based else None
        if based and (offset := add_immediate(word)) >= 0:
            (self.unit.places if certain else self.unit.maybe).add(self.page + offset)
        elif size or pair is not None:
            access(self.unit, word, self.page + (pair if pair is not None else (word >> 10 & 0xFFF) * size))
            if register in read(word):
                self.unit.pages.add(self.page)
        elif based and word & 0x3B200C00 == 0x38000000:  # unscaled offset
            access(self.unit, word, self.page + signed(word >> 12, 9))
        elif loads(word) and (based or register in read(word)):
            part = not based and word & 31 == register and word >> 30 < 3 and word & 0x3A000000 == 0x38000000
            if part or (not certain and self.saves(word, at, register)):
                return False  # an address is not stored by halves
            self.unit.pages.add(self.page)
        elif register in read(word):
            if not word >> 31:  # half of a register is no address
                return False
            if word & 0xFFE0FFE0 == 0xAA0003E0 and word >> 16 & 31 == register:  # mov
                self.todo.append((at + 4, word & 31, certain))
            else:
                self.unit.pages.add(self.page)
        else:
            return True
        self.used = True
        return True

    def saves(self, word: int, at: int, register: int) -> bool:
        """Whether a store keeps the caller's value of a register: its slot is that of the unit's first such store.
        Elsewhere it is another function's start."""
        slot = stack_slot(word, register) if register in KEPT else -1
        outside = not self.unit.start <= at < self.unit.end
        return slot >= 0 and (outside or slot == self.pages.save_slot(self.unit, register))
