"""What AArch64 instructions do: the values that reach system calls, and what capstone says they write."""

import random

import capstone
import pytest
from capstone import CS_ARCH_ARM64

from builder.analyse import flow
from builder.analyse.arch import of
from builder.analyse.values import Value
from tests.unit.analyse.words import CODE, code

ARCH = of("aarch64")
NUMBER = ARCH.convention.number
# capstone reports the zero register of compare instructions as the first operand, and what `svc` and `st1` do wrongly
JUDGED_OTHERWISE = ("cmp", "cmn", "tst", "svc", "st1", "st2", "st3", "st4")


def numbers(words: str) -> list[Value]:
    """What x8 can hold at each system call of a function, in order."""
    steps = ARCH.lift(code(words), CODE)
    places = [s.address for s in steps if s.kind == "syscall"]
    states = flow.at(steps, places, ARCH, lambda _address, _size: None)
    return [states[place].get(NUMBER) for place in places]


def one(*values: int) -> frozenset[int]:
    return frozenset(values)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("d2801588 d4000001 52800808 d4000021 d65f03c0", [one(172), one(64)]),  # mov; svc 0, svc 1: both are calls
        ("d2800028 f2a00048 d4000001 d65f03c0", [one(0x20001)]),  # mov, movk
        ("71000c1f 1a9f17e8 1100f908 d4000001 d65f03c0", [one(62, 63)]),  # cset, add
        ("52801361 52801382 7100001f 1a821028 d4000001 d65f03c0", [one(155, 156)]),  # csel
        ("a9be7bfd 910003fd 52800ba1 b9001be1 52800001 b9401ba8 d4000001 d65f03c0", [one(93)]),  # a slot of the frame
        ("d28000e8 94000002 d4000001 d65f03c0", [None]),  # a call loses x8 …
        ("d28000f3 94000002 aa1303e8 d4000001 d65f03c0", [one(7)]),  # … and keeps x19
        ("b5000048 d4000001 d65f03c0", [frozenset(("x8=0",))]),  # behind cbnz x8
        ("aa0003e8 d4000001 d65f03c0", [frozenset(("x0",))]),  # the caller's
    ],
)
def test_numbers_are_followed(words: str, expected: list[Value]) -> None:
    assert numbers(words) == expected


def test_compare_and_swap_writes_the_register_it_compares() -> None:
    (step,) = ARCH.lift(code("88e1fc02"), CODE)  # casal w1, w2, [x0]
    assert 1 in step.clobbers
    assert step.stores


def test_half_a_register_clears_the_rest() -> None:
    assert numbers("92800008 2a0803e8 d4000001") == [one(0xFFFFFFFF)]  # mov x8, -1; mov w8, w8


def test_a_call_through_a_slot_of_the_loader_names_the_slot() -> None:
    last = ARCH.lift(code("90000080 f9400c00 d63f0000"), CODE)[-1]  # adrp x0; ldr x0, [x0, #24]; blr x0
    assert last.through is not None
    assert (last.kind, last.through.base, last.through.displacement) == ("call", -1, 0x20018)


def test_nothing_is_written_that_is_not_named() -> None:
    """Words of every kind: each general register that capstone says is written is set or clobbered."""
    names = {f"{letter}{i}": i for letter in "xw" for i in range(31)} | {"sp": 31, "wsp": 31, "fp": 29, "lr": 30}
    decoder = capstone.Cs(CS_ARCH_ARM64, 0)
    decoder.detail = True
    chance = random.Random(3)
    compared, wrong = 0, []
    for _ in range(60_000):
        word = chance.getrandbits(32)
        found = next(decoder.disasm(word.to_bytes(4, "little"), CODE), None)
        if found is None or found.mnemonic in JUDGED_OTHERWISE:
            continue
        steps = ARCH.lift(word.to_bytes(4, "little"), CODE)
        written = {names[n] for n in map(found.reg_name, found.regs_access()[1]) if n in names}
        step = steps[0] if steps else None
        named = {r for r, _, _ in step.sets} | set(step.clobbers) if step else set()
        if step and step.kind == "call":
            named |= {30}
        compared += 1
        if not written <= named:
            wrong.append(f"{word:08x} {found.mnemonic} {found.op_str}: {written} {named}")
    assert compared > 10_000
    assert wrong == []
