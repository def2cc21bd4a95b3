"""The root file system: one cpio archive per layer, one after the other (init/initramfs.c unpacks them in turn)."""

from collections.abc import Sequence
from pathlib import Path

from builder.assemble import cpio
from builder.edges.code import code_digest
from builder.edges.content import PIECE_BYTES, read
from builder.edges.store import Store, digest_file
from builder.model import Layer, Tree, digest, digest_tree

ARCHIVE = "layer.cpio"
ROOT = "rootfs.cpio"


def assemble(layers: Sequence[tuple[str, Tree]], store: Store) -> tuple[Path, tuple[Layer, ...]]:
    """The root file system's path in the store, and its layers with size and digest."""
    made = tuple(_layer(name, tree, store) for name, tree in layers)
    key = digest([layer.sha256 for layer in made])
    folder = store.make("rootfs", key, lambda scratch: _join(made, scratch / ROOT))
    return folder / ROOT, made


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
