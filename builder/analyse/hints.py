"""Hints: code that is reachable and yet never runs in an image, told as data with a reason.

A hint names functions (or data objects, such as a module's description) in one file, and takes out of the analysis
what is reached through them alone. Those of `recipes/hints/` hold for every image in which their conditions do; those
of an image definition hold for that image. Whatever a trace shows to run, no hint may take out: that is checked.
"""

import fnmatch
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from builder.analyse import configured
from builder.analyse.arch import of
from builder.analyse.bound import outcome
from builder.analyse.configured import Lines, Start
from builder.analyse.passing import Look
from builder.analyse.reach import Cut, Member, Node, Reached, reach
from builder.definition import HintEntry
from builder.edges import content
from builder.errors import DefinitionError
from builder.model import Tree
from builder.value import Value


class Passes(Value, frozen=True):
    """A condition on a function's parameter: every call that can run passes a constant without the bits of `without`.
    The function is one of `telling.ASKED`."""

    function: str
    parameter: int
    without: int


class Hint(Value, frozen=True):
    """What never runs, and why. `file` is a soname or the last part of a path.

    `functions` are symbol names with `*` and `?`; `refers` finds functions without a name instead: those that refer to
    all the symbols named there and are not exported. `helpers`: functions without a name that only these lead to count
    as parts of them. With `calls`, only their references to the functions named there are taken out (of the
    whole file where no function is named). With `needs`, only these need ids are, where they arise in these functions
    (in the whole file where no function is named); with `paths`, only these names under /proc, /sys and /dev. `unless`
    are functions of any file: if one of them is reached, the hint does not hold; so with `passes`. `lacks` and `has`
    are conditions on configuration, `environment` names (or patterns) of variables that the image must not set.
    `asks`: the only names that the file looks up with dlsym. `source` is the place in the program's source that shows
    it.
    """

    name: str
    file: str
    reason: str
    source: str = ""
    functions: tuple[str, ...] = ()
    refers: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    passes: Passes | None = None
    lacks: Lines | None = None
    has: Lines | None = None
    environment: tuple[str, ...] = ()
    helpers: bool = False
    asks: tuple[str, ...] = ()


class _File(Value, frozen=True):
    hint: tuple[Hint, ...]


def load(recipes: Path) -> tuple[Hint, ...]:
    """The hints of `recipes/hints/*.toml`. Raises DefinitionError with the file and the key."""
    return _all(recipes, content.stamp(recipes / "hints", "*.toml"))


@lru_cache(maxsize=4)  # asked for several times by a build, and once for every image of a fleet
def _all(recipes: Path, _stamp: object) -> tuple[Hint, ...]:
    found: list[Hint] = []
    for path in sorted((recipes / "hints").glob("*.toml")):
        try:
            found += msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).hint
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise DefinitionError(f"{path}: {error}", "the keys of hints: docs/how-to/write-a-hint.md") from error
    return tuple(found)


def of_entry(entry: HintEntry) -> Hint:
    """The hint that an image definition gives."""
    symbol, _, file = entry.function.partition("@")
    name = f"image.toml: {entry.function}"
    return Hint(name, file, entry.reason, functions=(symbol,), needs=entry.needs, unless=entry.unless)


def applicable(hints: Iterable[Hint], tree: Tree, start: Start) -> tuple[Hint, ...]:
    """The hints whose conditions on configuration and environment hold for a program in a tree of files."""
    known = configured.Configuration(tree, start)
    return tuple(
        hint
        for hint in hints
        if (hint.lacks is None or known.none(hint.lacks))
        and (hint.has is None or known.some(hint.has))
        and not any(fnmatch.filter(start.environment, name) for name in hint.environment)
    )


def reached_with(
    members: Sequence[Member], hints: Sequence[Hint], reached: Reached, look: Look = outcome
) -> tuple[Reached, tuple[str, ...]]:
    """What can run with the hints, starting from what can without (`reached`), and the names of the hints that hold.

    A hint may make another one hold, since less is reached then: they are applied until nothing changes. They never
    take each other's conditions back: what is reached only shrinks.
    """
    held: tuple[str, ...] = ()
    while True:
        holding = [hint for hint in hints if _holds(hint, reached)]
        names = tuple(dict.fromkeys(hint.name for hint in holding))
        if names == held:
            return reached, held
        held = names
        reached = reach(members, _cut(holding, reached), look)


def _files(reached: Reached, hint: Hint) -> list[int]:
    return [i for i, m in enumerate(reached.members) if hint.file in (m.summary.soname, Path(m.file.path).name)]


def _holds(hint: Hint, reached: Reached) -> bool:
    if not _files(reached, hint) or any(any(_nodes(reached, name)) for name in hint.unless):
        return False
    if hint.passes is None:
        return True
    for node in _nodes(reached, hint.passes.function):
        convention = of(reached.members[node[0]].summary.machine).convention
        where = convention.registers[convention.parameters[hint.passes.parameter]]
        held = reached.values.get(node, {}).get(where)
        if held is None or any(value & hint.passes.without for value in held):
            return False
    return True


def _nodes(reached: Reached, name: str) -> Iterator[Node]:
    """The reached nodes that are exported by a name."""
    for i, table in enumerate(reached.exports):
        for export in table.get(name, ()):
            if (i, export.node) in reached.parents:
                yield i, export.node


def _cut(hints: Iterable[Hint], reached: Reached) -> Cut:
    nodes: set[Node] = set(reached.cut.nodes)
    edges: set[tuple[Node, Node]] = set(reached.cut.edges)
    uses: set[Node] = set(reached.cut.uses)
    needs: set[tuple[Node, str]] = set(reached.cut.needs)
    asks: dict[int, frozenset[str]] = dict(reached.cut.asks)
    for hint in hints:
        for file in _files(reached, hint):
            named = bool(hint.functions or hint.refers)
            found = set(_named(reached, file, hint))
            if hint.helpers:
                found |= _helpers(reached, file, found)
            if hint.asks:
                asks[file] = frozenset(hint.asks)
            elif hint.needs or hint.paths:
                everywhere = set() if named else {(file, -1)}
                needs |= {(node, need) for node in found | everywhere for need in (*hint.needs, *hint.paths)}
            elif hint.calls and named:
                targets = {node for name in hint.calls for node in _nodes(reached, name)}
                edges |= {(node, target) for node in found for target in targets}
                edges |= {(node, stub) for node in found for stub in _stubs(reached, node, hint.calls)}
            elif hint.calls:
                imports = reached.members[file].summary.imports
                uses |= {(file, i) for i, (n, _) in enumerate(imports) if n in hint.calls}
            else:
                nodes |= found
    return Cut(frozenset(nodes), frozenset(edges), frozenset(uses), frozenset(needs), asks)


def _helpers(reached: Reached, file: int, found: set[Node]) -> set[Node]:
    """The functions without a name that only these lead to, and that only those do."""
    summary = reached.members[file].summary
    users: dict[int, set[int]] = {}
    for i, targets in enumerate(summary.edges):
        for target in targets:
            users.setdefault(target, set()).add(i)
    mine = {node for _, node in found}
    exported = {e.node for e in summary.exports} | summary.names.keys() | summary.roots.keys()
    while more := {t for n in mine for t in summary.edges[n] if t not in mine | exported and users[t] <= mine}:
        mine |= more
    return {(file, node) for node in mine if node < summary.units}


def _stubs(reached: Reached, node: Node, names: Sequence[str]) -> Iterator[Node]:
    """The entries of the linkage table that a node refers to and that lead to imports of these names."""
    file, unit = node
    summary = reached.members[file].summary
    for edge in set(summary.edges[unit]) & set(summary.stubs):
        if any(summary.imports[i][0] in names for i in summary.uses.get(edge, ())):
            yield file, edge


def _named(reached: Reached, file: int, hint: Hint) -> Iterator[Node]:
    """The nodes of a file that a hint names, or describes by what they refer to."""
    summary = reached.members[file].summary
    for node, name in summary.names.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in hint.functions):
            yield file, node
    for name, _, node, *_ in (msgspec.structs.astuple(e) for e in summary.exports):
        if node >= 0 and any(fnmatch.fnmatchcase(name, pattern) for pattern in hint.functions):
            yield file, node
    if hint.refers:
        own = {n: {e.node for e in table if e.node >= 0} for n, table in reached.exports[file].items()}
        foreign = {n: i for i, (n, _) in enumerate(summary.imports)}
        exported = {e.node for e in summary.exports}
        for unit in range(summary.units):
            if unit not in exported and all(
                own.get(n, set()) & set(summary.edges[unit]) or foreign.get(n, -1) in summary.uses.get(unit, ())
                for n in hint.refers
            ):
                yield file, unit
