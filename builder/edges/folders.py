"""Result folders that appear whole: written beside their place, then renamed into it."""

import ctypes
import errno
import os
import shutil
import stat
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
    """Write a new folder and put it in the place of the old one; a kill leaves the old or the new one, whole.

    Files that nobody may write to (the store's) are hard links where the file system allows it, copies elsewhere.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock", timeout=600):
        new, old = folder.parent / f".{folder.name}.new", folder.parent / f".{folder.name}.old"
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir()
        for name, content in contents.items():
            _place(new / name, content, is_executable=name in executable)
        if folder.exists():
            _exchange(new, folder, old)
        else:
            new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _exchange(new: Path, folder: Path, old: Path) -> None:
    """Put `new` in the place of `folder`, and that at `old`, with a folder in place at every moment: renameat2(2) with
    RENAME_EXCHANGE, which os.rename() does not offer. File systems without it get two renames."""
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    if rename(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(folder), RENAME_EXCHANGE) == 0:
        new.rename(old)
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(folder))
    folder.rename(old)
    new.rename(folder)


def _place(path: Path, content: bytes | Path, *, is_executable: bool) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif not is_executable and _is_sealed(content) and _link(content, path):
        return
    else:
        shutil.copy2(content, path)
    path.chmod(0o755 if is_executable else 0o644)


def _is_sealed(path: Path) -> bool:
    """Whether it is a regular file without any permission to write: as the store leaves its files."""
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and not mode & 0o222


def _link(content: Path, path: Path) -> bool:
    try:
        path.hardlink_to(content)
    except OSError:  # another file system, or one that knows no links; a file of somebody else
        return False
    return True


def _is_same(path: Path, content: bytes | Path) -> bool:
    if isinstance(content, bytes):
        return path.read_bytes() == content
    there, wanted = path.stat(), os.stat(content)  # noqa: PTH116 - both as stat results
    return there.st_size == wanted.st_size and there.st_mtime_ns == wanted.st_mtime_ns
