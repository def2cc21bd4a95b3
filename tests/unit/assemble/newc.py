"""Readers of cpio archives that share nothing with the writer: one by the format's description, GNU cpio, and one that
makes what the kernel would make."""

import posixpath
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from builder.model import File, Tree

HEADER = 110  # bytes: six of magic, thirteen fields of eight


class Entry(NamedTuple):
    """One entry as the archive has it."""

    name: str
    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    mtime: int
    device: tuple[int, int]
    content: bytes


def read(data: bytes) -> list[Entry]:
    """The entries of an archive, or of several one after the other, without their trailers."""
    found, at = [], 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        inode, mode, uid, gid, links, mtime, size, _, _, major, minor, length, checksum = (
            int(data[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)
        )
        name = data[at + HEADER : at + HEADER + length]
        body = at + aligned(HEADER + length)
        at = aligned(body + size)
        assert name.endswith(b"\0")
        assert checksum == 0
        assert not any(data[body + size : at]), "padding is of zeros"
        if name != b"TRAILER!!!\0":
            content = data[body : body + size]
            found.append(Entry(name[:-1].decode(), inode, mode, uid, gid, links, mtime, (major, minor), content))
    assert at == len(data)
    return found


def aligned(size: int) -> int:
    return (size + 3) & ~3


def read_by_gnu(data: bytes, folder: Path) -> dict[str, tuple[int, bytes]]:
    """Path → mode and content (a link's target) of the files, links and directories GNU cpio makes in a folder."""
    argv = ["cpio", "--extract", "--quiet", "--no-absolute-filenames", "--preserve-modification-time"]
    done = subprocess.run(argv, input=data, cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            content = str(path.readlink()).encode()
        else:
            content = path.read_bytes() if path.is_file() else b""
        found[f"/{path.relative_to(folder)}"] = (status.st_mode, content)
    return found


def unpacked(data: bytes) -> dict[str, Entry]:
    """What a kernel has after unpacking (init/initramfs.c): entries whose folder is not there are lost without a word,
    later ones replace earlier ones, files are written through links above them."""
    made: dict[str, Entry] = {}
    for entry in read(data):
        folder, name = posixpath.split(f"/{entry.name}")
        real = resolved(made, folder)
        if real == "/" or (real in made and stat.S_ISDIR(made[real].mode)):
            made[posixpath.join(real, name)] = entry
    return made


def resolved(made: dict[str, Entry], folder: str) -> str:
    """A folder's path with the symbolic links in it followed."""
    done = "/"
    for part in folder.strip("/").split("/"):
        done = posixpath.join(done, part)
        if done in made and stat.S_ISLNK(made[done].mode):
            done = resolved(made, posixpath.normpath(posixpath.join("/", done, "..", made[done].content.decode())))
    return posixpath.normpath(done)


def tree(*entries: File) -> Tree:
    """Entries by their paths."""
    return {entry.path: entry for entry in entries}
