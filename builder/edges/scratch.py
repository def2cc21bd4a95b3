"""Scratch folders: inside the cache (same disk as the store), gone afterwards whatever happens."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.edges.store import cache_root


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A new, empty folder."""
    place = cache_root() / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kept_folder(purpose: str, name: str) -> Path:
    """A folder in the cache that stays: for the evidence of what was done last."""
    folder = cache_root() / purpose / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with its links."""
    shutil.copytree(source, target, symlinks=True)
