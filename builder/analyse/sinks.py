"""Putting numbers and arguments together: which system calls, with which telling arguments, reachable code makes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from builder.analyse.features import FEATURES, argument_values
from builder.analyse.reach import Node, Reached
from builder.analyse.sites import Known, Site

NUMBER = -1  # the kind of a sink that decides on the number; other kinds are the number whose argument it is


@dataclass(frozen=True)
class Finding:
    """One value at one place: `kind` NUMBER with the number, or a system call's number with its argument's value.
    `value` None: not known, `why` says what is passed."""

    kind: int
    value: int | None
    node: Node
    address: int
    why: str = ""


@dataclass
class _Search:
    reached: Reached
    callers: dict[Node, list[tuple[int, Site]]] = field(default_factory=dict)
    before: dict[Node, set[Node]] = field(default_factory=dict)
    done: set[tuple[Node, str, int]] = field(default_factory=set)
    work: list[tuple[Node, str, int]] = field(default_factory=list)


def findings(reached: Reached) -> Iterator[Finding]:
    """Every number and telling argument of the system calls that reachable code makes."""
    search = _Search(reached)
    _index(search)
    for file, member in enumerate(reached.members):
        for call in member.summary.calls:
            node = (file, call.unit)
            if node not in reached.parents:
                continue
            yield from _values(search, NUMBER, call.numbers, node, call.address, "its number is not a constant here")
            for number, known in call.arguments.items():
                yield from _values(search, number, known, node, call.address, "its argument is not a constant here")
    while search.work:
        yield from _passed(search, *search.work.pop())


def _index(search: _Search) -> None:
    """Reachable call sites by the unit they lead to, and reachable units by those they refer to."""
    reached = search.reached
    for file, member in enumerate(reached.members):
        for site in member.summary.sites:
            if (file, site.unit) not in reached.parents:
                continue
            targets = ((file, site.callee),) if site.callee >= 0 else reached.binding(file, -1 - site.callee)
            for target in targets:
                search.callers.setdefault(target, []).append((file, site))
    for file, unit in reached.parents:
        summary = reached.members[file].summary
        for edge in summary.edges[unit]:
            search.before.setdefault((file, edge), set()).add((file, unit))
        for wanted in summary.uses.get(unit, ()):
            for target in reached.binding(file, wanted):
                search.before.setdefault(target, set()).add((file, unit))


def _values(search: _Search, kind: int, known: Known, node: Node, address: int, why: str) -> Iterator[Finding]:
    if known is None:
        yield Finding(kind, None, node, address, why)
        return
    for number in argument_values(known):
        yield Finding(kind, number, node, address)
        if (
            kind == NUMBER
            and number in FEATURES
            and search.reached.members[node[0]].summary.calls
            and not any(c.address == address for c in search.reached.members[node[0]].summary.calls)
        ):
            yield Finding(number, None, node, address, "its arguments go through a wrapper")
    for register in known:
        if isinstance(register, str) and (node, register, kind) not in search.done:
            search.done.add((node, register, kind))
            search.work.append((node, register, kind))


def _passed(search: _Search, sink: Node, register: str, kind: int) -> Iterator[Finding]:
    """What the callers of a sink pass in a register; a reference that is no call passes anything."""
    reached = search.reached
    sites = search.callers.get(sink, [])
    for file, site in sites:
        known = site.values.get(register)
        yield from _values(search, kind, known, (file, site.unit), site.address, "what is passed is not a constant")
    covered = {(file, site.unit) for file, site in sites}
    parent, how = reached.parents[sink]
    if parent is None:
        yield Finding(kind, None, sink, _start(reached, sink), how)
    for node in _users(search, sink) - covered:
        yield Finding(kind, None, node, _start(reached, node), f"refers to {_name(reached, sink)} without a call")


def _users(search: _Search, sink: Node) -> set[Node]:
    """Reachable units that refer to a unit, those that do so through a linkage table included."""
    found: set[Node] = set()
    for node in search.before.get(sink, ()):
        stub = node[1] in search.reached.members[node[0]].summary.stubs
        found |= search.before.get(node, set()) if stub else {node}
    return found


def _start(reached: Reached, node: Node) -> int:
    return reached.members[node[0]].summary.starts[node[1]]


def _name(reached: Reached, node: Node) -> str:
    return reached.members[node[0]].summary.name(node[1])
