"""AArch64 instructions written as words, and the smallest program that holds them."""

import struct

CODE, DATA = 0x10000, 0x20000  # addresses of code and data in a program
MOVED, FLAGS = 0x1000, {CODE: 5, DATA: 6}


def code(words: str) -> bytes:
    """The bytes of words in hexadecimal."""
    return b"".join(struct.pack("<I", int(word, 16)) for word in words.split())


def program(text: str, data: bytes = b"") -> bytes:
    """An ELF program for AArch64 at fixed addresses, without section headers: code, then data."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, CODE, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    parts = {CODE: code(text), DATA: data or bytes(8)}
    out = bytearray(header)
    for i, (address, part) in enumerate(parts.items()):
        fields = (1, FLAGS[address], MOVED * (i + 1), address, address, len(part), len(part), 0x1000)
        out += struct.pack("<IIQQQQQQ", *fields)
    for i, part in enumerate(parts.values()):
        out += bytes(MOVED * (i + 1) - len(out)) + part
    return bytes(out)
