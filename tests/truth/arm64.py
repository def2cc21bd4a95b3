"""Programs of Debian's arm64 packages and what they did under qemu-aarch64, recorded (`aarch64.toml`) or run now."""

import re
import subprocess
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from builder.analyse import closure, needs
from builder.analyse.table import names
from builder.edges import archive
from builder.edges.apt import Archive
from builder.edges.store import Store
from builder.inputs.gather import SUITE
from builder.model import File, Needs, Tree
from builder.value import Value

MACHINE, DEBIAN = "aarch64", "arm64"
CALL = re.compile(rb"\b\d+ ([a-z_0-9]+)\(")  # in qemu's -strace
EMULATOR = ("qemu-user-static", "usr/bin/qemu-aarch64-static")
RUN_LIMIT_S = 60.0


class Program(Value, frozen=True):
    """A program of a package and the names of the calls it was seen to make, separated by blanks."""

    package: str
    path: str
    calls: str


@cache
def recorded() -> tuple[Program, ...]:
    """The recorded programs."""
    table = tomllib.loads((Path(__file__).parent / "aarch64.toml").read_text())
    return msgspec.convert(table["program"], tuple[Program, ...])


@cache
def files(package: str, architecture: str = DEBIAN) -> Tree:
    """The files of a package and all it depends on, fetched unprivileged into the cache."""
    source, store = Archive(SUITE, architecture), Store()
    packages = source.candidates([package])
    tree: dict[str, File] = {}
    for one, deb in zip(packages, source.fetch(packages, store), strict=True):
        tree.update(archive.unpacked(one, deb, store))
    return tree


def analysed(package: str, path: str, store: Store) -> Needs:
    """What the analysis says of a program."""
    tree = files(package)
    return needs.analyse(tree, closure.resolve(tree, (path,), machine=MACHINE), store)


def _emulator(folder: Path) -> Path:
    """qemu's emulator of single programs, statically linked, of a package of its own, laid out in a folder."""
    source, store = Archive(SUITE), Store()
    (package,) = (p for p in source.candidates([EMULATOR[0]]) if p.name == EMULATOR[0])
    tree = archive.unpacked(package, source.fetch([package], store)[0], store)
    path = f"/{EMULATOR[1]}"
    archive.lay_out(({path: tree[path]},), folder)
    return folder / EMULATOR[1]


def run(package: str, path: str, arguments: Sequence[str], folder: Path) -> frozenset[str]:
    """The calls a program makes when it is run now, with its packages' files laid out below `folder`."""
    emulator, root = _emulator(folder / "emulator"), folder / "root"
    archive.lay_out((files(package),), root)
    argv = [str(emulator), "-L", str(root), "-E", "LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu", "-strace"]
    done = subprocess.run(
        [*argv, str(root / path[1:]), *arguments], capture_output=True, timeout=RUN_LIMIT_S, check=False, cwd=root
    )
    known = set(names(MACHINE).values())
    return frozenset(m.decode() for m in CALL.findall(done.stderr)) & known
