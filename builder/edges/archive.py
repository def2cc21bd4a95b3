"""Unpacking Debian packages into the store, safely: nothing lands outside, no devices, no set-user-id bits."""

import io
import os
import posixpath
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from builder.edges.code import code_digest
from builder.edges.process import run, tail
from builder.edges.store import MANIFEST, Store, digest_bytes
from builder.errors import DefinitionError, FetchError
from builder.model import File, Package, Tree
from builder.paths import normalise
from builder.value import digest

UNPACK_LIMIT_S = 120.0
LIST = "tree.json"
NOT_DEBIAN = "this package was not made by Debian's tools"
SIZE_LIMIT_BYTES = 2 << 30  # of one package's contents: no library or server comes near


def unpacked(package: Package, deb: Path, store: Store) -> Tree:
    """The files of a package as a tree whose contents lie in the store; unpacked once per digest.

    Raises FetchError for an archive that is broken or hostile.
    """
    key = digest([package.sha256, code_digest("edges/archive.py", "model.py", "paths.py")])

    def make() -> Path:
        return store.make("unpacked", key, lambda scratch: _unpack(package, deb, scratch), verify=False)

    tree = load(folder := make())
    if is_whole(tree):
        return tree
    (folder / MANIFEST).unlink()  # contents were lost or cut short: without its manifest it is made anew
    return load(make())


def is_whole(tree: Tree) -> bool:
    """Whether every regular file's content is where the tree says, in full length."""
    try:
        return all(os.stat(f.host).st_size == f.size_bytes for f in tree.values() if f.kind == "file")  # noqa: PTH116
    except OSError:
        return False


def load(folder: Path) -> Tree:
    """The tree listed in an artifact's `tree.json`; contents are named relative to the artifact."""
    entries = msgspec.json.decode((folder / LIST).read_bytes(), type=dict[str, File])
    base = str(folder)
    return {
        path: msgspec.structs.replace(entry, host=f"{base}/{entry.host}") if entry.host else entry
        for path, entry in entries.items()
    }


def save(folder: Path, tree: Tree) -> None:
    """Write `tree.json`; every `host` must be relative to `folder`."""
    (folder / LIST).write_bytes(msgspec.json.encode(tree, order="sorted"))


def _unpack(package: Package, deb: Path, folder: Path) -> None:
    done = run(["dpkg-deb", "--fsys-tarfile", str(deb)], timeout_s=UNPACK_LIMIT_S)
    if done.exit_code:
        raise FetchError(f"{deb.name}: not a Debian package", "remove it from the cache", tail=tail(done.stderr, 3))
    save(folder, members(done.stdout, f"deb:{package.name}", folder))


def members(archive: bytes, origin: str, folder: Path) -> Tree:
    """Write the regular files of a tar archive below `folder`, named by digest, and return its entries.

    Raises FetchError for a broken archive, for names that are absolute, climb out with `..` or are no UTF-8 text (which
    Debian policy 10.10 asks for), for hard links to nothing, devices and FIFOs. Owners become root and set-user-id
    bits are dropped.
    """
    tree: dict[str, File] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for entry in _entries(tar, origin, folder, tree):
                tree[entry.path] = entry
    except (tarfile.TarError, ValueError) as error:
        raise FetchError(
            f"{origin}: broken archive: {error}", "remove it from the cache: it is fetched anew"
        ) from error
    return tree


def _entries(tar: tarfile.TarFile, origin: str, folder: Path, seen: Mapping[str, File]) -> Iterator[File]:
    total = 0
    for member in tar:
        path = _safe(member.name, origin)
        mode = member.mode & 0o777 | (member.mode & 0o1000 if member.isdir() else 0)
        if path == "/":
            continue
        if member.isdir():
            yield File(path, "directory", mode, origin=origin)
        elif member.issym():
            if not _is_text(member.linkname):
                raise FetchError(f"{origin}: hostile link in the archive: {path} to {member.linkname!r}", NOT_DEBIAN)
            yield File(path, "symlink", 0o777, target=member.linkname, origin=origin)
        elif member.islnk():
            linked = seen.get(_safe(member.linkname, origin))
            if linked is None:
                raise FetchError(f"{origin}: {path} is a hard link to {member.linkname}, which is not in the archive")
            yield msgspec.structs.replace(linked, path=path)
        elif member.isreg():
            total += member.size
            if total > SIZE_LIMIT_BYTES:
                raise FetchError(f"{origin}: unpacks to more than {SIZE_LIMIT_BYTES >> 30} GiB")
            yield _regular(tar, member, File(path, "file", mode, origin=origin), folder)
        else:
            raise FetchError(f"{origin}: {path} is neither file, directory nor link")


def _regular(tar: tarfile.TarFile, member: tarfile.TarInfo, entry: File, folder: Path) -> File:
    stream = tar.extractfile(member)
    data = stream.read() if stream else b""
    if len(data) != member.size:
        raise tarfile.ReadError(f"{entry.path} is truncated")
    name = digest_bytes(data)
    place = folder / name
    if not place.exists():
        place.write_bytes(data)
        place.chmod(0o444)
    return msgspec.structs.replace(entry, sha256=name, size_bytes=len(data), host=name)


def _safe(name: str, origin: str) -> str:
    """A member's path in the guest; an error where it would leave the tree."""
    relative = name.removeprefix("./")
    if name.startswith("/") or ".." in relative.split("/") or "\n" in name or not _is_text(name):
        raise FetchError(f"{origin}: hostile name in the archive: {name!r}", NOT_DEBIAN)
    return normalise(relative)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8 (Python keeps other bytes as lone surrogates) without NUL."""
    return "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)


def folder_tree(folder: Path, origin: str) -> Tree:
    """A folder of the host as a tree (contents stay where they are); empty when the folder is not there.

    Raises DefinitionError for what cannot be read, is neither file, folder nor link, or has a name that is no text.
    """
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        where = "/" + str(path.relative_to(folder))
        if not _is_text(where):
            raise DefinitionError(f"{folder}: a name is not UTF-8: {where!r}", "rename the file")
        if path.is_symlink():
            found[where] = File(where, "symlink", 0o777, target=str(path.readlink()), origin=origin)
        elif path.is_dir():
            found[where] = File(where, "directory", 0o755, origin=origin)
        elif path.is_file():
            found[where] = _host_file(path, where, origin)
        else:
            raise DefinitionError(f"{path}: neither file, folder nor link", "an image cannot be made with it")
    return found


def _host_file(path: Path, where: str, origin: str) -> File:
    try:
        data = path.read_bytes()
    except PermissionError as error:
        raise DefinitionError(f"{path}: may not be read", f"chmod u+r {path}") from error
    mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
    return File(where, "file", mode, sha256=digest_bytes(data), size_bytes=len(data), host=str(path), origin=origin)


def lay_out(trees: tuple[Tree, ...], target: Path, *, shared: bool = False) -> None:
    """Write trees as real files below `target`, a new folder; every link stays inside it, as below a machine's root.

    `shared` contents are hard links into the store: for readers only. Raises FetchError when one file stands in the
    way of another.
    """
    root = target.resolve()
    for path, entry in ((path, entry) for tree in trees for path, entry in sorted(tree.items())):
        try:
            _place(root, root / path.lstrip("/"), entry, shared)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise FetchError(f"{path} of {entry.origin}: another file stands in its way") from error


def _place(root: Path, place: Path, entry: File, shared: bool) -> None:
    if entry.kind == "directory":
        place.mkdir(parents=True, exist_ok=True)
        return
    if entry.kind == "symlink" and place.is_dir() and not place.is_symlink():
        return  # as dpkg: a link does not take the place of a directory
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if entry.kind == "symlink":
        place.symlink_to(_relative("/" + str(place.parent.resolve().relative_to(root)), entry.target))
    elif not (shared and _is_linked(entry.host, place)):
        shutil.copyfile(entry.host, place)
        place.chmod(entry.mode)


def _is_linked(source: str, place: Path) -> bool:
    """Make a hard link; False where the file system has none, or no more of them."""
    try:
        place.hardlink_to(source)
    except OSError:
        return False
    return True


def _relative(parent: str, target: str) -> str:
    """A link's text as seen from the folder it really lies in, with no `..` beyond those that lead up to the root."""
    return posixpath.relpath(normalise(posixpath.join(parent, target)), normalise(parent))
