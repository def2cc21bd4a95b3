"""Data disks: sparse raw files with an ext4 file system, made without root."""

import shutil
from pathlib import Path

from builder.edges.process import run, tail
from builder.errors import HostError

MAKE_LIMIT_S = 120.0


def make(path: Path, size_mib: int) -> Path:
    """Make a new disk file of this size; a file that is there stays as it is. Written beside its place, then renamed.

    Raises HostError when mkfs.ext4 is missing or fails.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    try:
        _fill(scratch, path, size_mib)
        scratch.rename(path)
    finally:
        scratch.unlink(missing_ok=True)
    return path


def _fill(scratch: Path, path: Path, size_mib: int) -> None:
    with scratch.open("wb") as stream:
        stream.truncate(size_mib << 20)
    tool = shutil.which("mkfs.ext4") or "/sbin/mkfs.ext4"
    # no lazy initialisation: the guest would do it in the background; no 64bit and no checksums: less for its kernel
    features = ["-O", "^metadata_csum,^64bit", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]
    done = run([tool, "-q", "-F", "-m", "0", *features, str(scratch)], timeout_s=MAKE_LIMIT_S)
    if done.exit_code:
        raise HostError(f"{path}: no file system could be made on it", "see e2fsprogs", tail=tail(done.stderr))
