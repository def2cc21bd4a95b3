"""Contents of files: generated ones kept in the store, any of them read piece by piece."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from builder.edges.store import Store, digest_bytes
from builder.errors import StorageError
from builder.model import File

PIECE_BYTES = 1 << 20


def keep(store: Store, path: str, data: bytes, *, mode: int = 0o644, origin: str = "kiln") -> File:
    """A regular file of a guest's tree whose content is `data`, kept in the store."""
    digest = digest_bytes(data)
    folder = store.make("content", digest, lambda scratch: _write(scratch / "content", data))
    return File(path, "file", mode, sha256=digest, size_bytes=len(data), host=str(folder / "content"), origin=origin)


def read(entry: File) -> Iterator[bytes]:
    """A regular file's content in pieces of at most 1 MiB. Raises StorageError, at its end, when it has not the digest
    that its entry says."""
    digest = hashlib.sha256()
    with Path(entry.host).open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
            yield piece
    if entry.sha256 and digest.hexdigest() != entry.sha256:
        hint = "build again; if that says the same, ./invoke clean --cache"
        raise StorageError(f"{entry.path}: {entry.host} has changed or is damaged", hint)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside its place first, then renamed into it."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def stamp(folder: Path, pattern: str) -> tuple[tuple[str, int, int], ...]:
    """The files that match, with size and time: tells without reading them whether they may have changed."""
    found = ((str(path), path.stat()) for path in sorted(folder.glob(pattern)))
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)
