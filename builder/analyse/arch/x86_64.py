"""x86-64: reading code with iced-x86. Sources: Intel's Software Developer's Manual, volume 2; the System V ABI."""

import re

from iced_x86 import Code, Decoder, FlowControl, Instruction, Mnemonic, OpCodeOperandKind

from builder.analyse.arch import Convention, Flags, Step, Text, Unit, x86_64_flags
from builder.analyse.arch import x86_64_lift as lifting

PLAIN, LEA, CALL, JUMP, BRANCH, RETURN, CALL_BY, JUMP_BY, SYSCALL, LEGACY, NOP, STOP, INVALID = range(13)
PADDING = re.compile(
    rb"(?s)(?:[\xcc\x00]|\x66*\x90|[\x66\x2e]*\x0f\x1f(?:\x00|\x40.|\x44\x00.|\x80....|\x84\x00....))*"
)
ENDS = frozenset((JUMP, RETURN, JUMP_BY, STOP, INVALID))


def _count() -> int:
    return 1 + max(v for n, v in vars(Code).items() if isinstance(v, int) and not n.startswith("_"))


class X86Scanner:
    """What functions refer to. See `arch.Scanner`."""

    kinds = [-1] * _count()  # by Code, filled as instructions are met
    writing = [False] * _count()  # by Code: a memory operand is written to
    wide = [-1] * _count()  # by Code: the operand that is an immediate wide enough for an address

    def __init__(self, low: int, high: int, fixed: bool) -> None:
        self.low, self.high, self.fixed = low, high, fixed

    def sweep(self, code: bytes, start: int, unit: Unit, done: set[int]) -> set[int]:  # noqa: PLR0912 - the hot loop
        """Decode a stretch of a unit; see `arch.Scanner`."""
        kinds, writing, framed, fixed = self.kinds, self.writing, unit.framed, self.fixed and not unit.go
        data, places, calls, jumps, low, high = unit.data, unit.places, unit.calls, unit.jumps, unit.start, unit.end
        last = STOP
        local: set[int] = set()
        for ins in Decoder(64, code, ip=start):
            kind = kinds[ins.code]
            if kind < 0:
                kind = self._learn(ins)
            if not framed:
                if kind == INVALID or ins.ip in done:
                    last = STOP
                    break
                done.add(ins.ip)
            if kind == PLAIN:
                if ins.is_ip_rel_memory_operand:
                    data.add(ins.ip_rel_memory_address)
                    if writing[ins.code]:
                        unit.writes.add(ins.ip_rel_memory_address)
                elif fixed:
                    self._absolute(ins, unit)
                last = kind
            elif kind == LEA:
                if ins.is_ip_rel_memory_operand:
                    places.add(ins.ip_rel_memory_address)
                elif fixed:
                    self._absolute(ins, unit)
                last = kind
            elif kind <= BRANCH:  # a call, a jump or a branch to a place the instruction names
                target = ins.near_branch_target
                if low <= target < high:
                    local.add(target)
                    if kind == CALL and not framed:
                        calls.add(target)
                elif kind == CALL:
                    calls.add(target)
                else:
                    jumps.add(target)
                last = kind
            elif kind != NOP:
                self._control(ins, kind, unit)
                last = kind
        unit.falls |= last not in ENDS and not (unit.hard and last in (CALL, CALL_BY))
        return local

    def boundaries(self, code: bytes, start: int) -> set[int]:
        """Where instructions begin when a stretch is decoded from its start."""
        return {ins.ip for ins in Decoder(64, code, ip=start)}

    def _control(self, ins: Instruction, kind: int, unit: Unit) -> None:
        """An instruction that changes where control goes otherwise, makes a system call or is none."""
        if kind == SYSCALL:
            unit.syscalls.add(ins.ip)
        elif kind == LEGACY:
            if ins.code == Code.SYSENTER or ins.immediate8 == 0x80:
                unit.legacy.add(ins.ip)
        elif kind == RETURN:
            unit.returns = True
        elif kind in (CALL_BY, JUMP_BY):
            unit.indirect |= kind == JUMP_BY
            unit.returns |= kind == JUMP_BY
            if ins.is_ip_rel_memory_operand:
                unit.data.add(ins.ip_rel_memory_address)
            elif self.fixed and not unit.go:
                self._absolute(ins, unit)
        elif kind == INVALID:
            unit.undecoded.add(ins.ip)

    def _absolute(self, ins: Instruction, unit: Unit) -> None:
        """Addresses that stand in an instruction of a program that is linked to a fixed place."""
        operand = self.wide[ins.code]
        if operand >= 0 and self.low <= (value := ins.immediate(operand) & 0xFFFFFFFFFFFFFFFF) < self.high:
            unit.places.add(value)
        if ins.memory_displ_size >= 4 and self.low <= ins.memory_displacement < self.high:
            plain = ins.memory_base == 0 and ins.memory_index == 0
            if self.writing[ins.code]:
                unit.writes.add(ins.memory_displacement)
            (unit.data if plain else unit.places).add(ins.memory_displacement)

    def _learn(self, ins: Instruction) -> int:
        code, flow = ins.code, ins.flow_control
        kind = {
            FlowControl.NEXT: PLAIN,
            FlowControl.CALL: CALL,
            FlowControl.UNCONDITIONAL_BRANCH: JUMP,
            FlowControl.CONDITIONAL_BRANCH: BRANCH,
            FlowControl.XBEGIN_XABORT_XEND: BRANCH,
            FlowControl.RETURN: RETURN,
            FlowControl.INDIRECT_CALL: CALL_BY,
            FlowControl.INDIRECT_BRANCH: JUMP_BY,
            FlowControl.INTERRUPT: PLAIN,
            FlowControl.EXCEPTION: STOP,
        }[flow]
        if ins.is_invalid:
            kind = INVALID
        elif ins.mnemonic in (Mnemonic.XABORT, Mnemonic.XEND):
            kind = PLAIN
        elif code == Code.SYSCALL:
            kind = SYSCALL
        elif code == Code.SYSENTER or ins.mnemonic == Mnemonic.INT:
            kind = LEGACY
        elif ins.mnemonic == Mnemonic.LEA:
            kind = LEA
        elif ins.mnemonic in (Mnemonic.NOP, Mnemonic.ENDBR64, Mnemonic.INT3):
            kind = NOP
        elif ins.mnemonic == Mnemonic.HLT:
            kind = STOP
        self.kinds[code] = kind
        self.writing[code] = any(u.access in lifting.WRITES for u in lifting.FACTORY.info(ins).used_memory())
        operands = ins.op_code().op_kinds()
        wide = (OpCodeOperandKind.IMM32, OpCodeOperandKind.IMM64, OpCodeOperandKind.IMM32SEX64)
        self.wide[code] = next((i for i, k in enumerate(operands) if k in wide), -1)
        return kind


class X8664:
    """x86-64 with the System V calling convention and Linux's system calls (arch/x86/entry/entry_64.S)."""

    convention = Convention(
        name="x86_64",
        registers=lifting.NAMES,
        number=0,
        arguments=(7, 6, 2, 10, 8, 9),
        parameters=(7, 6, 2, 1, 8, 9),
        returns=0,
        stack=4,
        frame=5,
        call_pushes=8,
        call_loses=(0, 1, 2, 6, 7, 8, 9, 10, 11),
        syscall_loses=(0, 1, 11),
        padding=PADDING,
        guessed=True,
        aligned=1,
    )

    def scanner(self, low: int, high: int, text: Text, *, fixed: bool) -> X86Scanner:  # noqa: ARG002 - the Protocol's
        """See `Architecture`."""
        return X86Scanner(low, high, fixed)

    def linkage(self, code: bytes, entry: int) -> list[int]:
        """See `Architecture`."""
        return list(range(0, len(code), entry if entry in (8, 16) else 16))

    def lift(self, code: bytes, start: int) -> list[Step]:
        """See `Architecture`."""
        return lifting.lift(code, start)

    def flags(self, code: bytes, start: int) -> dict[int, Flags]:
        """See `Architecture`."""
        return x86_64_flags.flags(code, start)

    def masked(self, code: bytes, start: int, low: int, high: int) -> bytes:
        """See `Architecture`."""
        return lifting.masked(code, start, low, high)


X86_64 = X8664()
