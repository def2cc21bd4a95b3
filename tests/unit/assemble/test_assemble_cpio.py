"""The cpio writer: what independent readers find is what went in, and never differs between two runs."""

import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.assemble import cpio
from builder.errors import DefinitionError
from builder.model import File, Tree
from tests.unit.assemble import newc
from tests.unit.assemble.newc import tree

Contents = Mapping[str, bytes]
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..", cpio.TRAILER)
)
ids = st.integers(0, 0xFFFFFFFF)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tree, Contents]:
    """Trees in which every entry lies in a directory, with the contents of their files; in no order."""
    folders, entries, contents = [""], list[File](), dict[str, bytes]()
    for _ in range(draw(st.integers(0, 15))):
        path = f"{draw(st.sampled_from(folders))}/{draw(names)}"
        if any(entry.path == path for entry in entries):
            continue
        mode, uid, gid = draw(st.sampled_from([0o755, 0o700, 0o1777])), draw(ids), draw(ids)
        kind = draw(st.sampled_from(["file", "symlink", "directory", "character-device", "block-device"]))
        entry = File(path, kind, mode, uid, gid)  # type: ignore[arg-type]
        if kind == "file":
            contents[path] = draw(st.binary(max_size=100))
            entry = File(path, "file", mode & 0o777, uid, gid, size_bytes=len(contents[path]))
        elif kind == "symlink":
            entry = File(path, "symlink", 0o777, uid, gid, target=draw(names))
        elif kind.endswith("device"):
            entry = File(path, kind, mode, device=(draw(ids), draw(ids)))  # type: ignore[arg-type]
        else:
            folders.append(path)
        entries.append(entry)
    return tree(*draw(st.permutations(entries))), contents


def written(entries: Tree, contents: Contents, piece_bytes: int = 7) -> bytes:
    """The whole archive; contents come in small pieces."""

    def read(entry: File) -> Iterable[bytes]:
        data = contents[entry.path]
        return (data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes))

    return b"".join(cpio.archive(entries, read))


def content(entry: File, contents: Contents) -> bytes:
    return entry.target.encode() if entry.kind == "symlink" else contents.get(entry.path, b"")


@given(trees())
def test_a_reader_finds_every_entry_as_it_went_in(given_tree: tuple[Tree, Contents]) -> None:
    entries, contents = given_tree
    found = newc.read(written(entries, contents))
    assert {f"/{entry.name}": (entry.mode, entry.uid, entry.gid, entry.device, entry.content) for entry in found} == {
        path: (cpio.KINDS[entry.kind] | entry.mode, entry.uid, entry.gid, entry.device, content(entry, contents))
        for path, entry in entries.items()
    }
    assert len(found) == len(entries)


@given(trees())
def test_directories_come_before_what_is_in_them(given_tree: tuple[Tree, Contents]) -> None:
    entries, contents = given_tree
    seen = {""}
    for entry in newc.read(written(entries, contents)):
        assert entry.name.rpartition("/")[0] in seen
        seen.add(entry.name)


@given(trees(), st.randoms())
def test_neither_order_nor_pieces_make_a_difference(given_tree: tuple[Tree, Contents], random: Random) -> None:
    entries, contents = given_tree
    shuffled = list(entries.values())
    random.shuffle(shuffled)
    assert written(tree(*shuffled), contents, 64) == written(entries, contents)


@given(trees())
def test_inodes_are_unique_times_are_zero_and_nothing_is_a_hard_link(given_tree: tuple[Tree, Contents]) -> None:
    found = newc.read(written(*given_tree))
    assert [entry.inode for entry in found] == list(range(1, len(found) + 1))
    assert {entry.mtime for entry in found} <= {0}
    assert all(entry.links == (2 if stat.S_ISDIR(entry.mode) else 1) for entry in found)


@given(trees())
def test_a_kernel_makes_every_entry_of_it(given_tree: tuple[Tree, Contents]) -> None:
    entries, contents = given_tree
    assert set(newc.unpacked(written(entries, contents))) == set(entries)


@pytest.mark.parametrize("reader", [pytest.param("cpio", id="GNU cpio")] if shutil.which("cpio") else [])
@given(trees())
def test_another_program_unpacks_it(reader: str, given_tree: tuple[Tree, Contents]) -> None:
    everything, contents = given_tree
    entries = {path: entry for path, entry in everything.items() if not entry.kind.endswith("device")}
    owned = {path: File(path, e.kind, e.mode, target=e.target, size_bytes=e.size_bytes) for path, e in entries.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = newc.read_by_gnu(written(owned, contents), Path(folder))
    assert found == {
        path: (cpio.KINDS[entry.kind] | entry.mode, content(entry, contents)) for path, entry in entries.items()
    }


def test_archives_one_after_the_other_are_one_tree() -> None:
    first = written(tree(File("/etc", "directory", 0o755)), {})
    second = written(tree(File("/etc", "directory", 0o755), File("/etc/a", "file", size_bytes=3)), {"/etc/a": b"abc"})
    assert len(first) % 4 == 0
    assert {path: entry.content for path, entry in newc.unpacked(first + second).items()} == {
        "/etc": b"",
        "/etc/a": b"abc",
    }


def test_the_root_itself_is_no_entry() -> None:
    assert newc.read(written(tree(File("/", "directory", 0o700), File("/a", "directory", 0o755)), {}))[0].name == "a"


LONG = "/".join(["x" * 255] * 16)  # 4,095 bytes: with the slash before it the longest path the kernel takes


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (File(f"/{LONG}/y", "directory"), "a path of 4097 bytes, the kernel reads 4095"),
        (File(f"/{'é' * 128}", "directory"), "a name in it has more than 255 bytes"),
        (
            File("/big", "file", size_bytes=1 << 32),
            "/big: 4294967296 bytes, an initramfs holds files of less",
        ),
        (File("/link", "symlink"), "/link: a symbolic link to 0 bytes of text"),
        (File("/link", "symlink", target="x" * 4096), "/link: a symbolic link to 4096 bytes of text"),
        (File("/TRAILER!!!", "directory"), "no name for a file in an initramfs"),
    ],
)
def test_what_the_kernel_could_not_make_is_refused(entry: File, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        written(tree(entry), {})


def test_the_longest_path_is_written() -> None:
    (found,) = newc.read(written(tree(File(f"/{LONG}", "symlink", target="x" * 4095)), {}))
    assert (found.name, len(found.content)) == (LONG, 4095)


@pytest.mark.parametrize("data", [b"", b"abc", b"abcde"])
def test_a_file_that_changed_since_it_was_listed_is_an_error(data: bytes) -> None:
    with pytest.raises(DefinitionError, match="/a: changed while it was read"):
        written(tree(File("/a", "file", size_bytes=4)), {"/a": data})


def test_contents_are_never_held_whole() -> None:
    pieces = 0

    def endless(entry: File) -> Iterable[bytes]:
        nonlocal pieces
        for _ in range(entry.size_bytes >> 20):
            pieces += 1
            yield bytes(1 << 20)

    archive = cpio.archive(tree(File("/big", "file", size_bytes=3 << 30)), endless)
    assert [len(next(archive)) for _ in range(4)][1:] == [1 << 20] * 3
    assert pieces == 3
