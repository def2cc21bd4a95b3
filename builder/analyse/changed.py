"""Which functions differ between two versions of one ELF file (pure).

A function is known by its symbol, else by its code. Code is compared without what a linker fills in, together with the
names of what it leads to; what a function reads from data is not part of it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from builder.analyse import elf
from builder.analyse.arch import of
from builder.analyse.elf import Elf
from builder.analyse.fingerprint import code
from builder.analyse.summary import Summary
from builder.value import Value

Prints = Mapping[int, str]  # a digest for each unit


class FunctionChange(Value, frozen=True):
    """A function that one version has and the other has not, or not with this code. Its unit in the old and the new
    file, -1 where it is in none."""

    name: str
    what: Literal["changed", "added", "removed"]
    old: int = -1
    new: int = -1


def prints(file: Elf, summary: Summary) -> Prints:
    """By unit a digest of its code and of the names it leads to, entries of linkage tables left out."""
    low = min(s.address for s in file.loads())
    high = max(s.address + s.memory_size for s in file.loads())
    if file.kind != elf.ET_EXEC:
        low = high = 0
    arch, stubs, found = of(summary.machine), frozenset(summary.stubs), {}
    for unit in range(summary.units):
        if unit not in stubs:
            own = arch.masked(code(file, summary, unit), summary.starts[unit], low, high)
            found[unit] = hashlib.sha256(own + "\0".join(_leads_to(summary, unit, stubs)).encode()).hexdigest()[:32]
    return found


def _leads_to(summary: Summary, unit: int, stubs: frozenset[int]) -> tuple[str, ...]:
    """The names of functions and imports a unit refers to, by way of linkage tables or not."""
    via = [node for node in summary.edges[unit] if node in stubs]
    imports = {i for node in (unit, *via) for i in summary.uses.get(node, ())}
    named = {summary.names[node] for node in summary.edges[unit] if node in summary.names and node < summary.units}
    return tuple(sorted(named | {summary.imports[i][0] for i in imports}))


def functions(old: Summary, new: Summary, before: Prints, after: Prints) -> tuple[FunctionChange, ...]:
    """The functions that differ, those with a name first."""
    names = _by_name(old, before), _by_name(new, after)
    found = [
        FunctionChange(name, "changed", names[0][name], names[1][name])
        for name in sorted(names[0].keys() & names[1].keys())
        if before[names[0][name]] != after[names[1][name]]
    ]
    found += [FunctionChange(name, "added", -1, names[1][name]) for name in sorted(names[1].keys() - names[0].keys())]
    found += [FunctionChange(name, "removed", names[0][name]) for name in sorted(names[0].keys() - names[1].keys())]
    gone = _without_partner(old, before, after.values())
    come = _without_partner(new, after, before.values())
    found += [FunctionChange(old.name(unit), "removed", unit) for unit in gone]
    found += [FunctionChange(new.name(unit), "added", -1, unit) for unit in come]
    return tuple(found)


def _by_name(summary: Summary, known: Prints) -> dict[str, int]:
    return {name: unit for unit, name in summary.names.items() if unit in known}


def _without_partner(summary: Summary, own: Prints, others: Iterable[str]) -> Iterator[int]:
    """Units without a name whose code the other version does not have as often."""
    left = Counter(others)
    for unit, digest in own.items():
        if unit not in summary.names:
            left[digest] -= 1
            if left[digest] < 0:
                yield unit
