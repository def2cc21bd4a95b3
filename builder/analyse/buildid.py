"""The build-id of an ELF file: what the linker calls this very link (gABI, note section; NT_GNU_BUILD_ID)."""

from builder.analyse import elf
from builder.analyse.elf import Elf

NT_GNU_BUILD_ID = 3


def build_id(file: Elf) -> str:
    """The build-id in hexadecimal; empty where the file has none."""
    for segment in file.segments:
        if segment.kind == elf.PT_NOTE:
            notes = file.data[segment.offset : segment.offset + segment.file_size]
            if found := _in(notes):
                return found.hex()
    return ""


def _in(notes: bytes) -> bytes:
    """The description of the first build-id note; each part is padded to four bytes."""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = (int.from_bytes(notes[at + i : at + i + 4], "little") for i in (0, 4, 8))
        start = at + 12 + (name_size + 3) // 4 * 4
        if kind == NT_GNU_BUILD_ID and notes[at + 12 : at + 12 + name_size] == b"GNU\0":
            return notes[start : start + size]
        at = start + (size + 3) // 4 * 4
    return b""
