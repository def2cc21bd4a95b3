"""AArch64: reading code by the encodings' own bits, four bytes at a time.

Sources: Arm Architecture Reference Manual (DDI 0487); AAPCS64; Linux's arch/arm64/kernel/entry-common.c and syscall.c,
which take any `svc` for a system call, whatever its immediate, with the number in w8.
"""

import re

from builder.analyse.arch import Convention, Step, Text, Unit
from builder.analyse.arch import aarch64_lift as lifting
from builder.analyse.arch import aarch64_tables as tables
from builder.analyse.arch.aarch64_pages import Pages
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
    LITERAL,
    NOP,
    REGISTER,
    branch_target,
    page_of,
    signed,
)

TELLING = re.compile(rb"[^\0]")


class Aarch64Scanner:
    """What functions refer to. See `arch.Scanner`."""

    def __init__(self, low: int, high: int, text: Text, fixed: bool) -> None:
        self.low, self.high, self.fixed = low, high, fixed
        self.text = text
        self.pages = Pages(text)

    def sweep(self, code: bytes, start: int, unit: Unit, done: set[int]) -> set[int]:
        """Decode a stretch of a unit; see `arch.Scanner`."""
        code = code[: len(code) & ~3]
        words = memoryview(code).cast("I")
        kinds = code[3::4].translate(KINDS)
        count = len(kinds)
        if not unit.framed:
            count = self._until(kinds, start, done)
            done.update(range(start, start + 4 * count, 4))
        local: set[int] = set()
        low, high, framed = unit.start, unit.end, unit.framed
        calls, jumps, pair = unit.calls, unit.jumps, self.pages.pair
        for match in TELLING.finditer(kinds, 0, count):
            i = match.start()
            kind, word, at = kinds[i], words[i], start + 4 * i
            if kind <= BRANCH:
                target = branch_target(word, at)
                inside = low <= target < high
                if inside:
                    local.add(target)
                if kind == CALL:
                    if not (inside and framed):
                        calls.add(target)
                elif not inside:
                    jumps.add(target)
            elif kind == ADRP:
                pair(words, i, at, unit)
            else:
                self._other(words, i, at, kind, unit)
        self._end(words, kinds, count, unit)
        return local

    def _until(self, kinds: bytes, start: int, done: set[int]) -> int:
        """How many instructions there are before one that is none, or one that was read already."""
        end = kinds.find(INVALID)
        count = len(kinds) if end < 0 else end
        if done:
            count = next((i for i in range(count) if start + 4 * i in done), count)
        return count

    def _other(self, words: "memoryview[int]", i: int, at: int, kind: int, unit: Unit) -> None:
        word = words[i]
        if kind == REGISTER:
            calls = word >> 21 & 3 == 1
            unit.returns |= not calls
            if word >> 21 & 3 == 0 and word >> 23 & 1 == 0:
                unit.indirect = True
                if found := tables.find(words, i, at):
                    unit.tables.add(found)
                unit.anywhere |= found is None and tables.computed(words, i)
        elif kind == EXCEPTION:
            if word & 0xFFE0001F == 0xD4000001:
                unit.syscalls.add(at)
        elif kind == ADR:
            unit.places.add(page_of(word, at))
        elif kind == LITERAL:
            self._literal(word, at, unit)
        elif kind == INVALID and word >> 16:  # else it is udf, which is defined to be none: often padding
            unit.undecoded.add(at)

    def _literal(self, word: int, at: int, unit: Unit) -> None:
        """A load of a constant that stands near the code; it may be an address where the program has a fixed place."""
        place = at + 4 * signed(word >> 5, 19)
        unit.data.add(place)
        found = self.text.words(place) if self.fixed and word >> 24 == 0x58 else None
        if found is not None:
            base, words = found
            i = (place - base) // 4
            value = words[i] | words[i + 1] << 32 if i + 1 < len(words) else 0
            if self.low <= value < self.high:
                unit.places.add(value)

    def _end(self, words: "memoryview[int]", kinds: bytes, count: int, unit: Unit) -> None:
        """Whether the last instruction runs on."""
        last = count - 1
        while last >= 0 and words[last] == NOP:
            last -= 1
        if last < 0:
            return
        word, kind = words[last], kinds[last]
        calls = kind == CALL or (kind == REGISTER and word >> 21 & 3 == 1)
        ends = kind in (JUMP, INVALID) or (kind == REGISTER and not calls)
        stops = kind == EXCEPTION and word & 0xFFE0001F in (0xD4200000, 0xD4400000)
        cut_short = not unit.framed and count < len(kinds)
        unit.falls |= not (ends or stops or cut_short or (unit.hard and calls))

    def boundaries(self, code: bytes, start: int) -> set[int]:
        """Where instructions begin when a stretch is decoded from its start."""
        return set(range(start, start + (len(code) & ~3), 4))


class Aarch64:
    """AArch64 with the AAPCS64 calling convention and Linux's system calls."""

    convention = Convention(
        name="aarch64",
        registers=(*(f"x{i}" for i in range(31)), "sp"),
        number=8,
        arguments=(0, 1, 2, 3, 4, 5),
        parameters=(0, 1, 2, 3, 4, 5, 6, 7),
        returns=0,
        stack=31,
        frame=29,
        call_pushes=0,
        call_loses=(*range(19), 30),
        syscall_loses=(0,),
        padding=re.compile(rb"(?s)(?:\x1f\x20\x03\xd5|\0\0\0\0)*"),
        guessed=False,
        aligned=4,
    )

    def scanner(self, low: int, high: int, text: Text, *, fixed: bool) -> Aarch64Scanner:
        """See `Architecture`."""
        return Aarch64Scanner(low, high, text, fixed)

    def linkage(self, code: bytes, entry: int) -> list[int]:  # noqa: ARG002 - the Protocol's
        """See `Architecture`: an entry begins with `adrp x16`, or with the landing pad before it."""
        words = memoryview(code[: len(code) & ~3]).cast("I")
        starts = [0]
        for i, word in enumerate(words):
            if word & 0x9F00001F == 0x90000010:
                pad = i > 0 and words[i - 1] & HINT_MASK == HINT and words[i - 1] != NOP
                starts.append(4 * (i - pad))
        return sorted(set(starts))

    def lift(self, code: bytes, start: int) -> list[Step]:
        """See `Architecture`."""
        return lifting.lift(code, start)

    def flags(self, code: bytes, start: int) -> None:
        """See `Architecture`."""

    def masked(self, code: bytes, start: int, low: int, high: int) -> bytes:  # noqa: ARG002 - the Protocol's
        """See `Architecture`."""
        return lifting.masked(code, start)


AARCH64 = Aarch64()
