"""Trees of the store as real folders, and what happens when the store was damaged."""

import os
from pathlib import Path

import pytest

from builder.edges import archive
from builder.edges.store import Store, digest_file
from builder.errors import DefinitionError
from builder.model import File, Package, Tree
from tests.unit.inputs.archives import LocalArchive


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "content").write_bytes(b"header")
    (tmp_path / "content").chmod(0o444)
    host = str(tmp_path / "content")
    return {
        "/usr/include": File("/usr/include", "directory"),
        "/usr/include/a.h": File("/usr/include/a.h", "file", 0o644, size_bytes=6, host=host),
        "/usr/include/b.h": File("/usr/include/b.h", "symlink", target="a.h"),
    }


def test_shared_contents_take_no_room(tree: Tree, tmp_path: Path) -> None:
    archive.lay_out((tree,), tmp_path / "shared", shared=True)
    archive.lay_out((tree,), tmp_path / "own")
    assert (tmp_path / "shared/usr/include/a.h").samefile(tmp_path / "content")
    assert not (tmp_path / "own/usr/include/a.h").samefile(tmp_path / "content")
    assert (tmp_path / "shared/usr/include/b.h").read_bytes() == b"header"


def test_contents_on_another_disk_are_copied(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: str) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    archive.lay_out((tree,), tmp_path / "shared", shared=True)
    assert (tmp_path / "shared/usr/include/a.h").read_bytes() == b"header"


def test_a_link_does_not_take_the_place_of_a_directory(tree: Tree, tmp_path: Path) -> None:
    link = {"/usr/include": File("/usr/include", "symlink", target="/elsewhere")}
    archive.lay_out((tree, link), tmp_path / "out")
    assert (tmp_path / "out/usr/include/a.h").read_bytes() == b"header"


def test_what_is_neither_file_folder_nor_link_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DefinitionError, match=r"pipe: neither file, folder nor link"):
        archive.folder_tree(tmp_path, "overlay")


@pytest.mark.parametrize("damage", ["removed", "cut short"])
def test_a_damaged_package_in_the_store_is_unpacked_again(tmp_path: Path, damage: str) -> None:
    deb = LocalArchive(tmp_path).add("tool", {"usr/bin/tool": b"#!/bin/sh\n"})
    package = Package("tool", "1.0", "amd64", digest_file(deb), deb.stat().st_size)
    store = Store(tmp_path / "store")
    victim = Path(archive.unpacked(package, deb, store)["/usr/bin/tool"].host)
    assert victim.stat().st_mode & 0o222 == 0
    victim.unlink()
    if damage == "cut short":
        victim.write_bytes(b"#!")
    again = archive.unpacked(package, deb, store)
    assert Path(again["/usr/bin/tool"].host).read_bytes() == b"#!/bin/sh\n"
