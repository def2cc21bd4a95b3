"""Where the tests' sources are, and guest trees made of compiled programs and of this machine's C library."""

from collections.abc import Callable, Mapping
from pathlib import Path

from builder.model import File

SOURCES = Path(__file__).parents[2] / "c" / "analyse"
MACHINE = ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libgcc_s.so.1")

Build = Callable[..., Path]


def tree(files: Mapping[str, Path], links: Mapping[str, str] | None = None) -> dict[str, File]:
    """A guest tree of host files by guest path, with symbolic links."""
    made = {p: File(path=p, kind="file", host=str(h.resolve()), mode=0o755) for p, h in files.items()}
    return made | {p: File(path=p, kind="symlink", target=t) for p, t in (links or {}).items()}


def with_machine(files: Mapping[str, Path], links: Mapping[str, str] | None = None) -> dict[str, File]:
    """The same beside this machine's own loader and C library."""
    return tree({p: Path(p) for p in MACHINE if Path(p).exists()} | dict(files), links)
