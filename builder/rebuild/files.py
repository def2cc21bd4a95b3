"""Two versions of a root file system, file by file (pure)."""

from typing import Literal

from builder.model import File, Tree
from builder.value import Value


class FileDelta(Value, frozen=True):
    """A file that only one version has, or that differs: in content, kind, owner, mode or target. `origin` names who
    brought it."""

    path: str
    what: Literal["changed", "added", "removed"]
    origin: str


def deltas(old: Tree, new: Tree) -> tuple[FileDelta, ...]:
    """What two trees do not have in common, by path. Where contents lie on this machine is no difference."""
    found = []
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before is None or after is None:
            entry = after or before
            assert entry is not None
            found.append(FileDelta(path, "removed" if after is None else "added", entry.origin))
        elif _content(before) != _content(after):
            found.append(FileDelta(path, "changed", after.origin))
    return tuple(found)


def _content(entry: File) -> tuple[object, ...]:
    return (entry.kind, entry.mode, entry.uid, entry.gid, entry.target, entry.sha256, entry.device)
