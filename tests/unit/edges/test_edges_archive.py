"""Unpacking: what a package brings is described exactly, and nothing it holds can leave its place."""

import gzip
import io
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.edges import archive
from builder.edges.store import Store, digest_bytes, digest_file
from builder.errors import DefinitionError, FetchError
from builder.model import File, Package, Tree

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **more: object) -> Member:
    found = tarfile.TarInfo(name)
    found.type, found.size, found.mode = kind, len(data), 0o644
    for key, value in more.items():
        setattr(found, key, value)
    return found, data


def packed(members: Iterable[Member], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for found, data in members:
            tar.addfile(found, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The folder to unpack into, deep enough that `..` leads to places the test looks at."""
    folder = tmp_path / "one" / "two" / "inside"
    folder.mkdir(parents=True)
    return folder


def outside(tmp_path: Path) -> list[str]:
    """What lies below `tmp_path` besides the folder to unpack into."""
    paths = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    return sorted(path for path in paths if not path.startswith("one/two/inside") and path not in ("one", "one/two"))


GOOD = (
    member("./", tarfile.DIRTYPE, mode=0o755),
    member("./usr/", tarfile.DIRTYPE, mode=0o755),
    member("./usr/bin/", tarfile.DIRTYPE, mode=0o2775),
    member("./usr/bin/tool", data=b"tool", mode=0o755, uid=7, gid=8, uname="someone"),
    member("./usr/bin/same", tarfile.LNKTYPE, linkname="./usr/bin/tool"),
    member("./usr/bin/other", tarfile.SYMTYPE, linkname="/usr/bin/tool"),
    member("./usr/bin/root", data=b"sh", mode=0o6755),
    member("./var/tmp/", tarfile.DIRTYPE, mode=0o1777),
)


class TestReading:
    @pytest.fixture
    def tree(self, inside: Path) -> Tree:
        return archive.members(packed(GOOD), "deb:tool", inside)

    def test_files_carry_mode_size_and_digest_of_their_content(self, tree: Tree, inside: Path) -> None:
        tool = tree["/usr/bin/tool"]
        assert (tool.kind, tool.mode, tool.size_bytes, tool.origin) == ("file", 0o755, 4, "deb:tool")
        assert tool.sha256 == digest_bytes(b"tool") == digest_file(inside / tool.host)

    def test_everything_belongs_to_root(self, tree: Tree) -> None:
        assert {(entry.uid, entry.gid) for entry in tree.values()} == {(0, 0)}

    def test_a_hard_link_is_the_same_file_again(self, tree: Tree) -> None:
        assert tree["/usr/bin/same"].sha256 == tree["/usr/bin/tool"].sha256

    def test_a_symbolic_link_keeps_its_text(self, tree: Tree) -> None:
        link = tree["/usr/bin/other"]
        assert (link.kind, link.target, link.mode) == ("symlink", "/usr/bin/tool", 0o777)

    def test_set_user_id_bits_are_dropped_and_the_sticky_bit_of_directories_is_kept(self, tree: Tree) -> None:
        assert tree["/usr/bin/root"].mode == 0o755
        assert tree["/usr/bin"].mode == 0o775
        assert tree["/var/tmp"].mode == 0o1777

    def test_the_root_itself_is_no_entry(self, tree: Tree) -> None:
        assert "/" not in tree
        assert len(tree) == len(GOOD) - 1

    def test_an_empty_archive_is_an_empty_tree(self, inside: Path) -> None:
        assert archive.members(packed(()), "deb:nothing", inside) == {}

    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_every_form_of_tar_gives_the_same_tree(self, inside: Path, form: int, tree: Tree) -> None:
        assert archive.members(packed(GOOD, form), "deb:tool", inside) == tree


HOSTILE = {
    "an absolute name": [member("/etc/passwd", data=b"x")],
    "a doubled slash": [member("//etc/passwd", data=b"x")],
    "a name that climbs": [member("../../escaped", data=b"x")],
    "a name that climbs after going down": [member("./usr/../../../escaped", data=b"x")],
    "a directory that climbs": [member("./../escaped/", tarfile.DIRTYPE)],
    "a line feed in a name": [member("./a\nb", data=b"x")],
    "a hard link to nothing": [member("./a", tarfile.LNKTYPE, linkname="./b")],
    "a hard link to a later file": [member("./a", tarfile.LNKTYPE, linkname="./b"), member("./b", data=b"x")],
    "a hard link to the host's file": [member("./a", tarfile.LNKTYPE, linkname="/etc/passwd")],
    "a hard link that climbs": [member("./a", tarfile.LNKTYPE, linkname="../../../etc/passwd")],
    "a character device": [member("./null", tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "a block device": [member("./disk", tarfile.BLKTYPE, devmajor=8, devminor=0)],
    "a FIFO": [member("./pipe", tarfile.FIFOTYPE)],
    "an unknown kind": [member("./what", b"Z")],
    "a name that is no text": [member("./caf\udce9", data=b"x")],
    "a link to what is no text": [member("./a", tarfile.SYMTYPE, linkname="caf\udce9")],
}


class TestHostile:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_it_is_refused_and_nothing_is_written_outside(self, inside: Path, tmp_path: Path, name: str) -> None:
        with pytest.raises(FetchError, match=r"^deb:evil: "):
            archive.members(packed(HOSTILE[name]), "deb:evil", inside)
        assert outside(tmp_path) == []

    @pytest.mark.parametrize("length", [1, 511, 600, 1023, 1500])
    def test_a_truncated_archive_is_refused(self, inside: Path, length: int) -> None:
        whole = packed([member("./a", data=b"a" * 1000), member("./b", data=b"b" * 1000)])
        with pytest.raises(FetchError, match="broken archive"):
            archive.members(whole[:length], "deb:evil", inside)

    @pytest.mark.parametrize("length", [0, 30, -9, 10000])
    def test_a_compressed_archive_is_none_whole_or_truncated(self, inside: Path, length: int) -> None:
        with pytest.raises(FetchError, match="broken archive"):
            archive.members(gzip.compress(packed(GOOD))[:length], "deb:evil", inside)

    def test_a_link_with_a_nul_is_refused(self, inside: Path) -> None:
        link = member("./a", tarfile.SYMTYPE, pax_headers={"linkpath": "b\0c"})
        with pytest.raises(FetchError, match="hostile link"):
            archive.members(packed([link], tarfile.PAX_FORMAT), "deb:evil", inside)

    def test_a_size_beyond_all_reason_is_refused_before_it_is_written(self, inside: Path) -> None:
        bomb, _ = member("./zeros")
        bomb.size = archive.SIZE_LIMIT_BYTES + 1
        with pytest.raises(FetchError, match="more than 2 GiB"):
            archive.members(bomb.tobuf(tarfile.GNU_FORMAT), "deb:evil", inside)
        assert list(inside.iterdir()) == []

    @settings(max_examples=60, deadline=None)
    @given(position=st.integers(0, 8 * 512 - 1), value=st.integers(0, 255))
    def test_any_changed_byte_gives_a_tree_or_a_fetch_error(
        self, tmp_path_factory: pytest.TempPathFactory, position: int, value: int
    ) -> None:
        changed = bytearray(packed(GOOD))
        changed[position] = value
        place = tmp_path_factory.mktemp("changed")
        inside = place / "one" / "two" / "inside"
        inside.mkdir(parents=True)
        try:
            tree = archive.members(bytes(changed), "deb:evil", inside)
        except FetchError:
            tree = {}
        archive.save(inside, tree)
        assert all(path.startswith("/") and ".." not in path.split("/") for path in tree)
        assert outside(place) == []


class TestInTheStore:
    def test_what_is_saved_is_loaded_with_contents_where_they_lie(self, inside: Path) -> None:
        tree = archive.members(packed(GOOD), "deb:tool", inside)
        archive.save(inside, tree)
        loaded = archive.load(inside)
        assert set(loaded) == set(tree)
        assert Path(loaded["/usr/bin/tool"].host).read_bytes() == b"tool"
        assert loaded["/usr/bin/other"] == tree["/usr/bin/other"]

    def test_a_package_is_unpacked_once(self, tmp_path: Path) -> None:
        package, deb = make_package(tmp_path)
        store = Store(tmp_path / "store")
        first = archive.unpacked(package, deb, store)
        deb.unlink()
        assert archive.unpacked(package, deb, store) == first
        assert [stage for stage, _ in store.made] == ["unpacked"]
        assert Path(first["/usr/share/example/greeting"].host).read_text() == "hello\n"
        assert first["/usr/share/example/greeting"].origin == "deb:example"

    def test_a_file_that_is_no_package_is_refused(self, tmp_path: Path) -> None:
        package, deb = make_package(tmp_path)
        deb.write_bytes(deb.read_bytes()[:200])
        with pytest.raises(FetchError, match=r"example\.deb: not a Debian package") as caught:
            archive.unpacked(package, deb, Store(tmp_path / "store"))
        assert caught.value.tail


def make_package(folder: Path) -> tuple[Package, Path]:
    """A real package, made by Debian's own tool."""
    content = folder / "content"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "DEBIAN" / "control").write_text(
        "Package: example\nVersion: 1.0\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: example\n"
    )
    (content / "usr/share/example").mkdir(parents=True)
    (content / "usr/share/example/greeting").write_text("hello\n")
    deb = folder / "example.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(content), str(deb)], check=True, capture_output=True)
    return Package("example", "1.0", "all", digest_file(deb), deb.stat().st_size), deb


class TestFolderTree:
    def test_a_folder_of_the_host_becomes_a_tree(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc" / "a.conf").write_text("a")
        (tmp_path / "etc" / "run").write_text("#!")
        (tmp_path / "etc" / "run").chmod(0o700)
        (tmp_path / "etc" / "link").symlink_to("/elsewhere")
        (tmp_path / "etc" / "dir-link").symlink_to(".")
        tree = archive.folder_tree(tmp_path, "overlay")
        assert list(tree) == ["/etc", "/etc/a.conf", "/etc/dir-link", "/etc/link", "/etc/run"]
        assert [entry.mode for entry in tree.values()] == [0o755, 0o644, 0o777, 0o777, 0o755]
        assert (tree["/etc/link"].target, tree["/etc/a.conf"].sha256) == ("/elsewhere", digest_bytes(b"a"))

    def test_a_name_that_is_no_text_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "caf\udce9").touch()
        with pytest.raises(DefinitionError, match="not UTF-8"):
            archive.folder_tree(tmp_path, "overlay")

    def test_no_folder_is_an_empty_tree(self, tmp_path: Path) -> None:
        assert archive.folder_tree(tmp_path / "files", "overlay") == {}


class TestLayingOut:
    def tree(self, folder: Path, *entries: File) -> Tree:
        (folder / "content").write_bytes(b"content")
        host = str(folder / "content")
        return {
            entry.path: File(entry.path, "file", entry.mode, host=host) if entry.kind == "file" else entry
            for entry in entries
        }

    def test_files_links_and_directories_are_made(self, tmp_path: Path) -> None:
        tree = self.tree(
            tmp_path,
            File("/a", "directory"),
            File("/a/tool", "file", 0o755),
            File("/b/deep/file", "file"),
            File("/a/link", "symlink", target="tool"),
        )
        target = tmp_path / "one/two/inside"
        archive.lay_out((tree,), target)
        assert (target / "a/link").read_bytes() == b"content"
        assert (target / "a/tool").stat().st_mode & 0o777 == 0o755
        assert (target / "b/deep/file").is_file()

    def test_a_later_tree_wins(self, tmp_path: Path) -> None:
        first = self.tree(tmp_path, File("/a", "symlink", target="/nowhere"))
        second = self.tree(tmp_path, File("/a", "file"))
        archive.lay_out((first, second), tmp_path / "one/two/inside")
        assert (tmp_path / "one/two/inside/a").read_bytes() == b"content"
        assert not (tmp_path / "one/two/inside/a").is_symlink()

    def test_absolute_links_stay_inside(self, tmp_path: Path) -> None:
        tree = self.tree(
            tmp_path, File("/lib/x.so", "symlink", target="/usr/lib/x.so.1"), File("/usr/lib/x.so.1", "file")
        )
        target = tmp_path / "one/two/inside"
        archive.lay_out((tree,), target)
        assert (target / "lib/x.so").resolve() == target / "usr/lib/x.so.1"

    @pytest.mark.parametrize("link", ["../../../../..", "../../../out", "/../../../out", "b/../../../../out"])
    def test_relative_links_that_climb_stay_inside_as_in_a_machine(self, tmp_path: Path, link: str) -> None:
        (tmp_path / "out").mkdir()
        target = tmp_path / "one/two/inside"
        archive.lay_out((self.tree(tmp_path, File("/a/link", "symlink", target=link)),), target)
        assert (target / "a/link").resolve().is_relative_to(target)

    @pytest.mark.parametrize("link", ["../../../out", "/../../../out", "{tmp}/out"])
    def test_no_file_is_written_through_a_link_to_the_outside(self, tmp_path: Path, link: str) -> None:
        (tmp_path / "out").mkdir()
        places = self.tree(tmp_path, File("/out", "directory"), File(str(tmp_path / "out"), "directory"))
        tree = self.tree(
            tmp_path,
            File("/link", "symlink", target=link.format(tmp=tmp_path)),
            File("/link/written", "file"),
            File("/link/made", "directory"),
        )
        archive.lay_out((places, tree), tmp_path / "one/two/inside")
        assert list((tmp_path / "out").iterdir()) == []

    def test_no_file_is_written_through_links_that_add_up(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        target = tmp_path / "one/two/inside"
        tree = self.tree(
            tmp_path,
            File("/a/b/c", "symlink", target="../.."),  # the root: what lies in it is not really three levels down
            File("/a/b/c/up", "symlink", target="/out"),
            File("/a/b/c/up/written", "file"),
            File("/out", "directory"),
        )
        archive.lay_out(({"/out": tree["/out"]}, tree), target)
        assert list((tmp_path / "out").iterdir()) == []
        assert (target / "out/written").read_bytes() == b"content"

    @pytest.mark.parametrize("kind", ["file", "dangling"])
    def test_a_file_in_the_way_of_another_is_named(self, tmp_path: Path, kind: str) -> None:
        first = File("/a", "file") if kind == "file" else File("/a", "symlink", target="/nowhere")
        trees = (self.tree(tmp_path, first), self.tree(tmp_path, File("/a/b", "file")))
        with pytest.raises(FetchError, match=r"^/a/b of "):
            archive.lay_out(trees, tmp_path / "one/two/inside")
