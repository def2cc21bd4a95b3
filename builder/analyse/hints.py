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
from builder.analyse.reach import Cut, Node, Reached
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
    all the symbols named there. With `uses`, only the imports of that name are taken out, of the whole file where no
    function is named. With `needs`, only these need ids are, where they arise in these functions. `unless` are
    functions of any file: if one of them is reached, the hint does not hold. `source` is the place in the program's
    source that shows it.
    """

    name: str
    file: str
    reason: str
    source: str = ""
    functions: tuple[str, ...] = ()
    refers: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
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


def applicable(hints: Iterable[Hint], tree: Tree) -> tuple[Hint, ...]:
    """The hints whose condition on configuration files holds in a tree."""
    return tuple(h for h in hints if h.lacks is None or not any(_lines(tree, h.lacks)))


def _lines(tree: Tree, lacks: Lacks) -> Iterator[str]:
    pattern = re.compile(lacks.text)
    for path in sorted(tree):
        if any(fnmatch.fnmatchcase(path, glob) for glob in lacks.files):
            entry = paths.find(tree, path)
            text = Path(entry.host).read_text(errors="replace") if entry and entry.kind == "file" else ""
            yield from (line for line in text.splitlines() if line.lstrip()[:1] != "#" and pattern.search(line))


def cut(hints: Sequence[Hint], reached: Reached) -> tuple[Cut, tuple[str, ...]]:
    """What the hints take out of a closure, and the names of those that take out something."""
    nodes: set[Node] = set()
    uses: set[Node] = set()
    needs: set[tuple[Node, str]] = set()
    held: list[str] = []
    for hint in hints:
        files = [i for i, m in enumerate(reached.members) if hint.file in (m.summary.soname, Path(m.file.path).name)]
        if not files or any(_runs(reached, name) for name in hint.unless):
            continue
        for file in files:
            found = set(_named(reached, file, hint))
            imports = {(file, i) for i, (n, _) in enumerate(reached.members[file].summary.imports) if n in hint.uses}
            if hint.needs:
                needs |= {(node, need) for node in found or {(file, -1)} for need in hint.needs}
            elif hint.uses:
                uses |= imports
            else:
                nodes |= found
            if found or imports or hint.needs:
                held.append(hint.name)
    return Cut(frozenset(nodes), frozenset(uses), frozenset(needs)), tuple(dict.fromkeys(held))


def _runs(reached: Reached, name: str) -> bool:
    return any(
        (i, export.node) in reached.parents
        for i, table in enumerate(reached.exports)
        for export in table.get(name, ())
        if export.node >= 0
    )


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
