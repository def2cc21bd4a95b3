"""Digests of functions with an open system call: `exceptions` knows them by these, whatever a linker filled in."""

import hashlib
from collections.abc import Iterable, Sequence

from builder.analyse.arch import Unit
from builder.analyse.decode import Reader
from builder.analyse.sites import Call, Site
from builder.analyse.units import Code


def marks(
    reader: Reader, code: Code, imports: Sequence[str], calls: Iterable[Call], sites: Iterable[Site]
) -> dict[int, str]:
    """Digests of the units with a system call whose number is not a constant, and of those that pass a number of their
    own caller on to syscall(2)."""
    generic = {-1 - i for i, name in enumerate(imports) if name == "syscall"}
    units = {call.unit for call in calls if call.numbers is None}
    units |= {site.unit for site in sites if site.callee in generic and _passes_on(site)}
    return {i: mark(reader, code.units[i]) for i in sorted(units)}


def mark(reader: Reader, unit: Unit) -> str:
    """A digest of a unit's code without what a linker fills in."""
    low, high = (reader.low, reader.high) if reader.fixed else (0, 0)
    code = reader.arch.masked(reader.bytes_of(unit.start, unit.end), unit.start, low, high)
    return hashlib.sha256(code).hexdigest()[:32]


def _passes_on(site: Site) -> bool:
    return any(isinstance(v, str) for known in site.values.values() for v in known or ())
