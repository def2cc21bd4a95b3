"""Reading ELF files of 64-bit Linux: headers, segments and the dynamic section, every offset checked.

The architecture is an argument: x86-64 or AArch64, both little-endian.

Only what the loader itself uses is trusted (program headers, PT_DYNAMIC); section headers are optional help. The
format is that of the System V ABI (gABI chapters 4 and 5) and its processor supplements. Reading is done with `struct`:
it is asked for at every build, needs no third-party import, and a hostile count can never cost more than the file's
own size.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from builder.analyse.machine import BY_NUMBER, MACHINES
from builder.errors import AnalysisError

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_GNU_EH_FRAME = 1, 2, 3, 4, 0x6474E550
PF_X, PF_W = 1, 2
SHT_SYMTAB, SHT_STRTAB, SHT_DYNSYM, SHT_NOBITS = 2, 3, 11, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
DT_NEEDED, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_STRSZ = 1, 4, 5, 6, 7, 8, 10
DT_INIT, DT_FINI, DT_SONAME, DT_RPATH, DT_JMPREL, DT_PLTRELSZ = 12, 13, 14, 15, 23, 2
DT_INIT_ARRAY, DT_FINI_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ, DT_RUNPATH = 25, 26, 27, 28, 29
DT_FLAGS_1, DF_1_NODEFLIB, DF_1_PIE = 0x6FFFFFFB, 0x00000800, 0x08000000
DT_AUXILIARY, DT_FILTER = 0x7FFFFFFD, 0x7FFFFFFF
DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, DT_RELRSZ, DT_RELR = 32, 33, 35, 36
DT_GNU_HASH, DT_VERSYM, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = (
    0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF,
)  # fmt: skip
ET_EXEC, ET_DYN = 2, 3
EM_X86_64 = 62
EM_AARCH64 = 183
NAMES = {3: "32-bit x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "S/390", 40: "Arm", 62: "x86-64",
         183: "AArch64", 243: "RISC-V", 258: "LoongArch"}  # fmt: skip
KINDS = {1: "a relocatable object (.o)", 4: "a core dump"}
REBUILD = "Kiln runs x86-64 Linux programs: use the package or build of that architecture"
LONGEST_TEXT = 1 << 14  # of a path, or a list of paths; the kernel opens none longer than 4096
HIGHEST = (
    1 << 56
)  # end of what a process can map with five levels of page tables (Documentation/arch/x86/x86_64/mm.rst)
MOST_ENTRIES = 1 << 14  # of a dynamic section: one for each library and some thirty more
DAMAGED = "the file is damaged or was made by hand: build or fetch it again"


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header: type, flags, and where it lies in the file and in memory."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section header; `name` may be empty."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    entry_size: int


@dataclass(frozen=True)
class Elf:
    """An ELF program or shared library. `data` is the whole file; addresses are those of the file, unrelocated."""

    name: str
    data: bytes = field(repr=False)
    kind: int
    entry: int
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    dynamic: tuple[tuple[int, int], ...]
    machine: str = "x86_64"  # or "aarch64"

    def fail(self, what: str, hint: str = DAMAGED) -> AnalysisError:
        """The error that names this file and what is wrong with it."""
        return AnalysisError(f"{self.name}: {what}", hint)

    def loads(self) -> Iterator[Segment]:
        """The segments that are mapped into memory."""
        return (s for s in self.segments if s.kind == PT_LOAD)

    def offset_of(self, address: int) -> int:
        """The file offset of a mapped address, or -1 where no byte of the file stands there."""
        for s in self.loads():
            if s.address <= address < s.address + s.file_size:
                return address - s.address + s.offset
        return -1

    def bytes_at(self, address: int, size: int, what: str) -> bytes:
        """`size` bytes of a table at a mapped address; an error naming `what` where the file does not hold them."""
        if size == 0:
            return b""
        offset = self.offset_of(address)
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise self.fail(f"{what} at address 0x{address:x} ({size} bytes) lies outside the file")
        return self.data[offset : offset + size]

    def text_at(self, offset: int, what: str) -> str:
        """The zero-terminated text at a file offset."""
        end = self.data.find(b"\0", offset, offset + LONGEST_TEXT) if 0 <= offset < len(self.data) else -1
        if end < 0:
            why = "is too long" if 0 <= offset < len(self.data) - LONGEST_TEXT else "lies outside the file"
            raise self.fail(f"{what} at offset 0x{offset:x} {why}")
        return self.data[offset:end].decode(errors="replace")

    def value(self, tag: int) -> int:
        """The last value of a dynamic tag (the loader's choice too), 0 where it is absent."""
        return next((v for t, v in reversed(self.dynamic) if t == tag), 0)

    def dynamic_text(self, index: int, what: str) -> str:
        """A string of the dynamic string table."""
        table = self.offset_of(self.value(DT_STRTAB))
        if table < 0 or index >= max(self.value(DT_STRSZ), 1):
            raise self.fail(f"{what}: no string {index} in the dynamic string table")
        return self.text_at(table + index, what)

    def texts(self, tag: int, what: str) -> tuple[str, ...]:
        """The strings of every entry with this dynamic tag, in order."""
        return tuple(self.dynamic_text(v, what) for t, v in self.dynamic if t == tag)

    def text(self, tag: int, what: str) -> str:
        """The string of the last entry with this dynamic tag, which counts for the loader; empty where it is absent."""
        values = [v for t, v in self.dynamic if t == tag]
        return self.dynamic_text(values[-1], what) if values else ""

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the shared libraries this file asks for, in order."""
        return self.texts(DT_NEEDED, "DT_NEEDED")

    @property
    def soname(self) -> str:
        """The library's own name, or an empty text."""
        return self.text(DT_SONAME, "DT_SONAME")

    @property
    def interpreter(self) -> str:
        """The path of the dynamic loader a program asks for, or an empty text."""
        for s in self.segments:
            if s.kind == PT_INTERP:
                return self.text_at(s.offset, "the interpreter's path (PT_INTERP)")
        return ""


def parse(data: bytes, name: str, machine: str = "x86_64") -> Elf:
    """The ELF file in `data`; `name` is how messages call it; `machine` is the architecture it must be of, or an
    empty text for any that is known.

    Raises AnalysisError for anything that is not a whole 64-bit ELF program or shared library of that architecture.
    """
    number, kind, entry, ph, ph_size, ph_count, sh, sh_size, sh_count, sh_names = _header(data, name, machine)
    blank = Elf(name, data, kind, entry, (), (), ())
    if ph_count and (ph_size != 56 or ph + ph_size * ph_count > len(data)):
        raise blank.fail(f"program headers at offset 0x{ph:x} ({ph_count} of {ph_size} bytes) lie outside the file")
    segments = tuple(_segment(data, ph + i * 56) for i in range(ph_count))
    for s in segments:
        if s.kind in (PT_LOAD, PT_DYNAMIC, PT_INTERP) and s.offset + s.file_size > len(data):
            end = s.offset + s.file_size
            raise blank.fail(f"truncated: a segment ends at offset 0x{end:x}, the file at 0x{len(data):x}")
        if s.kind == PT_LOAD and s.address + max(s.memory_size, s.file_size) > HIGHEST:
            raise blank.fail(f"the segment at offset 0x{s.offset:x} is for address 0x{s.address:x}: beyond any process")
    if not any(s.kind == PT_LOAD for s in segments):
        raise blank.fail("no segment to load: not a program or shared library")
    mapped = sum(s.file_size for s in segments if s.kind == PT_LOAD)
    if mapped > 2 * len(data) + (1 << 20):  # neighbours may share a page; more than that is made to cost time
        raise blank.fail(f"the segments map {mapped} bytes of a file of {len(data)}")
    sections = _sections(data, sh, sh_size, sh_count, sh_names)
    dynamic = tuple(islice(_dynamic(data, segments), MOST_ENTRIES + 1))
    if len(dynamic) > MOST_ENTRIES:
        at = next(s.offset for s in segments if s.kind == PT_DYNAMIC)
        raise blank.fail(f"the dynamic section at offset 0x{at:x} has more than {MOST_ENTRIES} entries")
    return Elf(name, data, kind, entry, segments, sections, dynamic, BY_NUMBER[number].name)


def _header(data: bytes, name: str, machine: str) -> tuple[int, ...]:
    wanted = [MACHINES[machine]] if machine else list(MACHINES.values())
    labels = " or ".join(one.label for one in wanted)
    if not data:
        raise AnalysisError(f"{name}: empty file", DAMAGED)
    if data[:4] != b"\x7fELF":
        raise AnalysisError(f"{name}: not an ELF file", f"name an {labels} program, not a script, archive or document")
    if len(data) < (52 if data[4:5] == b"\x01" else 64):
        raise AnalysisError(f"{name}: truncated: the ELF header needs 64 bytes, the file has {len(data)}", DAMAGED)
    number = struct.unpack_from("<H" if data[5] == 1 else ">H", data, 18)[0]
    if data[4] != 2 or data[5] != 1 or number not in [one.number for one in wanted]:
        width = {1: "32-bit ", 2: "64-bit "}.get(data[4], "")
        order = "big-endian " if data[5] == 2 and number in BY_NUMBER else ""
        found = f"{width}{order}ELF for {NAMES.get(number, f'machine {number}')}"
        hint = REBUILD if machine == "x86_64" else f"this closure is of {labels}: use the build of that architecture"
        raise AnalysisError(f"{name}: wrong architecture: {found}", hint)
    kind = struct.unpack_from("<H", data, 16)[0]
    if kind not in (ET_EXEC, ET_DYN):
        raise AnalysisError(f"{name}: {KINDS.get(kind, f'ELF type {kind}')}, not a program or shared library", DAMAGED)
    entry, ph, sh = struct.unpack_from("<QQQ", data, 24)
    ph_size, ph_count, sh_size, sh_count, sh_names = struct.unpack_from("<HHHHH", data, 54)
    return number, kind, entry, ph, ph_size, ph_count, sh, sh_size, sh_count, sh_names


def _segment(data: bytes, at: int) -> Segment:
    kind, flags, offset, address, _, file_size, memory_size, _ = struct.unpack_from("<IIQQQQQQ", data, at)
    return Segment(kind, flags, offset, address, file_size, memory_size)


def _sections(data: bytes, at: int, size: int, count: int, names: int) -> tuple[Section, ...]:
    """The section headers, or none where they do not fit the file: the loader does not read them either."""
    if not count or size != 64 or at + size * count > len(data):
        return ()
    raw = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * 64) for i in range(count)]
    base, length = (raw[names][4], raw[names][5]) if names < count else (0, 0)
    found = []
    for name, kind, flags, address, offset, bytes_, link, _, _, entry in raw:
        end = data.find(b"\0", base + name, base + name + 256) if name < length and base + length <= len(data) else -1
        label = data[base + name : end].decode(errors="replace") if end >= 0 else ""
        if kind == SHT_NOBITS or offset + bytes_ <= len(data):
            found.append(Section(label, kind, flags, address, offset, bytes_, link, entry))
        else:
            found.append(Section(label, 0, 0, 0, 0, 0, 0, 0))  # keeps the numbering that `link` refers to
    return tuple(found)


def _dynamic(data: bytes, segments: tuple[Segment, ...]) -> Iterator[tuple[int, int]]:
    for s in segments:
        if s.kind == PT_DYNAMIC:
            size = s.file_size - s.file_size % 16
            for tag, value in struct.iter_unpack("<qQ", data[s.offset : s.offset + size]):
                if tag == 0:
                    return
                yield tag, value
