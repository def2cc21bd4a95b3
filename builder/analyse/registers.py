"""The general registers of x86-64 and which of them instructions write without naming them.

Source: Intel's Software Developer's Manual, volume 2, and the System V ABI for what calls preserve.
"""

import re

Value = frozenset[int | str] | None
State = dict[str, frozenset[int | str]]  # registers that are not in it can hold anything

MOST = 24  # values one register may have before it counts as anything
MASK32, MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def _names() -> dict[str, tuple[str, int]]:
    """Every general register's names: the 64-bit register it is part of, and its width in bits (9: bits 8 to 15)."""
    table: dict[str, tuple[str, int]] = {}
    for a in "abcd":
        full = f"r{a}x"
        table |= {full: (full, 64), f"e{a}x": (full, 32), f"{a}x": (full, 16), f"{a}l": (full, 8), f"{a}h": (full, 9)}
    for a in ("si", "di", "bp", "sp"):
        full = f"r{a}"
        table |= {full: (full, 64), f"e{a}": (full, 32), a: (full, 16), f"{a}l": (full, 8)}
    for i in range(8, 16):
        full = f"r{i}"
        table |= {full: (full, 64), f"{full}d": (full, 32), f"{full}w": (full, 16), f"{full}b": (full, 8)}
    return table


REGISTERS = _names()
FULL = tuple(sorted({r for r, _ in REGISTERS.values()} - {"rsp"}))
LOW = ".low"  # after a register's name: what is known of its lowest byte where the rest is not
FRAME = "frame"  # the names of the stack slots that nothing else can write to
FIRST_ONLY = {
    "mov", "movabs", "movzx", "movsxd", "movsx", "xor", "sub", "add", "and", "or", "sbb", "adc", "lea", "shl", "shr",
    "sar", "inc", "dec", "neg", "not", "pop", "imul", "bsf", "bsr", "tzcnt", "lzcnt", "popcnt",
}  # fmt: skip
PARTS = ("cmov", "set")  # beginnings of further mnemonics that write their first operand only
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


def number(text: str) -> int | None:
    """The constant an operand is, or None."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def cut(value: Value, width: int) -> Value:
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


def stored(old: Value, width: int, new: Value) -> Value:
    """The whole register after `new` was written to its lowest `width` bits (32-bit writes clear the upper half)."""
    if new is None or width in (32, 64):
        return cut(new, width)
    if old is None or any(isinstance(v, str) for v in old | new):
        return None
    shift, mask = (8, 0xFF00) if width == 9 else (0, (1 << width) - 1)
    both = {(o & ~mask) | (n << shift & mask) for o in old for n in new if isinstance(o, int) and isinstance(n, int)}
    return frozenset(both) if len(both) <= MOST else None


def compute(value: Value, kind: str, amount: int) -> Value:
    """The values after an arithmetic instruction with a constant; None where one of them is not a constant."""
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
