"""The root file system: one cpio archive per layer, one after the other (init/initramfs.c unpacks them in turn)."""

import posixpath
from collections.abc import Sequence
from pathlib import Path

from builder.assemble import cpio
from builder.edges.code import code_digest
from builder.edges.content import PIECE_BYTES, read
from builder.edges.store import Store, digest_file
from builder.errors import DefinitionError
from builder.model import File, Layer, Tree, digest_tree
from builder.value import digest

ARCHIVE = "layer.cpio"
ROOT = "rootfs.cpio"


def assemble(layers: Sequence[tuple[str, Tree]], store: Store) -> tuple[Path, tuple[Layer, ...]]:
    """The root file system's path in the store, and its layers with size and digest.

    Raises DefinitionError for layers that do not go together, before anything is written.
    """
    check(layers)
    made = tuple(_layer(name, tree, store) for name, tree in layers)
    key = digest([layer.sha256 for layer in made])
    folder = store.make("rootfs", key, lambda scratch: _join(made, scratch / ROOT))
    return folder / ROOT, made


def check(layers: Sequence[tuple[str, Tree]]) -> None:
    """Raise DefinitionError for a path that two layers bring (the same directory may be in both), and for one whose
    parent is no directory: of two the kernel would silently keep the last, of the other make nothing (pure)."""
    whole: dict[str, tuple[str, File]] = {}
    for name, tree in layers:
        for path, entry in tree.items():
            other = whole.setdefault(path, (name, entry))
            if other[0] != name and not _is_same_directory(entry, other[1]):
                hint = "take it out of files/, or out of [files] in image.toml"
                raise DefinitionError(f"{path}: the layers {other[0]} and {name} both bring it", hint)
    for path in whole:
        parent = posixpath.dirname(path)
        kind = whole[parent][1].kind if parent in whole else "missing"
        if parent != "/" and kind != "directory":
            raise DefinitionError(f"{path}: {parent}, which it lies in, is no directory ({kind})")


def _is_same_directory(one: File, other: File) -> bool:
    return one.kind == other.kind == "directory" and (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)


def _layer(name: str, tree: Tree, store: Store) -> Layer:
    key = digest([code_digest("assemble"), digest_tree(tree)])

    def fill(scratch: Path) -> None:
        with (scratch / ARCHIVE).open("wb") as stream:
            for piece in cpio.archive(tree, read):
                stream.write(piece)

    path = store.make("layer", key, fill) / ARCHIVE
    return Layer(name, digest_file(path), path.stat().st_size, len(tree), str(path))  # type: ignore[arg-type]


def _join(layers: Sequence[Layer], target: Path) -> None:
    with target.open("wb") as out:
        for layer in layers:
            with Path(layer.path).open("rb") as stream:
                while piece := stream.read(PIECE_BYTES):
                    out.write(piece)
