"""The content-addressed store: artifacts named by the digest of everything that went into them.

Layout: `<root>/<stage>/<key>/` holds the artifact's files and `.manifest.json` (name → sha256, size), written last.
An artifact is made in `<root>/tmp/` under a lock and renamed into place, so a kill leaves only garbage in `tmp/`,
which the next writer of the same key removes. Files are made read-only; digests are checked when an artifact is taken.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from builder.errors import BuilderError

MANIFEST = ".manifest.json"
LOCK_LIMIT_S = 3600.0


def cache_root() -> Path:
    """Kiln's cache folder: `KILN_CACHE`, else `kiln` in the user's cache folder (XDG base directory specification)."""
    if chosen := os.environ.get("KILN_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kiln"


def data_root() -> Path:
    """Where data that must outlive a cleaned cache lies: `KILN_DATA`, else `kiln` in the user's data folder (XDG)."""
    if chosen := os.environ.get("KILN_DATA"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kiln"


def digest_bytes(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class WouldMake(Exception):  # noqa: N818 - not an error: the answer of a dry run
    """Raised by a dry store where an artifact would have to be made."""

    def __init__(self, stage: str, key: str) -> None:
        super().__init__(f"{stage} {key}")
        self.stage = stage
        self.key = key


class Store:
    """Artifacts by stage and key under one root folder (default: the cache folder's `store`).

    `made` lists the (stage, key) pairs this store really had to make. A `dry` store makes nothing: it raises
    WouldMake instead.
    """

    def __init__(self, root: Path | None = None, *, dry: bool = False) -> None:
        self.root = root or cache_root() / "store"
        self.dry = dry
        self.made: list[tuple[str, str]] = []

    def find(self, stage: str, key: str) -> Path | None:
        """The artifact's folder with its digests verified, or None. A damaged artifact is removed: it is made anew."""
        folder = self.root / stage / key
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        if all(_is_intact(folder / name, size, digest) for name, (size, digest) in manifest.items()):
            return folder
        _remove_tree(folder)
        return None

    def make(self, stage: str, key: str, fill: Callable[[Path], None], *, verify: bool = True) -> Path:
        """The artifact's folder, made by `fill(empty folder)` if it is not there yet.

        Two processes asking for the same key make it once: the second waits. `verify=False` records no digests
        (for trees too large to hash at every use: kernel sources). Errors of `fill` pass through; nothing is left.
        """
        if found := self.find(stage, key):
            return found
        if self.dry:
            raise WouldMake(stage, key)
        with self.locked(f"{stage}-{key}"):
            if found := self.find(stage, key):  # made by another process while we waited
                return found
            scratch = self.root / "tmp" / f"{stage}-{key}"
            _remove_tree(scratch)
            scratch.mkdir(parents=True)
            try:
                fill(scratch)
                _seal(scratch, verify)
                folder = self.root / stage / key
                folder.parent.mkdir(parents=True, exist_ok=True)
                _remove_tree(folder)
                scratch.rename(folder)
            finally:
                _remove_tree(scratch)
            self.made.append((stage, key))
            return folder

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the named lock, shared by all processes that use this store."""
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(locks / f"{name}.lock", timeout=LOCK_LIMIT_S):
                yield
        except Timeout as error:
            raise BuilderError(
                f"another Kiln has been making {name} for {LOCK_LIMIT_S / 60:.0f} minutes",
                "wait for it, or end it and try again",
            ) from error


def _is_intact(path: Path, size: int, digest: str) -> bool:
    try:
        return path.stat().st_size == size and (not digest or digest_file(path) == digest)
    except OSError:
        return False


def _seal(folder: Path, verify: bool) -> None:
    """Write the manifest (temporary name, then rename) after making the files read-only and durable."""
    manifest: dict[str, tuple[int, str]] = {}
    if verify:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                manifest[str(path.relative_to(folder))] = (path.stat().st_size, digest_file(path))
                path.chmod(path.stat().st_mode & ~0o222)
    scratch = folder / (MANIFEST + ".tmp")
    with scratch.open("w") as stream:
        json.dump(manifest, stream)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.rename(folder / MANIFEST)


def _remove_tree(folder: Path) -> None:
    """Remove a folder that may hold read-only folders; one that is not there is fine."""
    if not folder.exists():
        return
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(folder)
