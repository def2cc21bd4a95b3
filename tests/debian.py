"""Programs of Debian's packages that tests run on this machine, fetched by Kiln's own means and not installed."""

import shutil
from functools import cache
from pathlib import Path

from builder.edges import archive
from builder.edges.apt import Archive
from builder.edges.store import Store

SUITE = "bookworm"


@cache
def program(package: str, path: str) -> Path:
    """The newest version's file at a path; it must need no more than this machine's C library."""
    archives, store = Archive(SUITE), Store()
    newest = archives.offered([package])[package][0].version
    (described,) = archives.describe([f"{package}={newest}"])
    (deb,) = archives.fetch([described], store)
    entry = archive.unpacked(described, deb, store)[path]

    def fill(folder: Path) -> None:
        shutil.copy(entry.host, folder / "program")
        (folder / "program").chmod(0o755)

    return store.make("program", entry.sha256, fill) / "program"
