"""Writing cpio archives in the `newc` form that the kernel unpacks (pure).

Source: Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c of Linux. Everything that could
differ between two runs is fixed: order, inode numbers, times.
"""

import stat
from collections.abc import Callable, Iterable, Iterator

from builder.errors import DefinitionError
from builder.model import File, Tree

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
NAME_LIMIT = 4096  # PATH_MAX with the final NUL: do_header() skips longer names (init/initramfs.c)
SIZE_LIMIT = 0xFFFFFFFF  # eight hexadecimal digits
KINDS = {
    "file": stat.S_IFREG,
    "symlink": stat.S_IFLNK,
    "directory": stat.S_IFDIR,
    "character-device": stat.S_IFCHR,
    "block-device": stat.S_IFBLK,
}

Read = Callable[[File], Iterable[bytes]]


def archive(tree: Tree, read: Read) -> Iterator[bytes]:
    """The archive of a tree, piece by piece: entries sorted by path (so directories come before what is in them).

    `read` gives a regular file's content. Raises DefinitionError for what the format cannot hold.
    """
    for number, path in enumerate(sorted(tree, key=lambda name: name.split("/")), start=1):
        entry = tree[path]
        if path == "/":
            continue
        yield _header(path.removeprefix("/"), entry, number)
        if entry.kind == "file":
            yield from _content(entry, read(entry))
        elif entry.kind == "symlink":
            yield _padded(entry.target.encode())
    yield _header(TRAILER, File("/", "file", mode=0), 0, links=1, mode=0)


def _header(name: str, entry: File, number: int, *, links: int = 1, mode: int | None = None) -> bytes:
    encoded = name.encode() + b"\0"
    size = len(entry.target.encode()) if entry.kind == "symlink" else entry.size_bytes if entry.kind == "file" else 0
    if len(encoded) > NAME_LIMIT:
        raise DefinitionError(f"/{name[:60]}…: a path of {len(encoded)} bytes, the kernel reads {NAME_LIMIT}")
    if size > SIZE_LIMIT:
        raise DefinitionError(f"/{name}: {size} bytes, an initramfs holds files up to 4 GiB", "put it on a [disk]")
    fields = (
        number,
        (KINDS[entry.kind] | entry.mode) if mode is None else mode,
        entry.uid,
        entry.gid,
        2 if entry.kind == "directory" else links,
        0,  # mtime
        size,
        0,
        0,  # the device the file is on
        *entry.device,
        len(encoded),
        0,  # checksum, of the `crc` form only
    )
    return _padded(MAGIC + b"".join(b"%08X" % value for value in fields) + encoded)


def _content(entry: File, pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        yield piece
    if size != entry.size_bytes:
        raise DefinitionError(f"{entry.path}: changed while it was read", "build again")
    yield bytes(-size % 4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
