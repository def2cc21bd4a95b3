"""Hints: code that is reachable and yet never runs in an image, told as data with a reason.

A hint names functions (or data objects, such as a module's description) in one file, and takes out of the analysis
what is reached through them alone. Those of `recipes/hints/` hold for every image in which their conditions do; those
of an image definition hold for that image. Whatever a trace shows to run, no hint may take out: that is checked.
"""

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from builder import paths
from builder.analyse.bound import outcome
from builder.analyse.passing import Look
from builder.analyse.reach import Cut, Member, Node, Reached, reach
from builder.definition import HintEntry
from builder.errors import DefinitionError
from builder.model import Tree, Value


class Lacks(Value, frozen=True):
    """A condition on configuration files: none of those that match `files` (globs of guest paths) has a line that
    `text` (a regular expression) is found in; lines that begin with `#` do not count."""

    files: tuple[str, ...]
    text: str


class Hint(Value, frozen=True):
    """What never runs, and why. `file` is a soname or the last part of a path.

    `functions` are symbol names with `*` and `?`; `refers` finds functions without a name instead: those that refer to
    all the symbols named there. With `calls`, only their references to the functions named there are taken out (of the
    whole file where no function is named). With `needs`, only these need ids are, where they arise in these functions
    (in the whole file where no function is named); with `paths`, only these names under /proc, /sys and /dev. `unless`
    are functions of any file: if one of them is reached, the hint does not hold. `source` is the place in the
    program's source that shows it.
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
    lacks: Lacks | None = None


class _File(Value, frozen=True):
    hint: tuple[Hint, ...]


def load(recipes: Path) -> tuple[Hint, ...]:
    """The hints of `recipes/hints/*.toml`. Raises DefinitionError with the file and the key."""
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


def applicable(hints: Iterable[Hint], tree: Tree, command: Sequence[str] = ()) -> tuple[Hint, ...]:
    """The hints whose condition on configuration files holds in a tree. The program's arguments, which can change the
    configuration, count as one more line."""
    return tuple(h for h in hints if h.lacks is None or not any(_lines(tree, h.lacks, " ".join(command))))


def _lines(tree: Tree, lacks: Lacks, command: str) -> Iterator[str]:
    pattern = re.compile(lacks.text)
    if pattern.search(command):
        yield command
    for path in sorted(tree):
        if any(fnmatch.fnmatchcase(path, glob) for glob in lacks.files):
            entry = paths.find(tree, path)
            text = Path(entry.host).read_text(errors="replace") if entry and entry.kind == "file" else ""
            yield from (line for line in text.splitlines() if line.lstrip()[:1] != "#" and pattern.search(line))


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
    return bool(_files(reached, hint)) and not any(any(_nodes(reached, name)) for name in hint.unless)


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
    for hint in hints:
        for file in _files(reached, hint):
            found = set(_named(reached, file, hint))
            if hint.needs or hint.paths:
                everywhere = {(file, -1)} if not (hint.functions or hint.refers) else set()
                needs |= {(node, need) for node in found | everywhere for need in (*hint.needs, *hint.paths)}
            elif hint.calls and (hint.functions or hint.refers):
                targets = {node for name in hint.calls for node in _nodes(reached, name)}
                edges |= {(node, target) for node in found for target in targets}
                edges |= {(node, stub) for node in found for stub in _stubs(reached, node, hint.calls)}
            elif hint.calls:
                imports = reached.members[file].summary.imports
                uses |= {(file, i) for i, (n, _) in enumerate(imports) if n in hint.calls}
            else:
                nodes |= found
    return Cut(frozenset(nodes), frozenset(edges), frozenset(uses), frozenset(needs))


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
