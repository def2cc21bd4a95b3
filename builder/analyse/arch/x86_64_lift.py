"""What x86-64 instructions do to the general registers and to memory, as `Step`s.

The frequent ones are modelled; of all others iced-x86 says which registers and memory they write, and those can hold
anything then. Source: Intel's Software Developer's Manual, volume 2.
"""

from collections.abc import Callable

from iced_x86 import (
    Code,
    Decoder,
    FlowControl,
    Instruction,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)

from builder.analyse.arch import ANY, Expression, Memory, Step

NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)))
RSP, RBP = 4, 5
NUMBER = {getattr(Register, name.upper()): i for i, name in enumerate(NAMES)}
WRITES = {OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.COND_WRITE, OpAccess.READ_COND_WRITE}
HIGH = {Register.AH, Register.BH, Register.CH, Register.DH}
ARITHMETIC = {
    Mnemonic.ADD: "add", Mnemonic.SUB: "sub", Mnemonic.AND: "and", Mnemonic.OR: "or", Mnemonic.XOR: "xor",
    Mnemonic.SHL: "shl", Mnemonic.SHR: "shr",
}  # fmt: skip
MOVES = {Mnemonic.MOV: False, Mnemonic.MOVZX: False, Mnemonic.MOVSX: True, Mnemonic.MOVSXD: True}
IMMEDIATES = frozenset(range(OpKind.IMMEDIATE8, OpKind.IMMEDIATE32TO64 + 1))
MASK = (1 << 64) - 1
EQUAL = {Mnemonic.JE: True, Mnemonic.JNE: False}
FACTORY = InstructionInfoFactory()


def _register(register: int) -> tuple[int, int] | None:
    """Number and width in bits of a general register's name; None for others and for ah, bh, ch, dh."""
    full = NUMBER.get(RegisterExt.full_register(register))  # type: ignore[arg-type]
    if full is None or register in HIGH:
        return None
    return full, RegisterExt.size(register) * 8  # type: ignore[arg-type]


def _memory(ins: Instruction) -> Memory:
    if ins.is_ip_rel_memory_operand:
        return Memory(-1, -1, 1, ins.ip_rel_memory_address)
    base = NUMBER.get(RegisterExt.full_register(ins.memory_base), -1) if ins.memory_base else -1
    index = NUMBER.get(RegisterExt.full_register(ins.memory_index), -2) if ins.memory_index else -1
    other = ins.segment_prefix in (Register.FS, Register.GS)
    return Memory(-2 if other else base, index, ins.memory_index_scale, _signed(ins.memory_displacement))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _bytes(ins: Instruction) -> int:
    """Bytes of the memory operand."""
    return int(MemorySizeExt.size(ins.memory_size)) or 8


def operand(ins: Instruction, i: int, *, signed: bool = False) -> Expression:
    """What an instruction's operand holds."""
    kind = ins.op_kind(i)
    if kind == OpKind.REGISTER:
        found = _register(ins.op_register(i))
        return ("reg", *found, signed) if found else ANY
    if kind in IMMEDIATES:
        return ("imm", ins.immediate(i) & MASK)
    if kind == OpKind.MEMORY:
        return ("load", _memory(ins), _bytes(ins), signed)
    return ANY


def lift(code: bytes, start: int) -> list[Step]:
    """Every instruction of a stretch of code as a Step; bytes that are no instruction end it."""
    steps: list[Step] = []
    for ins in Decoder(64, code, ip=start):
        address, size = ins.ip, ins.len
        raw = code[address - start : address - start + size]
        like = ALIKE.get(raw)
        if like is not None:
            steps.append(
                Step(address, size, like.kind, None, None, like.sets, like.stores, like.clobbers, like.compares, None,
                     like.opaque)
            )  # fmt: skip
            continue
        if ins.is_invalid:
            break
        step = _step(ins)
        steps.append(step)
        if step.kind in ANYWHERE and not ins.is_ip_rel_memory_operand and len(ALIKE) < MOST_ALIKE:
            ALIKE[raw] = step
    return steps


# What instructions do that do the same wherever they stand, by their bytes: most are met again and again.
ALIKE: dict[bytes, Step] = {}
MOST_ALIKE = 1 << 16
ANYWHERE = frozenset(("next", "nop"))


def _step(ins: Instruction) -> Step:
    flow = ins.flow_control
    if flow not in (FlowControl.NEXT, FlowControl.INTERRUPT, FlowControl.XBEGIN_XABORT_XEND):
        return _control(ins, flow)
    model = MODELS.get(ins.mnemonic)
    if model is not None and (step := model(ins)) is not None:
        return step
    return _unknown(ins)


def _control(ins: Instruction, flow: int) -> Step:
    where = (ins.ip, ins.len)
    if ins.code == Code.SYSCALL:
        return Step(*where, kind="syscall")
    if flow in (FlowControl.CALL, FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH):
        kind = "call" if flow == FlowControl.CALL else "branch" if flow == FlowControl.CONDITIONAL_BRANCH else "jump"
        loop = (1,) if ins.is_loop or ins.is_loopcc else ()
        return Step(*where, kind, target=ins.near_branch_target, clobbers=loop, equal=EQUAL.get(ins.mnemonic))
    if flow in (FlowControl.INDIRECT_CALL, FlowControl.INDIRECT_BRANCH):
        through = _memory(ins) if ins.op0_kind == OpKind.MEMORY else None
        register = _register(ins.op0_register) if ins.op0_kind == OpKind.REGISTER else None
        kind = "call" if flow == FlowControl.INDIRECT_CALL else "jump"
        sets = ((-1, 64, ("reg", register[0], 64, False)),) if register else ()
        return Step(*where, kind, through=through, sets=sets)
    return Step(*where, "return" if flow == FlowControl.RETURN else "stop")


def _unknown(ins: Instruction) -> Step:
    """An instruction that is not modelled: what it writes can hold anything."""
    info = FACTORY.info(ins)
    written = {
        NUMBER.get(RegisterExt.full_register(u.register)) for u in info.used_registers() if u.access in WRITES
    } - {None, RSP}  # fmt: skip
    plain = OpKind.MEMORY in (ins.op0_kind, ins.op1_kind)
    where = _memory(ins) if plain else Memory(-2, -1, 1, 0)
    stores = tuple((where, 64, ANY) for u in info.used_memory() if u.access in WRITES)
    if ins.mnemonic == Mnemonic.XBEGIN:
        return Step(ins.ip, ins.len, "branch", target=ins.near_branch_target, clobbers=(0,))
    if any(u.access in WRITES and RegisterExt.full_register(u.register) == Register.RSP for u in info.used_registers()):
        written |= {RSP}
    lost = tuple(sorted(r for r in written if r is not None))
    return Step(ins.ip, ins.len, stores=stores[:1], clobbers=lost, opaque=True)


def _move(ins: Instruction) -> Step | None:
    value = operand(ins, 1, signed=MOVES[ins.mnemonic])
    return _write(ins, value)


def _write(ins: Instruction, value: Expression) -> Step | None:
    """An instruction that puts a value into its first operand and does nothing else."""
    if ins.op0_kind == OpKind.REGISTER:
        register = _register(ins.op0_register)
        return Step(ins.ip, ins.len, sets=((*register, value),)) if register else None
    if ins.op0_kind == OpKind.MEMORY:
        return Step(ins.ip, ins.len, stores=((_memory(ins), _bytes(ins), value),))
    return None


def _lea(ins: Instruction) -> Step | None:
    return _write(ins, ("addr", _memory(ins)))


def _arithmetic(ins: Instruction) -> Step | None:
    same = ins.op0_kind == ins.op1_kind == OpKind.REGISTER and ins.op0_register == ins.op1_register
    if same and ins.mnemonic in (Mnemonic.XOR, Mnemonic.SUB):
        return _write(ins, ("imm", 0))
    if ins.mnemonic == Mnemonic.OR and ins.op1_kind in IMMEDIATES and ins.immediate(1) & 0xFFFFFFFF == 0xFFFFFFFF:
        return _write(ins, ("imm", MASK))
    return _write(ins, (ARITHMETIC[ins.mnemonic], operand(ins, 0), operand(ins, 1)))


def _borrow(ins: Instruction) -> Step | None:
    if ins.op0_kind == ins.op1_kind == OpKind.REGISTER and ins.op0_register == ins.op1_register:
        return _write(ins, ("either", ("imm", 0), ("imm", MASK)))
    return None


def _count(ins: Instruction) -> Step | None:
    return _write(ins, ("add" if ins.mnemonic == Mnemonic.INC else "sub", operand(ins, 0), ("imm", 1)))


def _conditional(ins: Instruction) -> Step | None:
    return _write(ins, ("either", operand(ins, 0), operand(ins, 1)))


def _flag(ins: Instruction) -> Step | None:
    return _write(ins, ("either", ("imm", 0), ("imm", 1)))


def _push(ins: Instruction) -> Step:
    below = Memory(RSP, -1, 1, -8)
    return Step(ins.ip, ins.len, sets=((RSP, 64, ("addr", below)),), stores=((below, 8, operand(ins, 0)),))


def _pop(ins: Instruction) -> Step | None:
    register = _register(ins.op0_register) if ins.op0_kind == OpKind.REGISTER else None
    if register is None:
        return None
    top, above = Memory(RSP, -1, 1, 0), Memory(RSP, -1, 1, 8)
    return Step(ins.ip, ins.len, sets=((*register, ("load", top, 8, False)), (RSP, 64, ("addr", above))))


def _leave(ins: Instruction) -> Step:
    top, above = Memory(RBP, -1, 1, 0), Memory(RBP, -1, 1, 8)
    return Step(ins.ip, ins.len, sets=((RBP, 64, ("load", top, 8, False)), (RSP, 64, ("addr", above))))


def _compare(ins: Instruction) -> Step:
    compares = None
    register = _register(ins.op0_register) if ins.op0_kind == OpKind.REGISTER else None
    if register and ins.mnemonic == Mnemonic.CMP and ins.op1_kind in IMMEDIATES:
        compares = (*register, ins.immediate(1) & MASK)
    elif register and ins.mnemonic == Mnemonic.TEST and ins.op1_kind == OpKind.REGISTER:
        compares = (*register, 0) if ins.op0_register == ins.op1_register else None
    return Step(ins.ip, ins.len, compares=compares)


def _nothing(ins: Instruction) -> Step:
    return Step(ins.ip, ins.len, "nop")


def _vector_store(ins: Instruction) -> Step | None:
    """A move of a vector register to memory, or of a general register into a vector register."""
    if ins.op0_kind == OpKind.MEMORY:
        return Step(ins.ip, ins.len, stores=((_memory(ins), _bytes(ins), ANY),))
    return None


MODELS: dict[int, Callable[[Instruction], Step | None]] = {
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys(ARITHMETIC, _arithmetic),
    **{v: _conditional for n, v in vars(Mnemonic).items() if n.startswith("CMOV")},
    **{v: _flag for n, v in vars(Mnemonic).items() if n.startswith("SET") and n not in ("SETSSBSY",)},
    **dict.fromkeys((Mnemonic.MOVAPS, Mnemonic.MOVUPS, Mnemonic.MOVDQA, Mnemonic.MOVDQU, Mnemonic.MOVQ), _vector_store),
    **dict.fromkeys((Mnemonic.NOP, Mnemonic.ENDBR64, Mnemonic.INT3, Mnemonic.PAUSE), _nothing),
    **dict.fromkeys((Mnemonic.INC, Mnemonic.DEC), _count),
    **dict.fromkeys((Mnemonic.CMP, Mnemonic.TEST), _compare),
    Mnemonic.LEA: _lea,
    Mnemonic.SBB: _borrow,
    Mnemonic.PUSH: _push,
    Mnemonic.POP: _pop,
    Mnemonic.LEAVE: _leave,
}


def masked(code: bytes, start: int, low: int, high: int) -> bytes:
    """The code without what a linker fills in: distances of calls, jumps and rip-relative operands, and numbers that
    are addresses between `low` and `high`; padding after it is left out."""
    out = bytearray(code)
    decoder = Decoder(64, code, ip=start)
    length = 0
    for ins in decoder:
        where, at = decoder.get_constant_offsets(ins), ins.ip - start
        if ins.mnemonic not in (Mnemonic.NOP, Mnemonic.INT3):
            length = at + ins.len
        outside = ins.flow_control in BRANCHES and not start <= ins.near_branch_target < start + len(code)
        wide = _wide(ins) if where.has_immediate and ins.flow_control == FlowControl.NEXT else 0
        address = low <= wide < high or (ins.mnemonic == Mnemonic.MOV and wide >> 63)  # or a place of this thread's
        if where.has_immediate and (outside or address):
            _blank(out, at + where.immediate_offset, where.immediate_size)
        thread = ins.memory_segment == Register.FS
        if where.has_displacement and (ins.is_ip_rel_memory_operand or thread or low <= ins.memory_displacement < high):
            _blank(out, at + where.displacement_offset, where.displacement_size)
    return bytes(out[:length])


def _wide(ins: Instruction) -> int:
    last = ins.op_count - 1
    return ins.immediate(last) & MASK if last >= 0 and ins.op_kind(last) in IMMEDIATES else 0


def _blank(out: bytearray, at: int, size: int) -> None:
    out[at : at + size] = b"\0" * size


BRANCHES = (FlowControl.CALL, FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH)
