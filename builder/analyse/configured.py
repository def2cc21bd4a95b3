"""Conditions of hints on what is known when an image is built: arguments, environment, configuration files (pure but
for reading the files of the tree)."""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builder import paths
from builder.model import Tree, Value

LARGEST = 1 << 20  # bytes of a file that is looked at: configuration is smaller
NAMED = re.compile(r"/[\w./*?\[\]+-]+")  # an absolute path, or a pattern of paths, that a line names


class Lines(Value, frozen=True):
    """Lines that `text` (a regular expression) is found in: in the files that match `files` (globs of guest paths), in
    those the program's arguments name, in those that such files name, and among the arguments themselves. Lines that
    begin with `#` do not count."""

    files: tuple[str, ...]
    text: str


class Start(Value, frozen=True):
    """How an image starts its program."""

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}


def none(tree: Tree, start: Start, lines: Lines) -> bool:
    """Whether there is no such line."""
    return not any(_matching(tree, start, lines))


def some(tree: Tree, start: Start, lines: Lines) -> bool:
    """Whether there is such a line among the arguments, or in a file they name; where they name none, in `files`."""
    pattern, line = re.compile(lines.text), " ".join(start.command[1:])
    named = [p for p in _named(tree, line) if _text(tree, p)] or list(lines.files)
    return bool(pattern.search(line)) or any(pattern.search(found) for path in named for found in _lines(tree, path))


def _matching(tree: Tree, start: Start, lines: Lines) -> Iterator[str]:
    pattern, line = re.compile(lines.text), " ".join(start.command)
    if pattern.search(line):
        yield line
    todo = [path for path in sorted(tree) if any(fnmatch.fnmatchcase(path, glob) for glob in lines.files)]
    todo += _named(tree, line)
    seen: set[str] = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            for found in _lines(tree, path):
                todo += _named(tree, found)
                if pattern.search(found):
                    yield found


def _named(tree: Tree, line: str) -> list[str]:
    """Files of the tree that a line names."""
    return [path for match in NAMED.findall(line) for path in _files(tree, match)]


def _files(tree: Tree, pattern: str) -> Sequence[str]:
    if re.search(r"[*?\[]", pattern):
        return [path for path in sorted(tree) if fnmatch.fnmatchcase(path, pattern)]
    return [pattern] if paths.find(tree, pattern) else []


def _lines(tree: Tree, path: str) -> Iterator[str]:
    yield from (line for line in _text(tree, path).splitlines() if line.lstrip()[:1] != "#")


def _text(tree: Tree, path: str) -> str:
    """A file's text; nothing for programs and what else is no text."""
    entry = paths.find(tree, path)
    if entry is None or entry.kind != "file" or not entry.host or Path(entry.host).stat().st_size > LARGEST:
        return ""
    data = Path(entry.host).read_bytes()
    return "" if b"\0" in data else data.decode(errors="replace")
