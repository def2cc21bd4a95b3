"""The versions of an image in `dist/<app>/`: which is current, which was before it, switched atomically.

dist/<app>/versions/<id>/      a whole image
dist/<app>/current             → versions/<id>; switched by one rename(2)
dist/<app>/previous            → versions/<id of the one before>
dist/<app>/<name>              → current/<name>: a file's place that stays the same
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

VERSIONS, CURRENT, PREVIOUS = "versions", "current", "previous"
LOCK_LIMIT_S = 600.0


def place(folder: Path, version: str) -> Path:
    """Where a version of the image in `folder` stands, whether it is there or not."""
    return folder / VERSIONS / version


def current(folder: Path) -> str:
    """The version that is current, empty when there is none."""
    return _target(folder / CURRENT)


def previous(folder: Path) -> str:
    """The version before the current one, empty when there is none."""
    return _target(folder / PREVIOUS)


def promote(folder: Path, version: str) -> None:
    """Make a version that stands there the current one and keep the one it replaces; older ones go.

    A kill at any moment leaves the old or the new version current, whole.
    """
    with _locked(folder):
        _switch(folder, version)
        for old in _versions(folder):
            if old.name not in (current(folder), previous(folder)):
                shutil.rmtree(old, ignore_errors=True)


def roll_back(folder: Path) -> str:
    """Make the previous version the current one, and the other way round. Returns what is current now, or an empty
    text where there is no previous version."""
    with _locked(folder):
        if before := previous(folder):
            _switch(folder, before)
        return before


def _switch(folder: Path, version: str) -> None:
    if (last := current(folder)) and last != version:
        _link(folder / PREVIOUS, f"{VERSIONS}/{last}")
    _link(folder / CURRENT, f"{VERSIONS}/{version}")
    names = {path.name for path in (folder / CURRENT).iterdir()}
    for name in sorted(names):
        _link(folder / name, f"{CURRENT}/{name}")
    for path in folder.iterdir():  # names that this version does not have
        if path.is_symlink() and path.readlink().parent.name == CURRENT and path.name not in names:
            path.unlink()


def _link(link: Path, target: str) -> None:
    """A symbolic link in the place of what is there, by one rename."""
    if link.is_symlink() and str(link.readlink()) == target:
        return
    scratch = link.with_name(f".{link.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(target)
    scratch.replace(link)


def _target(link: Path) -> str:
    """The version a link leads to, if that is there."""
    return link.readlink().name if link.is_symlink() and link.is_dir() else ""


def _versions(folder: Path) -> list[Path]:
    root = folder / VERSIONS
    return [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=LOCK_LIMIT_S):
        yield
