"""A folder as a guest's tree: looked at only where asked, and never left through a link."""

from pathlib import Path

import pytest

from builder import paths
from builder.analyse.guest import Guest
from builder.edges.host_tree import HostTree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/lib/modules").mkdir(parents=True)
    (root / "usr/lib/libc.so").write_text("libc")
    (root / "usr/lib/modules/a.so").write_text("a")
    (root / "usr/lib/modules/b.so").symlink_to("a.so")
    (root / "lib").symlink_to("/usr/lib")
    (root / "out").symlink_to("/../../../etc/passwd")
    return root


def test_entries_are_found_when_asked_for(root: Path) -> None:
    tree = HostTree(root)
    assert tree["/usr/lib/libc.so"].host == str(root / "usr/lib/libc.so")
    assert tree["/usr/lib/libc.so"].size_bytes == 4
    assert tree["/lib"].target == "/usr/lib"
    assert tree["/usr"].kind == "directory"
    assert tree.get("/usr/lib/absent") is None
    assert "/usr/lib/libc.so" in tree
    assert "/absent" not in tree


def test_nothing_is_listed_that_nobody_asked_for(root: Path) -> None:
    tree = HostTree(root)
    assert list(tree) == []
    assert tree.get("/usr/lib/libc.so")
    assert list(tree) == ["/usr/lib/libc.so"]
    assert len(tree) == 1


def test_an_absolute_link_stays_inside(root: Path) -> None:
    guest = Guest(HostTree(root))
    assert guest.real("/lib/libc.so") == "/usr/lib/libc.so"
    assert guest.text("/lib/libc.so") == "libc"
    assert guest.file("/out") is None


def test_patterns_find_files_and_links(root: Path) -> None:
    assert paths.expand(HostTree(root), ["/usr/lib/modules/*.so"]) == ("/usr/lib/modules/a.so", "/usr/lib/modules/b.so")
    assert paths.expand(HostTree(root), ["/usr/**/*.so"]) == (
        "/usr/lib/libc.so",
        "/usr/lib/modules/a.so",
        "/usr/lib/modules/b.so",
    )


def test_folders_are_known_without_a_list(root: Path) -> None:
    guest = Guest(HostTree(root))
    assert guest.is_folder("/lib/modules")
    assert not guest.is_folder("/lib/libc.so")
    assert not guest.is_folder("/lib/absent")


@pytest.mark.parametrize("path", ["", "relative", "/a\0b", "/" + "x" * 5000])
def test_what_is_no_path_is_not_there(root: Path, path: str) -> None:
    assert HostTree(root).get(path) is None
