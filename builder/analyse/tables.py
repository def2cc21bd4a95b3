"""The larger tables of an ELF file: symbols with their versions, relocations, and the function ranges of .eh_frame.

Sources: gABI chapter 5, the GNU symbol versioning and hash formats, the RELR proposal, and for .eh_frame the LSB core
specification (chapter 10.6). All tables are read in bulk; a count never makes more work than the file has bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from builder.analyse import elf
from builder.analyse.elf import Elf
from builder.analyse.versions import chain

STT_OBJECT, STT_FUNC, STT_GNU_IFUNC = 1, 2, 10
STB_LOCAL, STB_WEAK = 0, 2
LONGEST_NAME = 8192  # of a symbol; longer ones are cut, so that overlapping names cannot eat the memory
Role = Literal["absolute", "copy", "glob_dat", "jump_slot", "relative", "irelative", "tls", "other"]
SLOT_ROLES: tuple[Role, ...] = ("absolute", "glob_dat", "jump_slot")  # the loader writes a symbol's address there


@dataclass(frozen=True, slots=True)
class Kinds:
    """An architecture's dynamic relocation types by what the loader does with them."""

    absolute: int  # a symbol's address plus addend, in a word of data
    copy: int
    glob_dat: int
    jump_slot: int
    relative: int
    irelative: int
    tls: tuple[int, ...]  # module numbers, offsets and descriptors of thread-local data

    def roles(self) -> dict[int, Role]:
        """The role of every type that has one here."""
        return {
            **dict.fromkeys(self.tls, "tls"),
            self.absolute: "absolute",
            self.copy: "copy",
            self.glob_dat: "glob_dat",
            self.jump_slot: "jump_slot",
            self.relative: "relative",
            self.irelative: "irelative",
        }


KINDS = {  # psABI x86-64, table 4.10; AAELF64, dynamic relocations
    "x86_64": Kinds(1, 5, 6, 7, 8, 37, (16, 17, 18, 36)),
    "aarch64": Kinds(257, 1024, 1025, 1026, 1027, 1032, (1028, 1029, 1030, 1031)),
}


@dataclass(frozen=True, slots=True)
class Symbol:
    """One symbol; `section` 0 means it is wanted, not defined. `hidden`: only bound when its version is asked for."""

    name: str
    kind: int
    binding: int
    section: int
    address: int
    size: int
    version: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place the loader fills in: from a symbol (index into the dynamic symbols) or base + addend. `kind` is the
    architecture's number, `role` what it means on every architecture."""

    address: int
    kind: int
    symbol: int
    addend: int
    role: Role = "other"


def dynamic_symbols(file: Elf) -> tuple[Symbol, ...]:
    """The dynamic symbol table, in file order (relocations refer to it by index)."""
    table, count = file.value(elf.DT_SYMTAB), dynamic_count(file)
    if not table or not count:
        return ()
    raw = file.bytes_at(table, count * 24, "the dynamic symbol table")
    strings = file.offset_of(file.value(elf.DT_STRTAB))
    versions, names = _version_indexes(file, count), _version_names(file)
    return tuple(
        Symbol(*fields, version=names.get(v & 0x7FFF, ""), hidden=bool(v & 0x8000))
        for fields, v in zip(_symbols(file, raw, strings), versions, strict=True)
    )


def static_symbols(file: Elf) -> Iterator[Symbol]:
    """The full symbol table (.symtab) of a file that is not stripped; nothing for others."""
    for s in file.sections:
        if s.kind == elf.SHT_SYMTAB and s.link < len(file.sections):
            raw = file.data[s.offset : s.offset + s.size - s.size % 24]
            yield from (Symbol(*fields) for fields in _symbols(file, raw, file.sections[s.link].offset))


def _symbols(file: Elf, raw: bytes, strings: int) -> Iterator[tuple[str, int, int, int, int, int]]:
    data = file.data
    for name, info, _, section, address, size in struct.iter_unpack("<IBBHQQ", raw):
        at = strings + name
        end = data.find(b"\0", at, at + LONGEST_NAME) if strings >= 0 else at
        text = data[at : end if end >= 0 else at + LONGEST_NAME].decode(errors="replace")
        yield text, info & 15, info >> 4, section, address, size


def dynamic_count(file: Elf) -> int:
    """How many dynamic symbols there are: the hash tables know; the section header where there is no hash table."""
    if at := file.value(elf.DT_HASH):
        return int(struct.unpack("<II", file.bytes_at(at, 8, "the hash table"))[1])
    if at := file.value(elf.DT_GNU_HASH):
        return _gnu_count(file, at)
    return next((s.size // 24 for s in file.sections if s.kind == elf.SHT_DYNSYM), 0)


def _gnu_count(file: Elf, at: int) -> int:
    buckets, first, bloom, _ = struct.unpack("<IIII", file.bytes_at(at, 16, "the GNU hash table"))
    start = at + 16 + bloom * 8
    raw = file.bytes_at(start, buckets * 4, "the GNU hash table's buckets")
    last = max(struct.unpack(f"<{buckets}I", raw), default=0)
    if last < first:  # no hashed symbol; those before `first` are only wanted ones
        return next((s.size // 24 for s in file.sections if s.kind == elf.SHT_DYNSYM), first)
    chains = file.offset_of(start + buckets * 4)
    at_file = chains + (last - first) * 4
    while chains >= 0 and at_file + 4 <= len(file.data):
        last += 1
        if file.data[at_file] & 1:
            return last
        at_file += 4
    raise file.fail("the GNU hash table's last chain does not end")


def _version_indexes(file: Elf, count: int) -> tuple[int, ...]:
    if at := file.value(elf.DT_VERSYM):
        return struct.unpack(f"<{count}H", file.bytes_at(at, count * 2, "the version table (DT_VERSYM)"))
    return (1,) * count


def _version_names(file: Elf) -> dict[int, str]:
    """Version names by index, from what the file defines and what it needs."""
    names: dict[int, str] = {}
    for at in chain(file, file.value(elf.DT_VERDEF), file.value(elf.DT_VERDEFNUM), 20, 16):
        _, flags, index, _, _, aux, _ = struct.unpack("<HHHHIII", file.bytes_at(at, 20, "a version definition"))
        text = struct.unpack("<I", file.bytes_at(at + aux, 4, "a version definition"))[0]
        if not flags & 1:  # VER_FLG_BASE names the file itself
            names[index] = file.dynamic_text(text, "a version's name")
    seen: set[int] = set()
    for at in chain(file, file.value(elf.DT_VERNEED), file.value(elf.DT_VERNEEDNUM), 16, 12):
        _, count, _, aux, _ = struct.unpack("<HHIII", file.bytes_at(at, 16, "a needed version"))
        for entry in chain(file, at + aux, count, 16, 12):
            if entry in seen:
                raise file.fail("two needed versions (DT_VERNEED) share an entry")
            seen.add(entry)
            _, _, index, text, _ = struct.unpack("<IHHII", file.bytes_at(entry, 16, "a needed version"))
            names[index & 0x7FFF] = file.dynamic_text(text, "a version's name")
    return names


def relocations(file: Elf) -> Iterator[Relocation]:
    """Every dynamic relocation: DT_RELA, DT_JMPREL and DT_RELR."""
    roles = KINDS[file.machine].roles()
    for at, size in ((elf.DT_RELA, elf.DT_RELASZ), (elf.DT_JMPREL, elf.DT_PLTRELSZ)):
        length = file.value(size) - file.value(size) % 24
        if not file.value(at) or not length:
            continue
        raw = file.bytes_at(file.value(at), length, "a relocation table")
        for address, info, addend in struct.iter_unpack("<QQq", raw):
            kind = info & 0xFFFFFFFF
            yield Relocation(address, kind, info >> 32, addend, roles.get(kind, "other"))
    yield from _packed(file)


def _packed(file: Elf) -> Iterator[Relocation]:
    length = file.value(elf.DT_RELRSZ) - file.value(elf.DT_RELRSZ) % 8
    if not file.value(elf.DT_RELR) or not length:
        return
    where, kind = 0, KINDS[file.machine].relative
    for (word,) in struct.iter_unpack("<Q", file.bytes_at(file.value(elf.DT_RELR), length, "DT_RELR")):
        places = [word] if not word & 1 else [where + 8 * i for i in range(63) if word >> (i + 1) & 1]
        where = word + 8 if not word & 1 else where + 63 * 8
        for place in places:
            offset = file.offset_of(place)
            if 0 <= offset <= len(file.data) - 8:
                yield Relocation(place, kind, 0, struct.unpack_from("<q", file.data, offset)[0], "relative")


def frames(file: Elf) -> tuple[tuple[int, int], ...]:
    """Function ranges (start, end) that .eh_frame describes, sorted; encodings Linux compilers do not use are left out.

    So are signal trampolines (augmentation `S`): their records begin a byte before the code.
    """
    found: list[tuple[int, int]] = []
    for s in file.sections:
        if s.name == ".eh_frame" and s.flags & elf.SHF_ALLOC and s.kind != elf.SHT_NOBITS:
            found.extend(_frames(file.data[s.offset : s.offset + s.size], s.address))
    return tuple(sorted(set(found)))


def _frames(data: bytes, base: int) -> Iterator[tuple[int, int]]:
    encodings: dict[int, int] = {}
    at = 0
    while at + 8 <= len(data):
        length, cie = struct.unpack_from("<II", data, at)
        if length in (0, 0xFFFFFFFF):  # an end mark may stand between two objects; 64-bit records are not used
            at += 4
            continue
        if cie == 0:
            encodings[at] = _encoding(data[at + 8 : at + 4 + length])
        else:
            encoding = encodings.get(at + 4 - cie, -1)
            if encoding in (0x1B, 0x03) and at + 16 <= len(data):
                start, size = struct.unpack_from("<iI" if encoding == 0x1B else "<II", data, at + 8)
                start += base + at + 8 if encoding == 0x1B else 0
                yield start, start + size
            elif encoding == 0 and at + 24 <= len(data):
                start, size = struct.unpack_from("<QQ", data, at + 8)
                yield start, start + size
        at += 4 + length


def _encoding(cie: bytes) -> int:
    """How a CIE's FDEs write their addresses (DW_EH_PE_*): the `R` of its augmentation text, else plain addresses."""
    end = cie.find(b"\0", 1)
    augmentation = cie[1:end] if end > 0 else b"?"
    if not augmentation.startswith(b"z") or b"S" in augmentation:
        return 0 if augmentation == b"" else -1
    at = end + 1
    for _ in range(2 if cie[0] == 1 else 3):  # code and data alignment, return register (a byte in version 1)
        while at < len(cie) and cie[at] & 0x80:
            at += 1
        at += 1
    at += 1 if cie[0] == 1 else 0
    while at < len(cie) and cie[at] & 0x80:
        at += 1
    at += 1
    for letter in augmentation[1:]:
        if letter == ord("R"):
            return cie[at] if at < len(cie) else -1
        if letter == ord("P") and at < len(cie):
            at += 1 + {0: 8, 2: 2, 3: 4, 4: 8, 10: 2, 11: 4, 12: 8}.get(cie[at] & 0x0F, 8)
        elif letter == ord("L"):
            at += 1
    return -1
