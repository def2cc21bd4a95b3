"""Conditions of hints on what is known when an image is built: arguments, environment, configuration files (pure but
for reading the files of the tree)."""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builder import paths
from builder.model import Tree
from builder.value import Value

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


class Configuration:
    """The texts that a program starting like this may read, each read and searched for names once."""

    def __init__(self, tree: Tree, start: Start) -> None:
        self.tree, self.start = tree, start
        self._texts: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._globs: dict[str, tuple[str, ...]] = {}

    def none(self, lines: Lines) -> bool:
        """Whether there is no such line."""
        return not any(self._matching(lines))

    def some(self, lines: Lines) -> bool:
        """Whether there is such a line among the arguments, or in a file they name; if they name none, in `files`."""
        pattern, line = re.compile(lines.text), " ".join(self.start.command[1:])
        named = [path for path in self._named(line) if self._lines(path)] or list(lines.files)
        return bool(pattern.search(line)) or any(pattern.search(text) for path in named for text in self._lines(path))

    def _matching(self, lines: Lines) -> Iterator[str]:
        pattern, line = re.compile(lines.text), " ".join(self.start.command)
        if pattern.search(line):
            yield line
        todo = [path for glob in lines.files for path in self._matches(glob)]
        todo += self._named(line)
        seen: set[str] = set()
        while todo:
            path = todo.pop()
            if path not in seen:
                seen.add(path)
                yield from (text for text in self._lines(path) if pattern.search(text))
                todo += self._onward(path)

    def _onward(self, path: str) -> tuple[str, ...]:
        """The files that a file's lines name."""
        if path not in self._names:
            found = dict.fromkeys(name for line in self._lines(path) for name in self._named(line))
            self._names[path] = tuple(found)
        return self._names[path]

    def _named(self, line: str) -> list[str]:
        """Files of the tree that a line names."""
        return [path for match in NAMED.findall(line) for path in self._files(match)]

    def _files(self, pattern: str) -> Sequence[str]:
        if re.search(r"[*?\[]", pattern):
            return self._matches(pattern)
        return [pattern] if paths.find(self.tree, pattern) else []

    def _matches(self, glob: str) -> tuple[str, ...]:
        if glob not in self._globs:
            fits = re.compile(fnmatch.translate(glob)).match
            self._globs[glob] = tuple(path for path in self.tree if fits(path))
        return self._globs[glob]

    def _lines(self, path: str) -> tuple[str, ...]:
        if path not in self._texts:
            text = _text(self.tree, path)
            self._texts[path] = tuple(line for line in text.splitlines() if line.lstrip()[:1] != "#")
        return self._texts[path]


def _text(tree: Tree, path: str) -> str:
    """A file's text; nothing for programs and what else is no text."""
    entry = paths.find(tree, path)
    if entry is None or entry.kind != "file" or not entry.host or Path(entry.host).stat().st_size > LARGEST:
        return ""
    data = Path(entry.host).read_bytes()
    return "" if b"\0" in data else data.decode(errors="replace")
