"""A guest's tree as the loader sees it: physical paths, folders, and each ELF file read once."""

import posixpath
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from builder import paths
from builder.analyse import elf
from builder.analyse.elf import Elf
from builder.errors import AnalysisError
from builder.model import File, Tree
from builder.paths import MAX_LINKS

SMALL = 1 << 20  # configuration files longer than this are not read


@dataclass
class Guest:
    """The files of a guest and what was read of them. `machine`: the architecture, empty until a program says it."""

    tree: Tree
    machine: str = "x86_64"
    parsed: dict[str, Elf] = field(default_factory=dict)  # by real path
    known: dict[str, str] = field(default_factory=dict)  # real paths

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every path that is a folder: because an entry says so, or because something lies in it."""
        found = {"/"} | {path for path, entry in self.tree.items() if entry.kind == "directory"}
        for path in self.tree:
            while (path := posixpath.dirname(path)) not in found:
                found.add(path)
        return frozenset(found)

    def real(self, path: str) -> str:
        """Where a path leads, `..` taken after links as the kernel does; empty where links loop or lead nowhere."""
        if path not in self.known:
            self.known[path] = _real(self.tree, self._is_there, path)
        return self.known[path]

    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a folder."""
        return self._is_there(self.real(path))

    def _is_there(self, place: str) -> bool:
        """Whether a real path is a folder: an entry says so, or something lies in it."""
        entry = self.tree.get(place)
        return entry.kind == "directory" if entry is not None else place in self.folders

    def file(self, path: str) -> File | None:
        """The regular file a path leads to, or None."""
        entry = self.tree.get(self.real(path))
        return entry if entry is not None and entry.kind == "file" else None

    def tidy(self, path: str) -> str:
        """The path without `.`, `..` and double slashes that leads to the same place: links stay where they can."""
        short = paths.normalise(path)
        return short if self.real(short) == self.real(path) else self.real(path) or path

    def start(self, path: str, size: int) -> bytes:
        """The first bytes of the file at a path that is known to be one."""
        entry = self.file(path)
        assert entry is not None
        with Path(entry.host).open("rb") as stream:
            return stream.read(size)

    def text(self, path: str) -> str:
        """The whole of a text file; empty where there is none, or one too large for a configuration."""
        return self.start(path, SMALL).decode(errors="replace") if self.file(path) else ""

    def content(self, path: str) -> bytes:
        """The whole of a file that is known to be there."""
        return self.start(path, -1)

    def elf(self, path: str, needed_by: str = "") -> Elf:
        """The ELF file at a path; AnalysisError where there is none, or one of another architecture."""
        if self.file(path) is None:
            by = f", needed by {needed_by}" if needed_by else ""
            raise AnalysisError(f"{path}: no such file among the image's files{by}", self._near(path))
        place = self.real(path)
        if place not in self.parsed:
            self.parsed[place] = elf.parse(self.content(path), path, self.machine)
            self.machine = self.machine or self.parsed[place].machine
        return self.parsed[place]

    def named(self, name: str) -> tuple[str, ...]:
        """Paths of all files and links with this file name, sorted."""
        return tuple(sorted(p for p, f in self.tree.items() if f.kind != "directory" and p.endswith(f"/{name}")))

    def _near(self, path: str) -> str:
        near = self.named(posixpath.basename(path))
        return f"did you mean {near[0]}?" if near else "add the package that contains it, or correct the path"

    def beneath(self, folder: str) -> tuple[str, ...]:
        """Paths of all files and links anywhere under a folder, links on the way to it followed, sorted."""
        start = self.real(folder).rstrip("/") + "/"
        return tuple(sorted(p for p, f in self.tree.items() if f.kind != "directory" and p.startswith(start)))


def _real(tree: Tree, is_folder: Callable[[str], bool], path: str) -> str:
    done, links = "", 0
    rest = deque(part for part in path.split("/") if part not in ("", "."))
    while rest:
        if (part := rest.popleft()) == "..":
            if not is_folder(done or "/"):
                return ""
            done = done.rpartition("/")[0]
            continue
        step = f"{done}/{part}"
        entry = tree.get(step)
        if entry is None or entry.kind != "symlink":
            done = step
            continue
        links += 1
        if links > MAX_LINKS:
            return ""
        rest.extendleft(reversed([p for p in entry.target.split("/") if p not in ("", ".")]))
        done = "" if entry.target.startswith("/") else done
    return done or "/"


def globbed(guest: Guest, pattern: str) -> tuple[str, ...]:
    """Paths of files and links that match a glob (`*` within one level, `**` across levels); a pattern's fixed
    first folders may be links."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]
    return paths.expand(guest.tree, [pattern]) or paths.expand(
        guest.tree, [guest.real(fixed or "/").rstrip("/") + pattern[len(fixed) :]]
    )
