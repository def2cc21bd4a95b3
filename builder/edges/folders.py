"""Result folders that appear whole: written beside their place, then renamed into it."""

import ctypes
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from filelock import FileLock

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # include/uapi/linux/fcntl.h, fs.h


def holds(folder: Path, contents: Mapping[str, bytes | Path]) -> bool:
    """Whether the folder holds these names, each with this content (a copied file: same size and time)."""
    try:
        return {path.name for path in folder.iterdir()} == set(contents) and all(
            _is_same(folder / name, content) for name, content in contents.items()
        )
    except OSError:
        return False


def swap_in(folder: Path, contents: Mapping[str, bytes | Path], *, executable: Collection[str] = ()) -> None:
    """Write a new folder and put it in the place of the old one; a kill leaves the old or the new one, whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock", timeout=600):
        new, old = folder.parent / f".{folder.name}.new", folder.parent / f".{folder.name}.old"
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir()
        for name, content in contents.items():
            _place(new / name, content)
            (new / name).chmod(0o755 if name in executable else 0o644)
        if folder.exists():
            _exchange(new, folder)
            new.rename(old)
        else:
            new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step: renameat2(2) with RENAME_EXCHANGE, which os.rename() does not offer."""
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _place(path: Path, content: bytes | Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copy2(content, path)


def _is_same(path: Path, content: bytes | Path) -> bool:
    if isinstance(content, bytes):
        return path.read_bytes() == content
    there, wanted = path.stat(), os.stat(content)  # noqa: PTH116 - both as stat results
    return there.st_size == wanted.st_size and there.st_mtime_ns == wanted.st_mtime_ns
