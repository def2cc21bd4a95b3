"""Putting numbers and arguments together: which system calls, with which telling arguments, reachable code makes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from builder.analyse.reach import Node, Reached
from builder.analyse.sites import Known, Site
from builder.analyse.telling import telling

NUMBER = ("", -1)  # the kind of a sink that decides on the number
Kind = tuple[str, int]  # a system call and the index of its argument


@dataclass(frozen=True)
class Finding:
    """One value at one place: `kind` NUMBER with the number, or a system call's argument with its value. `value`
    None: not known, `why` says what is passed. `made` is the place of the system call instruction itself."""

    kind: Kind
    value: int | None
    node: Node
    address: int
    made: tuple[Node, int]
    why: str = ""


@dataclass
class _Search:
    reached: Reached
    names: Mapping[int, str]
    callers: dict[Node, list[tuple[int, Site]]] = field(default_factory=dict)
    before: dict[Node, set[Node]] = field(default_factory=dict)
    done: set[tuple[Node, str, Kind]] = field(default_factory=set)
    work: list[tuple[Node, str, Kind, tuple[Node, int]]] = field(default_factory=list)


def findings(reached: Reached, names: Mapping[int, str]) -> Iterator[Finding]:
    """Every number and telling argument of the system calls that reachable code makes. `names` are the system calls
    of the architecture by number."""
    search = _Search(reached, names)
    _index(search)
    for file, member in enumerate(reached.members):
        for call in member.summary.calls:
            node = (file, call.unit)
            if node not in reached.parents:
                continue
            made = (node, call.address)
            yield from _values(search, NUMBER, call.numbers, made, made, "its number is not a constant here")
            for n in _constants(call.numbers):
                for index, known in call.arguments.items():
                    if index in telling(names.get(n, "")):
                        kind = (names[n], index)
                        yield from _values(search, kind, known, made, made, "its argument is not a constant here")
    while search.work:
        yield from _passed(search, *search.work.pop())


def _constants(known: Known) -> tuple[int, ...]:
    """The constants among a register's values, as the 32-bit numbers the kernel looks at."""
    return tuple(sorted({v & 0xFFFFFFFF for v in known or () if isinstance(v, int)}))


def _index(search: _Search) -> None:
    """Reachable call sites by the unit they lead to, and reachable nodes by those they refer to."""
    reached = search.reached
    for file, member in enumerate(reached.members):
        for site in member.summary.sites:
            if (file, site.unit) not in reached.parents:
                continue
            targets = ((file, site.callee),) if site.callee >= 0 else reached.binding(file, -1 - site.callee)
            for target in targets:
                search.callers.setdefault(target, []).append((file, site))
    for file, index in reached.parents:
        summary = reached.members[file].summary
        for edge in summary.edges[index]:
            search.before.setdefault((file, edge), set()).add((file, index))
        for wanted in summary.uses.get(index, ()):
            for target in reached.binding(file, wanted):
                search.before.setdefault(target, set()).add((file, index))


def _values(
    search: _Search, kind: Kind, known: Known, where: tuple[Node, int], made: tuple[Node, int], why: str
) -> Iterator[Finding]:
    node, address = where
    if known is None:
        yield Finding(kind, None, node, address, made, why)
        return
    for number in _constants(known):
        yield Finding(kind, number, node, address, made)
        if kind == NUMBER and where != made:  # the number came through a wrapper: so do the arguments
            for index in telling(search.names.get(number, "")):
                yield Finding((search.names[number], index), None, node, address, made, "passed through a wrapper")
    for location in known:
        if isinstance(location, str) and (node, location, kind) not in search.done:
            search.done.add((node, location, kind))
            search.work.append((node, location, kind, made))


def _passed(search: _Search, sink: Node, location: str, kind: Kind, made: tuple[Node, int]) -> Iterator[Finding]:
    """What the callers of a sink pass in a register; a reference that is no call passes anything."""
    reached = search.reached
    sites = search.callers.get(sink, [])
    for file, site in sites:
        where = ((file, site.unit), site.address)
        known = site.values.get(location)
        yield from _values(search, kind, known, where, made, "what is passed is not a constant")
    covered = {(file, site.unit) for file, site in sites}
    parent, how = reached.parents[sink]
    if parent is None:
        yield Finding(kind, None, sink, _start(reached, sink), made, how)
    for node in _users(search, sink) - covered:
        why = f"refers to {_name(reached, sink)} without a call that is seen"
        yield Finding(kind, None, node, _start(reached, node), made, why)


def _users(search: _Search, sink: Node) -> set[Node]:
    """Reachable nodes that refer to a unit, those that do so through a linkage table included."""
    found: set[Node] = set()
    for node in search.before.get(sink, ()):
        stub = node[1] in search.reached.members[node[0]].summary.stubs
        found |= search.before.get(node, set()) if stub else {node}
    return found


def _start(reached: Reached, node: Node) -> int:
    return reached.members[node[0]].summary.starts[node[1]]


def _name(reached: Reached, node: Node) -> str:
    return reached.members[node[0]].summary.name(node[1])
