"""Telling functions of two versions of a file apart: by symbol name, else by a digest of their code without what a
linker fills in (pure)."""

import hashlib
from collections.abc import Mapping

from builder.analyse import elf
from builder.analyse.arch import of
from builder.analyse.elf import Elf
from builder.analyse.summary import Summary

SHORTEST = 12  # bytes: what is shorter says nothing, as a jump to somewhere else


def prints(file: Elf, summary: Summary) -> Mapping[int, str]:
    """By unit without a name, a digest of its code; very short units are left out."""
    low = min(s.address for s in file.loads())
    high = max(s.address + s.memory_size for s in file.loads())
    if file.kind != elf.ET_EXEC:
        low = high = 0
    arch, found = of(summary.machine), {}
    for unit in range(summary.units):
        if unit not in summary.names and unit not in summary.stubs:
            own = arch.masked(code(file, summary, unit), summary.starts[unit], low, high)
            if len(own) >= SHORTEST:
                found[unit] = hashlib.sha256(own).hexdigest()[:32]
    return found


def code(file: Elf, summary: Summary, unit: int) -> bytes:
    """A unit's bytes: up to the next one, or to the end of the segment."""
    start = summary.starts[unit]
    for segment in file.loads():
        if segment.address <= start < segment.address + segment.file_size:
            end = segment.address + segment.file_size
            if unit + 1 < summary.units:
                end = min(end, summary.starts[unit + 1])
            at = start - segment.address + segment.offset
            return file.data[at : at + end - start]
    return b""
