"""The root file system: layers one after the other, each kept, all of it the same every time."""

from pathlib import Path

import pytest

from builder.assemble import rootfs
from builder.edges.content import keep
from builder.edges.store import Store, digest_file
from builder.errors import DefinitionError
from builder.model import File, Tree
from tests.unit.assemble import newc
from tests.unit.assemble.newc import tree

FOLDER = File("/etc", "directory", 0o755)


def parts(store: Store, text: bytes = b"text\n") -> tuple[tuple[str, Tree], ...]:
    return (
        ("etc", tree(FOLDER, keep(store, "/etc/a", b"one"))),
        ("agent", tree(keep(store, "/init", b"agent", mode=0o755))),
        ("app", tree(FOLDER, keep(store, "/etc/b", text))),
    )


def test_a_kernel_unpacks_all_layers_from_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path, layers = rootfs.assemble(parts(store), store)
    unpacked = newc.unpacked(path.read_bytes())
    assert {name: entry.content for name, entry in unpacked.items()} == {
        "/etc": b"",
        "/etc/a": b"one",
        "/init": b"agent",
        "/etc/b": b"text\n",
    }
    assert path.read_bytes() == b"".join(Path(layer.path).read_bytes() for layer in layers)


def test_each_layer_says_what_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _, layers = rootfs.assemble(parts(store), store)
    assert [(layer.name, layer.files) for layer in layers] == [("etc", 2), ("agent", 1), ("app", 2)]
    for layer in layers:
        assert layer.sha256 == digest_file(Path(layer.path))
        assert layer.size_bytes == Path(layer.path).stat().st_size


def test_two_stores_make_the_same_bits(tmp_path: Path) -> None:
    made = [rootfs.assemble(parts(store), store)[0] for store in (Store(tmp_path / "one"), Store(tmp_path / "two"))]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert made[0].relative_to(tmp_path / "one") == made[1].relative_to(tmp_path / "two")


def test_what_did_not_change_is_taken_from_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rootfs.assemble(parts(store), store)
    store.made.clear()
    rootfs.assemble(parts(store), store)
    assert store.made == []
    rootfs.assemble(parts(store, b"changed"), store)
    assert [stage for stage, _ in store.made] == ["content", "layer", "rootfs"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (File("/etc/a", "file"), File("/etc/a", "file")),
        (File("/etc/a", "directory", 0o755), File("/etc/a", "directory", 0o700)),
        (File("/etc/a", "directory", 0o755), File("/etc/a", "directory", 0o755, uid=1)),
        (File("/etc/a", "directory", 0o755), File("/etc/a", "symlink", target="b")),
    ],
)
def test_layers_that_disagree_about_a_path_are_refused(one: File, other: File) -> None:
    with pytest.raises(DefinitionError, match="/etc/a: the layers etc and app both bring it"):
        rootfs.check([("etc", tree(FOLDER, one)), ("app", tree(FOLDER, other))])


@pytest.mark.parametrize(
    ("above", "kind"),
    [(File("/etc/a", "file"), "file"), (File("/etc/a", "symlink", target="b"), "symlink"), (FOLDER, "missing")],
)
def test_an_entry_that_lies_in_no_directory_is_refused(above: File, kind: str) -> None:
    said = rf"/etc/a/b: /etc/a, which it lies in, is no directory \({kind}\)"
    with pytest.raises(DefinitionError, match=said):
        rootfs.check([("etc", tree(FOLDER, above)), ("app", tree(File("/etc/a/b", "file")))])
