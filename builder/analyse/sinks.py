"""Putting numbers and arguments together: which system calls, with which telling arguments, reachable code makes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from builder.analyse import golang
from builder.analyse.reach import Node, Reached
from builder.analyse.sites import Known, Site
from builder.analyse.telling import places, rules

NUMBER = ("", -1)  # the kind of a sink that decides on the number
MOST = 64  # combinations of values at one place that are followed
Kind = tuple[str, int]  # a system call and which of its rules
Term = int | str  # a constant, a location at the unit's entry, or ANYTHING
ANYTHING = "?"  # a companion that is not known
Spot = tuple[Node, int]  # a unit and an address in it


@dataclass(frozen=True)
class Finding:
    """What is known at one place: `kind` NUMBER with the number, or a system call's rule with the values of the
    arguments it looks at (of the first alone where its companion is not known). `values` None: not known, `why` says
    what is passed. `made` is the place of the system call instruction itself, `node` and `address` the place that
    decides on the values."""

    kind: Kind
    values: tuple[int, ...] | None
    node: Node
    address: int
    made: Spot
    why: str = ""


@dataclass
class _Search:
    reached: Reached
    names: Mapping[int, str]
    callers: dict[Node, list[tuple[int, Site]]] = field(default_factory=dict)
    before: dict[Node, set[Node]] = field(default_factory=dict)
    done: set[tuple[Node, tuple[Term, ...], Kind, Spot]] = field(default_factory=set)
    work: list[tuple[Node, tuple[Term, ...], Kind, Spot]] = field(default_factory=list)


def findings(reached: Reached, names: Mapping[int, str]) -> Iterator[Finding]:
    """Every number and telling argument of the system calls that reachable code makes. `names` are the system calls
    of the architecture by number."""
    search = _Search(reached, names)
    _index(search)
    for file, member in enumerate(reached.members):
        for plain in member.summary.calls:
            node = (file, plain.unit)
            if node not in reached.parents or (call := reached.call(file, plain)) is None:
                continue
            made = (node, call.address)
            yield from _values(search, NUMBER, (call.numbers,), made, made, "its number is not a constant here")
            for name in sorted({names.get(n & 0xFFFFFFFF, "") for n in call.numbers or () if isinstance(n, int)}):
                for i, rule in enumerate(rules(name)):
                    known = tuple(call.arguments.get(place) for place in places(rule))
                    yield from _values(search, (name, i), known, made, made, "its argument is not a constant here")
    while search.work:
        yield from _passed(search, *search.work.pop())


def _index(search: _Search) -> None:
    """Reachable call sites by the unit they lead to, and reachable nodes by those they refer to."""
    reached = search.reached
    for file, member in enumerate(reached.members):
        for plain in member.summary.sites:
            if (file, plain.unit) not in reached.parents or (site := reached.site(file, plain)) is None:
                continue
            targets = ((file, site.callee),) if site.callee >= 0 else reached.binding(file, -1 - site.callee)
            for target in targets:
                search.callers.setdefault(target, []).append((file, site))
    asked = {(i, c.unit) for i, m in enumerate(reached.members) for c in m.summary.calls}
    asked |= {(i, s.unit) for i, m in enumerate(reached.members) for s in m.summary.sites}
    asked |= search.callers.keys() | {(i, stub) for i, m in enumerate(reached.members) for stub in m.summary.stubs}
    before = search.before
    for node in reached.parents:
        for target in reached.onward(*node):
            if target in asked:
                before.setdefault(target, set()).add(node)


def _values(
    search: _Search, kind: Kind, known: tuple[Known, ...], where: Spot, made: Spot, why: str
) -> Iterator[Finding]:
    """The combinations of what several places hold: constants are findings, the rest is looked for at callers."""
    node, address = where
    known = (known[0], *((ANYTHING,) if k is None else k for k in known[1:]))
    if known[0] is None:
        yield Finding(kind, None, node, address, made, why)
        return
    several = list(product(*((v & 0xFFFFFFFF if isinstance(v, int) else v for v in k or ()) for k in known)))
    if len(several) > MOST:
        yield Finding(kind, None, node, address, made, "too many values to tell")
        return
    for terms in sorted(set(several), key=str):
        values = tuple(t for t in terms if isinstance(t, int))
        if len(values) + terms.count(ANYTHING) == len(terms):
            yield Finding(kind, values, node, address, made)
            if kind == NUMBER and where != made:  # the number came through a wrapper: so do the arguments
                name = search.names.get(values[0], "")
                for i in range(len(rules(name))):
                    yield Finding((name, i), None, node, address, made, "its argument is passed through a wrapper")
        elif (key := (node, terms, kind, made)) not in search.done:
            search.done.add(key)
            search.work.append(key)


def _passed(search: _Search, sink: Node, terms: tuple[Term, ...], kind: Kind, made: Spot) -> Iterator[Finding]:
    """What the callers of a sink pass; a reference that is no call passes anything."""
    reached = search.reached
    sites = search.callers.get(sink, [])
    for file, site in sites:
        where = ((file, site.unit), site.address)
        known = tuple((t,) if isinstance(t, int) or t == ANYTHING else _held(site, t) for t in terms)
        yield from _values(search, kind, known, where, made, "what is passed is not a constant")
    covered = {(file, site.unit) for file, site in sites}
    bound = tuple(int(t.partition("=")[2]) if isinstance(t, str) and "=" in t else t for t in terms)
    values = tuple(t for t in bound if isinstance(t, int)) if all(isinstance(t, int) for t in bound) else None
    parent, how = reached.parents[sink]
    if parent is None and how != golang.PART:
        yield Finding(kind, values, sink, _start(reached, sink), made, how)
    for node in sorted(_users(search, sink) - covered):
        why = f"refers to {_name(reached, sink)} without a call that is seen"
        yield Finding(kind, values, node, _start(reached, node), made, why)


def _held(site: Site, term: str) -> Known:
    """What a call passes for a location; of one that is known to be a constant where it is used, only that counts."""
    location, bound, constant = term.partition("=")
    known = site.values.get(location)
    if not bound:
        return known
    if known is None:
        return (int(constant),)
    fitting = (v if isinstance(v, int) else v if "=" in v else f"{v}={constant}" for v in known)
    return tuple(v for v in fitting if v == int(constant) or (isinstance(v, str) and v.endswith(f"={constant}")))


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
