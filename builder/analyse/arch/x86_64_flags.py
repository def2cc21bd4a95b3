"""What x86-64 instructions do with the condition flags.

Source: Intel's Software Developer's Manual, volume 1, section 3.4.3 and appendix A.
"""

from iced_x86 import ConditionCode, Decoder, Instruction, MemorySizeExt, Mnemonic, OpKind, RegisterExt

from builder.analyse.arch import ANY, Expression, Flags
from builder.analyse.arch import x86_64_lift as lifting

CONDITIONS = {
    value: name.lower()
    for name, value in vars(ConditionCode).items()
    if name in ("E", "NE", "B", "AE", "BE", "A", "L", "GE", "LE", "G", "S", "NS")
}
COMPARED = {Mnemonic.CMP: "sub", Mnemonic.SUB: "sub", Mnemonic.TEST: "and", Mnemonic.AND: "and"}
COMPUTED = {Mnemonic.OR: "or", Mnemonic.XOR: "xor", Mnemonic.ADD: "add"}


def flags(code: bytes, start: int) -> dict[int, Flags]:
    """What the instructions of a stretch do with the flags, by address; those that leave them alone are left out."""
    return {
        ins.ip: _flags(ins)
        for ins in Decoder(64, code, ip=start)
        if ins.rflags_modified or ins.condition_code != ConditionCode.NONE
    }


def _flags(ins: Instruction) -> Flags:
    condition = "" if ins.condition_code == ConditionCode.NONE else CONDITIONS.get(ins.condition_code, "?")
    if not ins.rflags_modified:
        return Flags(condition=condition)
    kind, bits = COMPARED.get(ins.mnemonic) or COMPUTED.get(ins.mnemonic), _bits(ins)
    if kind is None or not bits:
        return Flags("?", condition=condition)
    first, second = (_operand(ins, i) for i in (0, 1))
    if ins.mnemonic in COMPARED:
        return Flags(kind, bits, first, second, condition)
    same = ins.op0_kind == ins.op1_kind == OpKind.REGISTER and ins.op0_register == ins.op1_register
    cleared = ins.mnemonic == Mnemonic.XOR and same
    return Flags("value", bits, ("imm", 0) if cleared else (kind, first, second), ANY, condition)


def _operand(ins: Instruction, i: int) -> Expression:
    """As `lift` has it; of ah, bh, ch and dh the bits where they stand."""
    if ins.op_kind(i) == OpKind.REGISTER and ins.op_register(i) in lifting.HIGH:
        full = lifting.NUMBER[RegisterExt.full_register(ins.op_register(i))]
        return ("shr", ("reg", full, 16, False), ("imm", 8))
    return lifting.operand(ins, i)


def _bits(ins: Instruction) -> int:
    if ins.op0_kind == OpKind.REGISTER:
        return int(RegisterExt.size(ins.op0_register)) * 8
    return int(MemorySizeExt.size(ins.memory_size)) * 8 if ins.op0_kind == OpKind.MEMORY else 0
