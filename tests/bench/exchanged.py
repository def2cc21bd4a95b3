"""Brute force for the verdicts on kernels: a source in which all that is told not to matter is exchanged.

    .venv/bin/python -m tests.bench.exchanged OLD NEW [FILE...]

OLD and NEW are versions of linux-source. Of all files that differ between them, those that are told not to be in the
kernel of `nginx` go into a copy of the old source; both are built, and the kernels compared. The copy's version is that
of the old one. A FILE named is left as it was: one that does not compile without its neighbours. Takes two kernel
builds.
"""

import shutil
import sys
from pathlib import Path

import msgspec

from builder import affected, outdated, preview
from builder.compile import kernel as kernel_compiler
from builder.console import Console
from builder.edges import source_tree
from builder.edges.apt import Archive
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store
from builder.inputs import definition_file, renew
from builder.pipeline import Place
from builder.preview import Preview
from builder.rebuild.kernel import changed
from builder.rebuild_documents import Change

IMAGE, SUITE = "nginx", "bookworm"


def main() -> None:
    old, new = (seen(version) for version in sys.argv[1:3])
    kernel_compiler.build(old.source, old.config, old.profile, old.store, jobs=2, progress=Console().progress)
    change = affected.kernel(Change("linux", "kernel", "unknown", ""), old, new, None)
    assert change.kernel is not None
    kept = {one.path for one in change.kernel.changes if one.present} | set(sys.argv[3:]) | {"Makefile"}
    paths = changed(*(source_tree.listing(side.source, side.store) for side in (old, new)))
    exchanged = [path for path in paths if path not in kept]
    with scratch_folder("exchanged") as folder:
        tree = folder / "linux"
        shutil.copytree(old.source.path, tree, symlinks=True)
        for path in exchanged:
            exchange(tree / path, Path(new.source.path) / path)
        source = msgspec.structs.replace(old.source, path=str(tree), key=f"exchanged {sys.argv[1:]}")
        kernels = [
            Path(
                kernel_compiler.build(
                    one, old.config, old.profile, old.store, jobs=2, progress=Console().progress
                ).vmlinux
            )
            for one in (old.source, source)
        ]
    before, after = (path.read_bytes() for path in kernels)
    differ = sum(one != other for one, other in zip(before, after, strict=False)) + abs(len(before) - len(after))
    print(f"{len(exchanged)} of {len(paths)} changed files exchanged: {differ} of {len(before)} bytes differ")


def seen(version: str) -> Preview:
    """The image under its lock with another kernel source."""
    place, store = Place(Path(__file__).parents[2]), Store()
    lock = outdated.need_lock(place, IMAGE)
    package = Archive(SUITE).describe([f"linux-source-6.12={version}"])
    return preview.preview(place, definition_file.load(place.images, IMAGE), renew.renewed(lock, package), store)


def exchange(target: Path, source: Path) -> None:
    """Make a file what it is in the other source: another content, there, or gone."""
    target.unlink(missing_ok=True)
    if source.exists() or source.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


if __name__ == "__main__":
    main()
