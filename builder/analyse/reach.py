"""Reachability over all files of a closure: which functions can run, and through which chain of callers.

A function can run if a reachable function calls it, jumps to it or takes its address; if its address stands in a
data object that reachable code refers to; if the loader runs it; or if a reachable function or object binds to it
from another file by the loader's rules (first definition in load order with the wanted version).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from builder.analyse import golang
from builder.analyse.arch import of
from builder.analyse.body import Outcome
from builder.analyse.bound import outcome
from builder.analyse.passing import Look, Passing
from builder.analyse.sites import Call, Site
from builder.analyse.summary import Export, Summary
from builder.analyse.table import names
from builder.model import ClosureFile

Node = tuple[int, int]  # file, unit or data object
LOOKED_UP = ("dlsym", "dlvsym")
CHAIN = 14  # names shown of a chain of callers


@dataclass(frozen=True)
class Member:
    """A file of the closure with its summary; `aliases` are further paths that lead to the same content."""

    file: ClosureFile
    summary: Summary


@dataclass(frozen=True)
class Cut:
    """What hints take out: nodes that are never entered, references from one node to another, imports (file, index)
    that are never used, needs that do not arise in a node (or, with node -1, anywhere in its file), and by file the
    only names it looks up with dlsym."""

    nodes: frozenset[Node] = frozenset()
    edges: frozenset[tuple[Node, Node]] = frozenset()
    uses: frozenset[Node] = frozenset()
    needs: frozenset[tuple[Node, str]] = frozenset()
    asks: Mapping[int, frozenset[str]] = field(default_factory=dict)


@dataclass
class Reached:
    """What can run: for each reachable node the node that led to it (None: a start) and how."""

    members: tuple[Member, ...]
    parents: dict[Node, tuple[Node | None, str]] = field(default_factory=dict)
    exports: list[dict[str, list[Export]]] = field(default_factory=list)
    bound: dict[Node, tuple[Node, ...]] = field(default_factory=dict)  # (file, import) → definitions
    cut: Cut = Cut()
    partial: dict[Node, Outcome] = field(default_factory=dict)  # functions of which only this can run
    values: dict[Node, dict[str, set[int] | None]] = field(default_factory=dict)  # what is passed to them; None: any

    def calls(self) -> Mapping[int, str]:
        """The system calls of the closure's architecture by number."""
        return names(self.members[0].summary.machine) if self.members else names()

    def chain(self, node: Node) -> tuple[str, ...]:
        """Names from a start to the unit, `function@file`, the middle of a long one left out."""
        shown: list[str] = []
        at: Node | None = node
        while at is not None:
            summary = self.members[at[0]].summary
            if at[1] not in summary.stubs:
                shown.append(f"{summary.name(at[1])}@{self.members[at[0]].file.path}")
            at = self.parents[at][0]
        shown.reverse()
        return tuple(shown) if len(shown) <= CHAIN else (*shown[:4], "…", *shown[5 - CHAIN :])

    def names(self, node: Node, text: str) -> bool:
        """Whether a place that can run names a text of its summary's `paths`."""
        return node in self.parents and (node not in self.partial or text in self.partial[node].paths)

    def onward(self, file: int, index: int) -> list[Node]:
        """The nodes that a node leads to, in its own file and in others."""
        summary, part = self.members[file].summary, self.partial.get((file, index))
        found = [(file, target) for target in (summary.edges[index] if part is None else part.edges)]
        for wanted in summary.uses.get(index, ()) if part is None else part.uses:
            if (file, wanted) not in self.cut.uses:
                found += self.binding(file, wanted)
        if self.cut.edges:
            found = [target for target in found if ((file, index), target) not in self.cut.edges]
        return found

    def site(self, file: int, site: Site) -> Site | None:
        """A call as it can run: with what it passes then, or None where it cannot."""
        part = self.partial.get((file, site.unit))
        if part is None:
            return site
        held = part.held.get(site.address)
        return None if held is None else msgspec.structs.replace(site, values={**site.values, **held})

    def call(self, file: int, call: Call) -> Call | None:
        """A system call as it can run; see `site`."""
        part = self.partial.get((file, call.unit))
        held = part.held.get(call.address) if part else None
        if part is None or held is None:
            return call if part is None else None
        convention = of(self.members[file].summary.machine).convention
        names = [convention.registers[r] for r in convention.arguments]
        return msgspec.structs.replace(
            call,
            numbers=held[convention.registers[convention.number]],
            arguments={i: held[names[i]] for i in call.arguments},
        )

    def binding(self, file: int, wanted: int) -> tuple[Node, ...]:
        """The definitions an import can bind to."""
        key = (file, wanted)
        if key not in self.bound:
            self.bound[key] = tuple(self._lookup(file, wanted))
        return self.bound[key]

    def _lookup(self, asker: int, wanted: int) -> Iterator[Node]:
        """The first definition in load order; with several programs, those of each program as well. What a program
        copies is defined by a library: the program's own place for it does not count."""
        name, version = self.members[asker].summary.imports[wanted]
        copied = wanted in self.members[asker].summary.copies
        programs = [i for i, m in enumerate(self.members) if m.file.why == "program"]
        for i, exports in enumerate(self.exports):
            if i in programs and asker in programs and (i != asker or copied):
                continue
            match = next((e for e in exports.get(name, ()) if _fits(e, version)), None)
            if match is None:
                continue
            if match.node >= 0:
                yield i, match.node
            if i not in programs or len(programs) == 1:
                return


def _fits(export: Export, version: str) -> bool:
    if not version:
        return not export.hidden
    return export.version == version or not export.version


def reach(members: Sequence[Member], cut: Cut = Cut(), look: Look = outcome) -> Reached:
    """Everything that can run in the closure, but for what is cut out. `look` finds what runs of a function in part."""
    reached = Reached(tuple(members), cut=cut)
    for m in members:
        table: dict[str, list[Export]] = {}
        for export in m.summary.exports:
            table.setdefault(export.name, []).append(export)
        reached.exports.append(table)
    search = _Search(reached, Passing(reached, look))
    for i, member in enumerate(members):
        search.add(None, starts(reached, i, member))
    while search.queue or search.passing.fresh:
        search.run()
        search.add(None, asked_by_name(reached))
    reached.values = search.passing.values
    return reached


class _Search:
    """Reachability while it grows. A function that may run in part is looked at last, when most values are known."""

    def __init__(self, reached: Reached, passing: Passing) -> None:
        self.reached, self.passing = reached, passing
        self.queue: deque[Node] = deque()

    def add(self, parent: Node | None, found: Iterable[tuple[Node, str]]) -> None:
        """Nodes that can run, and by what."""
        parents, cut = self.reached.parents, self.reached.cut.nodes
        for node, how in found:
            if parent is None and how != golang.PART:
                self.passing.anything(node)
            if node not in parents and node not in cut:
                parents[node] = (parent, how)
                self.queue.append(node)

    def run(self) -> None:
        """Follow everything that is known so far."""
        passing = self.passing
        while self.queue:
            node = self.queue.popleft()
            if node in passing.bodies:
                passing.fresh.add(node)
            else:
                self.expand(node)
        fresh, passing.fresh = passing.fresh & self.reached.parents.keys(), set()
        for node in sorted(fresh - passing.bodies.keys()):
            passing.passes(node)
        for node in sorted(fresh & passing.bodies.keys()):
            self.reached.partial[node] = passing.outcome(node)
            self.expand(node)

    def expand(self, node: Node) -> None:
        """What a node leads to can run."""
        targets = self.reached.onward(*node)
        parents = self.reached.parents
        self.add(node, [(n, "referred to") for n in targets if n not in parents])
        self.passing.refers(node, targets)
        self.passing.passes(node)


def starts(reached: Reached, i: int, member: Member) -> Iterator[tuple[Node, str]]:
    summary = member.summary
    if summary.entry >= 0 and member.file.why in ("program", "interpreter"):
        yield (i, summary.entry), "entry point"
    for node, how in summary.roots.items():
        yield (i, node), how
    if member.file.why == "plugin":
        for export in summary.exports:
            if export.node >= 0:
                yield (i, export.node), "exported by a plugin"
    if member.file.why == "interpreter":
        yield from _named(reached, i, summary.words, "the loader may look it up by name")


def asked_by_name(reached: Reached) -> Iterator[tuple[Node, str]]:
    """Functions that reachable code may ask for with dlsym: constant names; where a name is not known, every text of
    that file that is some file's function name."""
    for i, member in enumerate(reached.members):
        summary = member.summary
        asking = {-1 - w: w for w, (n, _) in enumerate(summary.imports) if n in LOOKED_UP}
        if not asking:
            continue
        named: set[str] = set()
        seen: set[Node] = set()
        words = reached.cut.asks.get(i, frozenset(summary.words))
        for site in summary.sites:
            if site.callee in asking and (i, site.unit) in reached.parents:
                values = site.values.get(_second(summary))
                texts = [summary.texts.get(v) if isinstance(v, int) else None for v in values or (None,)]
                named |= {t for t in texts if t} | (words if None in texts else set())
                seen.add((i, site.unit))
        users = {u for u, uses in summary.uses.items() if set(asking.values()) & set(uses) and u not in summary.stubs}
        if any((i, u) in reached.parents and (i, u) not in seen for u in users):
            named |= words
        yield from _named(reached, i, named, f"may be asked for by name in {member.file.path}")


def _named(reached: Reached, asker: int, names: Iterable[str], how: str) -> Iterator[tuple[Node, str]]:
    wanted = set(names)
    for i, table in enumerate(reached.exports):
        if i != asker:
            for name in wanted & table.keys():
                for export in table[name]:
                    if export.node >= 0:
                        yield (i, export.node), how


def _second(summary: Summary) -> str:
    """The name of the register that has a function's second parameter."""
    convention = of(summary.machine).convention
    return convention.registers[convention.parameters[1]]
