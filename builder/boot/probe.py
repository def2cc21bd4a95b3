"""A guest of a few bytes that proves an accelerator (pure): it counts, says one number through QEMU's debug-exit port,
and is gone.

Built by hand as an ELF file with a PVH note (XEN_ELFNOTE_PHYS32_ENTRY, xen/include/public/elfnote.h; read by QEMU in
hw/i386/x86.c). It counts to 64 million, some 30 ms for a processor: nested clouds have a KVM that emulates the guest's
kernel mode instruction by instruction, hundreds of times slower, and fails real kernels half-way.
"""

import struct

ADDRESS = 0x100000
EXIT_PORT = 0xF4
ANSWER = 0x21
EXIT_CODE = ANSWER << 1 | 1  # QEMU's hw/misc/debugexit.c
DEVICE = f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=0x4"
COUNT = 0x04000000
# mov ecx, COUNT; dec ecx; jnz; mov al, ANSWER; out EXIT_PORT, al; hlt; jmp to hlt
CODE = b"\xb9" + struct.pack("<I", COUNT) + b"\x49\x75\xfd" + bytes([0xB0, ANSWER, 0xE6, EXIT_PORT]) + b"\xf4\xeb\xfd"
NOTE = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", ADDRESS)


def guest() -> bytes:
    """The probe guest as an ELF file."""
    header, entry = 64, 56
    note_at = header + 2 * entry
    code_at = note_at + len(NOTE)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    start = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, ADDRESS, header, 0, 0, header, entry, 2, 0, 0, 0)
    note = struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(NOTE), len(NOTE), 4)
    load = struct.pack("<IIQQQQQQ", 1, 5, code_at, ADDRESS, ADDRESS, len(CODE), len(CODE), 1)
    return ident + start + note + load + NOTE + CODE
