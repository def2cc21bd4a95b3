"""Symbol versions a file defines and asks for, and the loader's check that they fit.

Sources: the GNU symbol versioning extensions (LSB core 3.1, 10.7), glibc's elf/dl-version.c.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from builder.analyse import elf
from builder.analyse.elf import Elf

VER_FLG_WEAK = 2
MOST = 0x7FFF  # a symbol's version index has 15 bits


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version (`GLIBC_2.34`) that a file asks of a library (by the name in DT_NEEDED)."""

    library: str
    version: str
    weak: bool


def defined(file: Elf) -> frozenset[str] | None:
    """Names of the versions a file defines, its own base version included; None where it knows no versions."""
    if not file.value(elf.DT_VERDEF):
        return None
    found: set[str] = set()
    for at in chain(file, file.value(elf.DT_VERDEF), file.value(elf.DT_VERDEFNUM), 20, 16):
        aux = struct.unpack_from("<I", file.bytes_at(at, 20, "a version definition"), 12)[0]
        text = struct.unpack("<I", file.bytes_at(at + aux, 4, "a version definition"))[0]
        found.add(file.dynamic_text(text, "a version's name"))
    return frozenset(found)


def wanted(file: Elf) -> tuple[Wanted, ...]:
    """The versions a file asks for, in file order. Raises AnalysisError where the table is broken."""
    found: list[Wanted] = []
    seen: set[int] = set()
    for at in chain(file, file.value(elf.DT_VERNEED), file.value(elf.DT_VERNEEDNUM), 16, 12):
        _, count, name, aux, _ = struct.unpack("<HHIII", file.bytes_at(at, 16, "a needed version"))
        library = file.dynamic_text(name, "a needed version's library")
        for entry in chain(file, at + aux, count, 16, 12):
            if entry in seen:
                raise file.fail(f"two needed versions (DT_VERNEED) share the entry at address 0x{entry:x}")
            seen.add(entry)
            _, flags, _, text, _ = struct.unpack("<IHHII", file.bytes_at(entry, 16, "a needed version"))
            found.append(Wanted(library, file.dynamic_text(text, "a version's name"), bool(flags & VER_FLG_WEAK)))
    return tuple(found)


def chain(file: Elf, at: int, count: int, size: int, link: int) -> Iterator[int]:
    """Addresses of up to `count` records that each say at `link` how far the next one is; always forward, so that
    the file's size bounds them."""
    if count > MOST:
        raise file.fail(f"{count} version records at address 0x{at:x}: there can be no more than {MOST}")
    for _ in range(count if at else 0):
        yield at
        step = struct.unpack_from("<I", file.bytes_at(at, size, "a version record"), link)[0]
        if not step:
            return
        if step < size:
            raise file.fail(f"two version records at address 0x{at:x} overlap")
        at += step
