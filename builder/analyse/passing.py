"""Which values reach the parameters of functions that run in part, while reachability grows (pure).

Values flow forward, from calls that can run to the functions they lead to: constants as they are, a caller's own
parameter with all it can hold. Whatever refers to such a function in another way than by a call that is seen passes
anything. Both only grow, so the order in which things are found does not matter.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING

from builder.analyse.body import Binding, Body, Outcome
from builder.analyse.sites import Site

if TYPE_CHECKING:
    from builder.analyse.reach import Node, Reached

MOST = 16  # combinations of values that a function is looked at with, before they count as anything
Look = Callable[[Body, frozenset[Binding]], Outcome]
Held = set[int] | None  # None: anything


class Passing:
    """The values known so far."""

    def __init__(self, reached: "Reached", look: "Look") -> None:
        self.reached, self.look = reached, look
        self.bodies: dict[Node, Body] = {
            (i, unit): body for i, m in enumerate(reached.members) for unit, body in m.summary.bodies.items()
        }
        self.values: dict[Node, dict[str, Held]] = {n: {p: set() for p in b.parameters} for n, b in self.bodies.items()}
        self.sites: dict[Node, list[tuple[Site, Node]]] = {}
        self.calls: set[tuple[Node, Node]] = set()
        self.stubs: dict[Node, set[Node]] = {}  # entries of linkage tables → what they lead to
        self.fresh: set[Node] = set()  # nodes whose values have grown
        self._connect()

    def _connect(self) -> None:
        """Find the calls that lead to these functions, and to those that pass their own parameters on to them."""
        leading: dict[Node, list[tuple[Node, Site]]] = {}
        for i, member in enumerate(self.reached.members):
            for site in member.summary.sites:
                targets = ((i, site.callee),) if site.callee >= 0 else self.reached.binding(i, -1 - site.callee)
                for target in targets:
                    leading.setdefault(target, []).append(((i, site.unit), site))
        work = list(self.values)
        done: set[Node] = set()
        while work:
            target = work.pop()
            if target in done:
                continue
            done.add(target)
            for node, site in leading.get(target, ()):
                self.sites.setdefault(node, []).append((site, target))
                self.calls.add((node, target))
                own = {
                    v.partition("=")[0]
                    for w in self.values[target]
                    for v in site.values.get(w) or ()
                    if isinstance(v, str)
                }
                known = self.values.setdefault(node, {})
                if own - known.keys():
                    known.update({name: set() for name in own - known.keys()})
                    done.discard(node)
                    work.append(node)
        self.values = {n: v for n, v in self.values.items() if v}
        names = {
            e.name for i, m in enumerate(self.reached.members) for e in m.summary.exports if (i, e.node) in self.values
        }
        for i, member in enumerate(self.reached.members):
            wanted = {w for w, (name, _) in enumerate(member.summary.imports) if name in names}
            for stub in member.summary.stubs if wanted else ():
                used = wanted.intersection(member.summary.uses.get(stub, ()))
                found = {n for w in used for n in self.reached.binding(i, w)} & self.values.keys()
                if found:
                    self.stubs[i, stub] = found

    # ---- what is found ------------------------------------------------------------------------------------------

    def anything(self, node: "Node") -> None:
        """A function may be called with anything."""
        if node in self.values and any(v is not None for v in self.values[node].values()):
            self.values[node] = dict.fromkeys(self.values[node])
            self.fresh.add(node)

    def refers(self, node: "Node", targets: Iterable["Node"]) -> None:
        """A node that can run refers to others."""
        if node in self.stubs:
            return
        for target in targets:
            if target in self.values or target in self.stubs:
                for real in self.stubs.get(target) or (target,):
                    if (node, real) not in self.calls:
                        self.anything(real)

    def passes(self, node: "Node") -> None:
        """The calls of a node that can run pass what they pass, and what it was called with."""
        own = self.values.get(node, {})
        for plain, target in self.sites.get(node, ()):
            site = self.reached.site(node[0], plain)
            held = self.values.get(target, {}) if site is not None else {}
            for where, before in held.items():
                now = _union(before, (_resolved(v, own) for v in _each(site, where)))
                if now != before:
                    held[where] = now
                    self.fresh.add(target)

    def outcome(self, node: "Node") -> Outcome:
        """What can run of a function with the values found so far."""
        body = self.bodies[node]
        held = [self.values[node][p] for p in body.parameters]
        several = list(product(*(sorted(v) if v is not None else [None] for v in held)))
        bindings: list[Binding] = several if len(several) <= MOST else [(None,) * len(held)]
        return self.look(body, frozenset(bindings))


def _each(site: Site | None, where: str) -> Iterator[int | str | None]:
    known = site.values.get(where) if site else None
    yield from (None,) if known is None else known


def _resolved(value: int | str | None, own: dict[str, Held]) -> Held:
    """What one value that is passed on can be."""
    if isinstance(value, int):
        return {value}
    if value is None:
        return None
    name, bound, constant = value.partition("=")
    held = own.get(name)
    if bound:
        return {int(constant)} if held is None or int(constant) in held else set()
    return held


def _union(before: Held, more: Iterable[Held]) -> Held:
    found = before
    for one in more:
        found = None if found is None or one is None else found | one
    return found if found is None or len(found) <= MOST else None
