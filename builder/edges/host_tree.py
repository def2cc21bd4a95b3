"""A folder of this machine as a guest's tree, looked at only where somebody asks: the host's own root, or an unpacked
file system."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.model import File

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFDIR: "directory",
    stat.S_IFCHR: "character-device",
    stat.S_IFBLK: "block-device",
}


class HostTree(Mapping[str, File]):
    """Entries by guest path, found with lstat when they are asked for. No digest is computed: who needs one does.

    Iterating gives what was found so far, never the whole file system; `glob` finds by pattern. Paths are taken as
    they stand: whoever follows links does so entry by entry, so that an absolute link stays inside the root.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self._known: dict[str, File | None] = {}

    def __getitem__(self, path: str) -> File:
        if path not in self._known:
            self._known[path] = self._look(path)
        if (found := self._known[path]) is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([path for path, entry in self._known.items() if entry is not None])

    def __len__(self) -> int:
        return sum(entry is not None for entry in self._known.values())

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Guest paths of files and links that match (`**` crosses levels), sorted."""
        found = (self._guest(path) for path in self.root.glob(pattern.lstrip("/")))
        return tuple(sorted(path for path in found if path in self and self[path].kind != "directory"))

    def _guest(self, path: Path) -> str:
        return "/" + str(path.relative_to(self.root))

    def _look(self, path: str) -> File | None:
        if not path.startswith("/"):
            return None
        place = str(self.root).rstrip("/") + path
        try:
            found = os.lstat(place)
            kind = KINDS.get(stat.S_IFMT(found.st_mode))
            target = os.readlink(place) if kind == "symlink" else ""  # noqa: PTH115 - the text as it stands
        except (OSError, ValueError):  # not there, not permitted, or no path at all
            return None
        if kind is None:
            return None
        return File(
            path=path,
            kind=kind,  # type: ignore[arg-type]
            mode=stat.S_IMODE(found.st_mode),
            target=target,
            size_bytes=found.st_size,
            host=place if kind == "file" else "",
        )
