"""Contents of files: generated ones kept in the store, any of them read piece by piece."""

import hashlib
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
