"""The smallest ELF files a loader accepts, made in memory: only what the loader reads to find libraries."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NEEDED, STRTAB, SYMTAB, STRSZ, SONAME, RPATH, RUNPATH, FLAGS_1 = 1, 5, 6, 10, 14, 15, 29, 0x6FFFFFFB
VERDEF, VERDEFNUM, VERNEED, VERNEEDNUM, HASH = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF, 4


@dataclass
class Tiny:
    """What goes into a file. `wants`: (library, version, weak); `defines`: versions beside the base one."""

    needed: Sequence[str] = ()
    soname: str = ""
    rpath: str = ""
    runpath: str = ""
    interpreter: str = ""
    flags_1: int = 0
    wants: Sequence[tuple[str, str, bool]] = ()
    defines: Sequence[str] = ()
    extra: Sequence[tuple[int, str]] = ()  # further dynamic entries with a text
    machine: int = 62

    def content(self) -> bytes:
        """The file."""
        strings = bytearray(b"\0")

        def text(value: str) -> int:
            strings.extend(value.encode() + b"\0")
            return len(strings) - len(value.encode()) - 1

        dynamic = [(NEEDED, text(name)) for name in self.needed]
        dynamic += [(tag, text(value)) for tag, value in self.extra]
        dynamic += [(tag, text(value)) for tag, value in ((SONAME, self.soname), (RPATH, self.rpath),
                                                          (RUNPATH, self.runpath)) if value]  # fmt: skip
        need, define = self._wanted(text), self._defined(text)
        at = 64 + 56 * 5
        places = {}
        body = bytearray()
        interpreter = self.interpreter.encode() + b"\0" if self.interpreter else b""
        table = struct.pack("<5I", 1, 1, 0, 0, 0)
        for name, part in (("interpreter", interpreter), ("symbols", bytes(24)), ("hash", table),
                           ("need", need), ("define", define), ("strings", bytes(strings))):  # fmt: skip
            body += bytes(-(at + len(body)) % 8)
            places[name] = at + len(body)
            body += part
        body += bytes(-(at + len(body)) % 8)
        dynamic += [(STRTAB, places["strings"]), (STRSZ, len(strings)), (SYMTAB, places["symbols"]), (11, 24)]
        dynamic += [(HASH, places["hash"])] + ([(FLAGS_1, self.flags_1)] if self.flags_1 else [])
        if need:
            dynamic += [(VERNEED, places["need"]), (VERNEEDNUM, len({w[0] for w in self.wants}))]
        if define:
            dynamic += [(VERDEF, places["define"]), (VERDEFNUM, 1 + len(self.defines))]
        if need or define:
            dynamic += [(0x6FFFFFF0, places["symbols"])]
        table = b"".join(struct.pack("<qQ", *entry) for entry in [*dynamic, (0, 0)])
        where = at + len(body)
        body += table
        size = at + len(body)
        load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 0x1000)
        heads = [load, struct.pack("<IIQQQQQQ", 2, 6, where, where, where, len(table), len(table), 8),
                 struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)]  # fmt: skip
        if interpreter:
            place = places["interpreter"]
            heads.insert(0, struct.pack("<IIQQQQQQ", 3, 4, place, place, place, len(interpreter), len(interpreter), 1))
            heads.insert(0, struct.pack("<IIQQQQQQ", 6, 4, 64, 64, 64, 280, 280, 8))  # the loader finds its base by it
        heads += [bytes(56)] * (5 - len(heads))
        head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, self.machine, 1, 64, 64, 0, 0, 64,
                                                               56, 5, 0, 0, 0)  # fmt: skip
        return head + b"".join(heads) + bytes(body)

    def _wanted(self, text: Callable[[str], int]) -> bytes:
        libraries = list(dict.fromkeys(library for library, _, _ in self.wants))
        out = bytearray()
        for i, library in enumerate(libraries):
            versions = [(v, weak) for name, v, weak in self.wants if name == library]
            last = i + 1 == len(libraries)
            out += struct.pack("<HHIII", 1, len(versions), text(library), 16, 0 if last else 16 + 16 * len(versions))
            for j, (version, weak) in enumerate(versions):
                after = 16 if j + 1 < len(versions) else 0
                out += struct.pack("<IHHII", _hash(version), 2 if weak else 0, 2 + j, text(version), after)
        return bytes(out)

    def _defined(self, text: Callable[[str], int]) -> bytes:
        names = [self.soname or "base", *self.defines] if self.defines else []
        out = bytearray()
        for i, name in enumerate(names):
            after = 28 if i + 1 < len(names) else 0
            out += struct.pack("<HHHHIII", 1, 1 if i == 0 else 0, i + 1, 1, _hash(name), 20, after)
            out += struct.pack("<II", text(name), 0)
        return bytes(out)


def _hash(name: str) -> int:
    """The System V ABI's hash of a name."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value
