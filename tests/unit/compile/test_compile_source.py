"""The kernel source: unpacked from a Debian package, patched exactly, identified by content."""

import subprocess
from pathlib import Path

import pytest

from builder.compile import source
from builder.edges.store import Store, digest_file
from builder.errors import CompileError, DefinitionError, FetchError, HostError
from builder.model import Package

MAKEFILE = (
    "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 7\nEXTRAVERSION =\nNAME = Test\n"
)
LINES = "".join(f"line {number}\n" for number in range(1, 9))
PATCH = """\
Say what it is for.

--- a/kernel/sys_ni.c
+++ b/kernel/sys_ni.c
@@ -3,4 +3,5 @@
 line 3
 line 4
+new line
 line 5
 line 6
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    folder = tmp_path / "patches" / "6.12"
    folder.mkdir(parents=True)
    (folder / "0001-add.patch").write_text(PATCH)
    return folder.parent


def package(tmp_path: Path, *, archive: str = "linux-source-6.12") -> tuple[Package, Path]:
    """A Debian package with a very small kernel source."""
    tree = tmp_path / "linux-source-6.12"
    for name, text in {
        "Makefile": MAKEFILE,
        "kernel/sys_ni.c": LINES,
        "arch/x86/Kconfig": "x86",
        "arch/arm/crypto/Kconfig": "arm",
        "arch/arm/kernel/setup.c": "left out",
        "Documentation/Kconfig": "docs",
        "Documentation/admin-guide/index.rst": "left out",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    built = tmp_path / "package"
    (built / "usr/src").mkdir(parents=True)
    (built / "DEBIAN").mkdir()
    control = "Package: linux-source-6.12\nVersion: 6.12.7-1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"
    (built / "DEBIAN/control").write_text(control)
    subprocess.run(
        ["tar", "-C", tmp_path, "-cJf", built / f"usr/src/{archive}.tar.xz", "linux-source-6.12"], check=True
    )
    deb = tmp_path / "linux-source.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", built, deb], check=True, stdout=subprocess.DEVNULL)
    return Package("linux-source-6.12", "6.12.7-1", "all", digest_file(deb)), deb


def test_the_version_is_read_from_the_makefile() -> None:
    assert source.version_of(MAKEFILE) == "6.12.7"
    assert source.version_of(MAKEFILE.replace("EXTRAVERSION =", "EXTRAVERSION = -rc2")) == "6.12.7-rc2"


def test_further_patches_make_another_tree_and_leave_the_first_as_it_was(
    tmp_path: Path, store: Store, patches: Path
) -> None:
    further = tmp_path / "further" / "6.12"
    further.mkdir(parents=True)
    more_lines = PATCH.replace("+new line\n", "+further line\n new line\n").replace("-3,4 +3,5", "-3,5 +3,6")
    (further / "0101-more.patch").write_text(more_lines)
    made = package(tmp_path)
    usual = source.prepare(*made, patches, store)
    more = source.prepare(*made, patches, store, further=further.parent)
    assert more.patches == ("0001-add.patch", "0101-more.patch")
    assert more.key != usual.key
    texts = [(Path(tree.path) / "kernel/sys_ni.c").read_text() for tree in (usual, more)]
    assert ["further line" in text for text in texts] == [False, True]
    assert source.prepare(*made, patches, store) == usual


def test_the_source_is_unpacked_patched_and_leaves_out_what_no_image_needs(
    tmp_path: Path, store: Store, patches: Path
) -> None:
    made = source.prepare(*package(tmp_path), patches, store)
    tree = Path(made.path)
    assert (made.version, made.patches) == ("6.12.7", ("0001-add.patch",))
    assert (tree / "kernel/sys_ni.c").read_text() == LINES.replace("line 4\n", "line 4\nnew line\n")
    assert (tree / "arch/arm/crypto/Kconfig").exists()
    assert (tree / "Documentation/Kconfig").exists()
    assert not (tree / "arch/arm/kernel").exists()
    assert not (tree / "Documentation/admin-guide").exists()
    assert sorted(path.name for path in tree.parent.iterdir()) == [".manifest.json", "linux"]


def test_the_same_package_and_patches_are_unpacked_once(tmp_path: Path, store: Store, patches: Path) -> None:
    name, deb = package(tmp_path)
    first = source.prepare(name, deb, patches, store)
    assert source.prepare(name, deb, patches, store) == first
    assert len(store.made) == 1


def test_a_changed_patch_gives_another_source(tmp_path: Path, store: Store, patches: Path) -> None:
    name, deb = package(tmp_path)
    first = source.prepare(name, deb, patches, store)
    (patches / "6.12/0001-add.patch").write_text(PATCH.replace("new line", "other line"))
    second = source.prepare(name, deb, patches, store)
    assert second.key != first.key
    assert "other line" in (Path(second.path) / "kernel/sys_ni.c").read_text()
    assert "new line" in (Path(first.path) / "kernel/sys_ni.c").read_text()


def test_a_patch_whose_lines_moved_still_applies(tmp_path: Path, store: Store, patches: Path) -> None:
    (patches / "6.12/0001-add.patch").write_text(PATCH.replace("@@ -3,4 +3,5 @@", "@@ -2,4 +2,5 @@"))
    assert source.prepare(*package(tmp_path), patches, store)


def test_a_patch_that_does_not_apply_is_named_with_file_and_place(tmp_path: Path, store: Store, patches: Path) -> None:
    (patches / "6.12/0002-late.patch").write_text(PATCH.replace(" line 4", " line four"))
    with pytest.raises(CompileError) as caught:
        source.prepare(*package(tmp_path), patches, store)
    assert caught.value.message == "0002-late.patch does not apply to kernel/sys_ni.c, hunk 1 at line 3"
    assert "adapt" in caught.value.hint
    assert not list((store.root / "source").glob("*"))


def test_fuzz_is_refused(tmp_path: Path, store: Store, patches: Path) -> None:
    """Without strictness patch would ignore the first line of context, which differs."""
    fuzzy = PATCH.replace("@@ -3,4 +3,5 @@\n line 3\n", "@@ -3,4 +3,5 @@\n line three\n")
    (patches / "6.12/0001-add.patch").write_text(fuzzy)
    with pytest.raises(CompileError, match=r"0001-add\.patch does not apply to kernel/sys_ni\.c"):
        source.prepare(*package(tmp_path), patches, store)


def test_a_patch_of_a_missing_file_says_so(tmp_path: Path, store: Store, patches: Path) -> None:
    (patches / "6.12/0001-add.patch").write_text(PATCH.replace("sys_ni.c", "gone.c"))
    with pytest.raises(CompileError, match="a file that is not there"):
        source.prepare(*package(tmp_path), patches, store)


def test_a_series_without_patches_is_an_error(tmp_path: Path, store: Store) -> None:
    with pytest.raises(CompileError, match=r"no patches for Linux 6\.12"):
        source.prepare(*package(tmp_path), tmp_path / "none", store)


def test_a_package_without_a_source_archive_is_refused(tmp_path: Path, store: Store, patches: Path) -> None:
    with pytest.raises(FetchError, match=r"holds no usr/src/linux-source-6\.12\.tar\.xz"):
        source.prepare(*package(tmp_path, archive="something-else"), patches, store)


def test_a_damaged_package_is_refused(tmp_path: Path, store: Store, patches: Path) -> None:
    name, deb = package(tmp_path)
    deb.write_bytes(deb.read_bytes()[:500])
    with pytest.raises(FetchError, match="cannot be unpacked"):
        source.prepare(name, deb, patches, store)


def test_a_store_whose_path_make_cannot_handle_is_refused(tmp_path: Path, patches: Path) -> None:
    name, deb = package(tmp_path)
    with pytest.raises(HostError, match="without spaces and colons"):
        source.prepare(name, deb, patches, Store(tmp_path / "my cache"))


def test_files_of_its_own_are_put_in_and_count_as_content(tmp_path: Path, store: Store, patches: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "guard.c").write_text("int guard;\n")
    made = package(tmp_path)
    without = source.prepare(*made, patches, store)
    (patches / "6.12/files.toml").write_text(
        '[[folder]]\ninto = "security/own"\nsource = "../../own"\nreason = "a test"\n'
    )
    first = source.prepare(*made, patches, store)
    assert (Path(first.path) / "security/own/guard.c").read_text() == "int guard;\n"
    assert first.patches == without.patches
    (own / "guard.c").write_text("int other;\n")
    second = source.prepare(*made, patches, store)
    assert len({without.key, first.key, second.key}) == 3
    assert (Path(first.path) / "security/own/guard.c").read_text() == "int guard;\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[folder]]\n", "into"),
        ("folder = 1\n", "folder"),
        ('[[folder]]\ninto = "../out"\nsource = "x"\nreason = "y"\n', "into"),
        ('[[folder]]\ninto = "security/own"\nsource = "nowhere"\nreason = "y"\n', "nowhere"),
        ("nonsense", "files.toml"),
    ],
)
def test_a_wrong_list_of_files_is_named(tmp_path: Path, store: Store, patches: Path, text: str, said: str) -> None:
    (patches / "6.12/files.toml").write_text(text)
    with pytest.raises(DefinitionError, match=said):
        source.prepare(*package(tmp_path), patches, store)
