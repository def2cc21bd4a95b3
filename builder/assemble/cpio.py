"""Writing cpio archives in the `newc` form that the kernel unpacks (pure).

Source: Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c of Linux. Everything that could
differ between two runs is fixed: order, inode numbers, times. The kernel leaves out an entry it cannot make without a
word, so what it could not make is refused here.
"""

import stat
from collections.abc import Callable, Iterable, Iterator

from builder.errors import DefinitionError
from builder.model import File, Tree

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
PATH_LIMIT = 4096  # PATH_MAX with the final NUL: do_header() skips longer names and targets (init/initramfs.c)
NAME_LIMIT = 255  # NAME_MAX
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

    `read` gives a regular file's content. Raises DefinitionError for what the format or the kernel cannot hold, and
    for a content that is not as long as its entry says.
    """
    paths = sorted((path for path in tree if path != "/"), key=lambda path: path.split("/"))
    for number, path in enumerate(paths, start=1):
        entry = tree[path]
        _check(path, entry)
        yield _header(path.removeprefix("/"), entry, number)
        if entry.kind == "file":
            yield from _content(path, entry, read(entry))
        elif entry.kind == "symlink":
            yield _padded(entry.target.encode())
    yield _header(TRAILER, None, 0)


def _check(path: str, entry: File) -> None:
    if (length := len(path.removeprefix("/").encode())) >= PATH_LIMIT:
        raise DefinitionError(f"{path[:60]}…: a path of {length} bytes, the kernel reads {PATH_LIMIT - 1}")
    if any(len(part.encode()) > NAME_LIMIT for part in path.split("/")):
        raise DefinitionError(f"{path[:60]}…: a name in it has more than {NAME_LIMIT} bytes")
    if path == f"/{TRAILER}" or "\0" in path:
        raise DefinitionError(f"{path!r}: no name for a file in an initramfs")
    if entry.kind == "symlink" and not 0 < len(entry.target.encode()) < PATH_LIMIT:
        raise DefinitionError(f"{path}: a symbolic link to {len(entry.target.encode())} bytes of text")
    if entry.kind == "file" and entry.size_bytes > SIZE_LIMIT:
        hint = "put it on a [disk]"
        raise DefinitionError(f"{path}: {entry.size_bytes} bytes, an initramfs holds files of less than 4 GiB", hint)


def _header(name: str, entry: File | None, number: int) -> bytes:
    """The header of an entry, or (None) of the trailer."""
    encoded = name.encode() + b"\0"
    fields = (
        number,
        KINDS[entry.kind] | entry.mode if entry else 0,
        entry.uid if entry else 0,
        entry.gid if entry else 0,
        2 if entry and entry.kind == "directory" else 1,  # names of it: two would make files hard links
        0,  # mtime
        _size(entry) if entry else 0,
        *(0, 0),  # the device the file is on
        *(entry.device if entry else (0, 0)),
        len(encoded),
        0,  # checksum, of the `crc` form only
    )
    return _padded(MAGIC + b"".join(b"%08X" % value for value in fields) + encoded)


def _size(entry: File) -> int:
    if entry.kind == "symlink":
        return len(entry.target.encode())
    return entry.size_bytes if entry.kind == "file" else 0


def _content(path: str, entry: File, pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        yield piece
    if size != entry.size_bytes:
        raise DefinitionError(f"{path}: changed while it was read", "build again")
    yield bytes(-size % 4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
