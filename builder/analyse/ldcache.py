"""Reading /etc/ld.so.cache, where glibc's loader looks before its own folders.

Source: glibc's sysdeps/generic/dl-cache.h and elf/dl-cache.c, the format `glibc-ld.so.cache1.1` (since 2.2, with
glibc-hwcaps entries since 2.33). A cache that is broken anywhere is not used, as the loader does.
"""

import struct
from dataclasses import dataclass

MAGIC = b"glibc-ld.so.cache1.1"
EXTENSION = 0xEAA42174
HWCAP_EXTENSION = 1 << 62  # the entry is for the glibc-hwcaps folder with the index in the low half
HEADER, ENTRY = 48, 24


@dataclass(frozen=True, slots=True)
class Cached:
    """Where the cache says a library is; `variant`: only for processors with a feature that the entry names."""

    path: str
    variant: bool


def read(data: bytes, flags: int) -> dict[str, tuple[Cached, ...]] | None:
    """Entries of one architecture (`flags`, see `Machine.cache_flags`) by library name, variants first; None where
    the loader would not use the file."""
    base = data.find(MAGIC)
    if base < 0 or base % 4 or len(data) < base + HEADER:
        return None
    count, strings = struct.unpack_from("<II", data, base + 20)
    if count > (len(data) - base - HEADER) // ENTRY or base + HEADER + count * ENTRY + strings > len(data):
        return None
    found: dict[str, list[Cached]] = {}
    for kind, key, value, _, hwcap in struct.iter_unpack("<iIIIQ", data[base + HEADER :][: count * ENTRY]):
        name, path = _text(data, base + key), _text(data, base + value)
        if not name or not path:
            return None
        if kind in (1, flags):
            found.setdefault(name, []).append(Cached(path, bool(hwcap)))
    return {name: tuple(sorted(entries, key=lambda e: not e.variant)) for name, entries in found.items()}


def _text(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + 4096)
    return data[at:end].decode(errors="replace") if at < len(data) and end > at else ""
