"""Stack slots of unoptimised code: which of them only the unit itself can write to, by name.

Only units that keep rbp as their frame from the first instruction on are looked at. A slot counts as private if no
address at or below it is ever taken or computed: nothing but plain accesses by name can reach it then.
"""

import re

from builder.analyse.decode import Instruction

PLAIN = re.compile(r"(byte|word|dword|qword) ptr \[rbp - (\w+)\]$")
SIZES = {"byte": 1, "word": 2, "dword": 4, "qword": 8}
COMPUTED = re.compile(r"\[[^\]]*\brbp\b[^\]]*\]")
DISTANCE = re.compile(r"- (\w+)\]$")


def parse(operand: str) -> tuple[int, int] | None:
    """A plain operand below rbp: its distance from rbp and its size in bytes; None for any other."""
    match = PLAIN.match(operand)
    return (int(match[2], 0), SIZES[match[1]]) if match else None


def name(where: int, size: int) -> str:
    """How a state calls the slot of `size` bytes that begins `where` bytes below rbp."""
    return f"[{where}:{size}]"


def overlap(slot: str, where: int, size: int) -> bool:
    """Whether a named slot shares a byte with the one at `where`."""
    begin, length = (int(part) for part in slot[1:-1].split(":"))
    return -begin < -where + size and -where < -begin + length


def private(code: list[Instruction]) -> frozenset[int | str]:
    """Names of the slots only plain accesses of this unit can reach."""
    first = [ins for ins in code[:4] if ins[2] != "endbr64"][:2]
    if [(i[2], i[3]) for i in first] != [("push", "rbp"), ("mov", "rbp, rsp")]:
        return frozenset()
    lowest, plain = 0, set()
    for ins in code:
        _, _, kind, operands = ins
        if ins is not first[1] and operands.startswith(("rbp,", "ebp,")):
            return frozenset()
        for text in operands.split(", "):
            if kind != "lea" and (place := parse(text)):
                plain.add(place)
            elif COMPUTED.search(text):  # an address is taken or computed, or an odd access: all above it is open
                distance = DISTANCE.search(text)
                lowest = max(lowest, int(distance[1], 0) if distance else 0)
    return frozenset(name(where, size) for where, size in plain if where > lowest)
