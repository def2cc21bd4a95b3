"""Paths inside a guest's file tree: normalising and following symbolic links, without touching a disk."""

import posixpath
import re
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from builder.model import File, Tree

DIGESTS = "/etc/kiln/digests"  # in the guest: what its files were when they were built; follows from all the others
SCRATCH = "/tmp"  # noqa: S108 - of the guest
MAX_LINKS = 40  # the kernel's own limit (include/linux/namei.h, MAXSYMLINKS)


@runtime_checkable
class Searchable(Protocol):
    """A tree that finds by pattern without listing everything it holds."""

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Paths of files and links that match, sorted."""


def normalise(path: str) -> str:
    """The absolute path without `.`, `..`, or doubled slashes; `..` at the root stays at the root."""
    return posixpath.normpath("/" + path).replace("//", "/")


def follow(tree: Tree, path: str) -> tuple[str, tuple[str, ...]] | None:
    """Where `path` leads once every symbolic link in it is followed, and the links passed, in order.

    Returns None where nothing is there or the links form a loop. Directories that no entry names but that some
    entry lies in are taken to exist.
    """
    links: list[str] = []
    done, rest = "", [part for part in normalise(path).split("/") if part]
    while rest:
        step = f"{done}/{rest.pop(0)}"
        entry = tree.get(step)
        if entry is not None and entry.kind == "symlink":
            links.append(step)
            if len(links) > MAX_LINKS:
                return None
            target = normalise(entry.target if entry.target.startswith("/") else f"{done}/{entry.target}")
            rest = [part for part in target.split("/") if part] + rest
            done = ""
        else:
            done = step
    return (done or "/", tuple(links))


def find(tree: Tree, path: str) -> File | None:
    """The regular file that `path` leads to, or None."""
    found = follow(tree, path)
    entry = tree.get(found[0]) if found else None
    return entry if entry is not None and entry.kind == "file" else None


def expand(tree: Tree, patterns: Iterable[str]) -> tuple[str, ...]:
    """Paths of the tree's files and links that match any pattern, sorted: `*` and `?` stay within one level, `**`
    crosses levels; a pattern without wildcards names itself if it is there."""
    found: set[str] = set()
    for pattern in patterns:
        if pattern in tree:
            found.add(pattern)
        elif isinstance(tree, Searchable):
            found.update(tree.glob(pattern))
        else:
            matches = re.compile(_expression(pattern)).fullmatch
            found.update(path for path, entry in tree.items() if entry.kind != "directory" and matches(path))
    return tuple(sorted(found))


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or re.escape(part) for part in parts)
