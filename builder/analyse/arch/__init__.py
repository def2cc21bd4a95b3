"""What the analysis has to know of a processor architecture, behind one Protocol; `of` gives it by name.

A *scanner* reads whole functions quickly and says which places they refer to. `lift` reads one function again and
says, as `Step`s, what each instruction does to registers and to the stack: that is done for the few functions whose
values matter. Registers are small numbers; what is not modelled is named as clobbered, so that a forgotten
instruction costs precision, never soundness.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

# An expression is one of: ("imm", number) · ("reg", register, bits, signed) · ("load", memory, bytes, signed) ·
# ("addr", memory) · ("either", a, b) · (operation, a, b) with add, sub, and, or, xor, shl, shr · ("any",)
Expression = tuple[object, ...]
ANY: Expression = ("any",)


@dataclass(slots=True)  # as Step
class Memory:
    """A memory operand: base and index register (-1: none), scale, displacement (the address itself without both)."""

    base: int
    index: int
    scale: int
    displacement: int


@dataclass(slots=True)  # not frozen: many are made, and that would take three times as long
class Step:
    """What one instruction does. `kind` says where control goes: `next`, `nop` (padding), `call`, `jump`, `branch`,
    `return`, `stop` (never onward), `syscall`. `target` is a direct target; `through` the memory an indirect call or
    jump reads its target from; both None: it goes through a register. `sets` (register, bits, expression) and
    `stores` (memory, bytes, expression) use the registers as they were before. `compares` is a register with the
    constant it is compared with; `equal` tells whether a branch is taken when the comparison in it, or else in the
    instruction before it, was equal. `opaque`: what it does with what it reads is not modelled."""

    address: int
    size: int
    kind: str = "next"
    target: int | None = None
    through: Memory | None = None
    sets: tuple[tuple[int, int, Expression], ...] = ()
    stores: tuple[tuple[Memory, int, Expression], ...] = ()
    clobbers: tuple[int, ...] = ()
    compares: tuple[int, int, int] | None = None  # register, bits, constant
    equal: bool | None = None
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Flags:
    """What an instruction does with the condition flags. `condition` is what it asks of them (`e`, `ne`, `b`, `ae`,
    `be`, `a`, `l`, `ge`, `le`, `g`, `s`, `ns`, `?` for others), before `kind` says what they tell afterwards: `sub`
    and `and` of two operands of `bits`, `value`: whether `first` is zero or negative, `?` nothing, empty: as before."""

    kind: str = ""
    bits: int = 64
    first: Expression = ANY
    second: Expression = ANY
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A jump table: entries of `step` bytes, each a distance from `origin` in units of `scale` bytes. `count` 0: its
    end is not known."""

    address: int
    step: int
    signed: bool
    scale: int
    origin: int
    count: int


class Text:
    """The executable stretches of one file, for scanners that look beyond the stretch they read."""

    def __init__(self, ranges: Sequence[tuple[int, bytes]]) -> None:
        self.bases = [base for base, _ in ranges]
        self.ranges = [(base, memoryview(code[: len(code) & ~3]).cast("I")) for base, code in ranges]

    def words(self, address: int) -> "tuple[int, memoryview[int]] | None":
        """The stretch an address lies in as 4-byte words, with where it begins; None where there is no code."""
        i = bisect_right(self.bases, address) - 1
        if i < 0 or address >= self.bases[i] + 4 * len(self.ranges[i][1]):
            return None
        return self.ranges[i]


@dataclass(slots=True)
class Unit:
    """A stretch of code that belongs together, a function as far as can be told. `calls`, `jumps` and `addresses` are
    code addresses outside it: called, jumped to, or computed. `data` are other places in memory it reads or writes,
    `places` those whose address it computes; `slots` those the loader fills from a symbol. `framed`: an .eh_frame
    record says it is code. `hard`: its end is a function's end, not just the next place something refers to."""

    start: int
    end: int
    hard: bool
    framed: bool = False
    go: bool = False  # compiled by Go: no whole addresses in its instructions
    stub: bool = False  # an entry of a procedure linkage table
    calls: set[int] = field(default_factory=set)
    jumps: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)
    data: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)  # those of `data` that it writes to
    places: set[int] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    syscalls: set[int] = field(default_factory=set)
    legacy: set[int] = field(default_factory=set)  # 32-bit system calls
    falls: bool = False  # runs on into what follows it
    returns: bool = False  # has a return, or an indirect jump
    indirect: bool = False  # has an indirect jump
    undecoded: set[int] = field(default_factory=set)  # where bytes are no instruction
    maybe: set[int] = field(default_factory=set)  # places whose address it may compute: they begin no object
    pages: set[int] = field(default_factory=set)  # 4 KiB pages any place of which it may refer to
    anywhere: bool = False  # has a jump that can lead to any of its instructions
    tables: set[Table] = field(default_factory=set)  # jump tables it uses, where the code says how


class Scanner(Protocol):
    """Reads code of one file quickly."""

    def sweep(self, code: bytes, start: int, unit: Unit, done: set[int]) -> set[int]:
        """Decode `code`, which stands at `start`, add what it refers to, and give the unit's own labels it jumps to.
        In a unit that is not framed, decoding ends at bytes that are no instruction and at addresses in `done`."""

    def boundaries(self, code: bytes, start: int) -> set[int]:
        """Where instructions begin when a stretch is decoded from its start."""


@dataclass(frozen=True)
class Convention:
    """Registers by number, and what they mean to functions and system calls. `padding` matches what may stand between
    functions; `guessed`: jump tables are recognised by what stands in them alone, not by the code that uses them.
    `aligned`: what an instruction's address is a multiple of."""

    name: str
    registers: tuple[str, ...]  # names by number
    number: int  # register of a system call's number
    arguments: tuple[int, ...]  # registers of a system call's arguments
    parameters: tuple[int, ...]  # registers of a function's parameters
    returns: int  # register of a function's result
    stack: int
    frame: int
    call_pushes: int  # bytes a call puts on the stack
    call_loses: tuple[int, ...]
    syscall_loses: tuple[int, ...]
    padding: "re.Pattern[bytes]"
    guessed: bool
    aligned: int


class Architecture(Protocol):
    """One processor architecture with Linux's calling conventions on it."""

    @property
    def convention(self) -> "Convention":
        """Registers and calling conventions."""

    def scanner(self, low: int, high: int, text: Text, *, fixed: bool) -> Scanner:
        """A scanner for a file mapped from `low` to `high`; `fixed`: instructions may contain whole addresses."""

    def linkage(self, code: bytes, entry: int) -> list[int]:
        """Where in a procedure linkage table its entries begin; `entry` is what its section says of their size."""

    def lift(self, code: bytes, start: int) -> list[Step]:
        """Every instruction of a stretch of code; bytes that are none end it."""

    def flags(self, code: bytes, start: int) -> "dict[int, Flags] | None":
        """What the instructions of a stretch do with the condition flags, by address; None: not modelled."""

    def masked(self, code: bytes, start: int, low: int, high: int) -> bytes:
        """The code without what a linker fills in: distances, and addresses between `low` and `high`."""


@cache
def of(machine: str) -> Architecture:
    """The architecture of a machine as `Elf.machine` calls it. Raises KeyError for one that is not known."""
    if machine == "aarch64":
        from builder.analyse.arch.aarch64 import AARCH64  # noqa: PLC0415 - decoders are loaded when they are used

        return AARCH64
    if machine == "x86_64":
        from builder.analyse.arch.x86_64 import X86_64  # noqa: PLC0415

        return X86_64
    raise KeyError(machine)
