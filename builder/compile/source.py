"""The kernel's source: Debian's `linux-source-<series>` package unpacked once, with Kiln's patches applied."""

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from builder.edges import process
from builder.edges.store import Store, digest_file
from builder.errors import CompileError, DefinitionError, FetchError, HostError
from builder.model import KernelSource, Package
from builder.value import Value, digest

STAGE = "source"
# Part of the key, to be raised when the same package and patches would give another tree. Not the digest of this file:
# a new source path means that every kernel is compiled anew, which takes minutes.
LAYOUT = 1
TREE = "linux"  # folder of the tree inside the artifact
UNPACK_LIMIT_S = 900.0
PATCH_LIMIT_S = 60.0
# What no kernel for a virtual x86 machine is built from: half of the time and of the disk. Kconfig files and makefiles
# stay, so that every option can still be resolved.
LEFT_OUT = (
    "Documentation/[!K]*",
    "arch/[!uxK]*/[!cK]*",
    "arch/xtensa/[!cK]*",
    "tools/perf",
    "tools/testing",
    "drivers/gpu/drm/amd/*.[ch]",
    "drivers/gpu/drm/i915/*.[ch]",
    "drivers/gpu/drm/nouveau/*.[ch]",
    "drivers/gpu/drm/radeon/*.[ch]",
    "drivers/gpu/drm/xe/*.[ch]",
    "sound/*.[ch]",
)

ADDED = "files.toml"  # beside the patches


class _Folder(Value, frozen=True):
    """Files of Kiln's own: those of the folder `source` (relative to the patches) go `into` a folder of the tree."""

    into: Annotated[str, Meta(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)*\Z")]
    source: str
    reason: str


class _Added(Value, frozen=True):
    folder: tuple[_Folder, ...] = ()


def prepare(
    package: Package, deb: Path | Callable[[], Path], patches: Path, store: Store, *, further: Path | None = None
) -> KernelSource:
    """The patched source tree of a `linux-source-<series>` package, unpacked if the store lacks it.

    `deb` is the package's file, or what fetches it: called only when it is needed. `patches` holds a folder per series
    (`6.12`) whose `*.patch` files are applied in the order of their names, after the files that its `files.toml` names
    were put in; then those of `further`, a folder of the same kind. The tree is shared by all builds and must not be
    written to. Raises CompileError when a patch does not apply as it is, FetchError when the package does not hold a
    source when the disk is full, HostError when the store lies where make cannot work, DefinitionError for a wrong
    `files.toml`.
    """
    if {" ", ":"} & set(str(store.root)):
        raise HostError(
            f"{store.root}: the kernel's makefiles work only below folders without spaces and colons in their names",
            "point KILN_CACHE to such a folder",
        )
    series = package.name.removeprefix("linux-source-")
    folders = tuple(folder / series for folder in (patches, further) if folder)
    files = tuple(file for folder in folders for file in _patches(folder, series))
    added = tuple(pair for folder in folders for pair in _added(folder))
    key = digest(
        [
            LAYOUT,
            LEFT_OUT,
            package.sha256,
            [(file.name, digest_file(file)) for file in files],
            *([[(into, digest_file(file)) for into, file in added]] if added else []),
        ]
    )

    def fill(scratch: Path) -> None:
        _fill(scratch, package, deb if isinstance(deb, Path) else deb(), files, added)

    folder = store.make(STAGE, key, fill, verify=False)
    tree = folder / TREE
    version = version_of((tree / "Makefile").read_text(encoding="utf-8"))
    return KernelSource(str(tree), version, package, tuple(file.name for file in files), key)


def version_of(makefile: str) -> str:
    """The upstream version that the top of the kernel's Makefile states, such as 6.12.117."""
    parts = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)$", makefile, re.MULTILINE))
    return f"{parts['VERSION']}.{parts['PATCHLEVEL']}.{parts['SUBLEVEL']}{parts.get('EXTRAVERSION', '')}"


def _patches(folder: Path, series: str) -> tuple[Path, ...]:
    files = tuple(sorted(folder.glob("*.patch")))
    if not files:
        raise CompileError(
            f"{folder}: no patches for Linux {series}",
            "Kiln needs its patches: add them for this series, or choose a linux-source package that has a folder",
        )
    return files


def _added(folder: Path) -> Iterator[tuple[str, Path]]:
    """Place in the tree and file, for every file of Kiln's own."""
    path = folder / ADDED
    if not path.is_file():
        return
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Added)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DefinitionError(f"{path}: {error}", "see docs/reference/kernel.md") from error
    for wanted in found.folder:
        files = sorted(file for file in (folder / wanted.source).glob("*") if file.is_file())
        if not files:
            raise DefinitionError(f"{path}: {wanted.source}: no files there", "name the folder relative to files.toml")
        yield from ((f"{wanted.into}/{file.name}", file) for file in files)


def _fill(
    folder: Path, package: Package, deb: Path, patches: Sequence[Path], added: Sequence[tuple[str, Path]]
) -> None:
    tree = folder / TREE
    tree.mkdir()
    unpacked = folder / "deb"
    _run(["dpkg-deb", "--extract", str(deb), str(unpacked)], f"{deb.name} cannot be unpacked")
    archive = unpacked / "usr/src" / f"{package.name}.tar.xz"
    if not archive.is_file():
        raise FetchError(f"{deb.name} holds no usr/src/{archive.name}", "the kernel package must be a linux-source one")
    left_out = [f"--exclude={package.name}/{pattern}" for pattern in LEFT_OUT]
    wildcards = ["--anchored", "--wildcards", "--wildcards-match-slash"]
    unpack = ["tar", "--directory", str(tree), "--strip-components=1", "--use-compress-program=xz -T0", *wildcards]
    _run([*unpack, *left_out, "--extract", "--file", str(archive)], f"{archive.name} cannot be unpacked")
    for path in sorted(unpacked.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    unpacked.rmdir()
    for into, file in added:
        (tree / into).parent.mkdir(parents=True, exist_ok=True)
        (tree / into).write_bytes(file.read_bytes())
    for patch in patches:
        apply(patch, tree)


def _run(argv: Sequence[str], failure: str) -> None:
    done = process.run(argv, timeout_s=UNPACK_LIMIT_S)
    if done.exit_code:
        raise FetchError(failure, "remove it from the cache: it is fetched anew", tail=process.tail(done.stderr))


def apply(patch: Path, tree: Path) -> None:
    """Apply one patch to a source tree, exactly: moved lines are accepted, changed context is not.

    Raises CompileError that names the patch, the file and the hunk.
    """
    strict = ["--strip=1", "--fuzz=0", "--forward", "--batch", "--no-backup-if-mismatch", "--reject-file=-"]
    argv = ["patch", *strict, f"--directory={tree}", f"--input={patch.absolute()}"]
    done = process.run(argv, timeout_s=PATCH_LIMIT_S)
    if done.exit_code:
        said = process.tail(done.stdout + done.stderr, 200)
        raise CompileError(
            f"{patch.name} does not apply{_where(said)}",
            f"adapt {patch} to this kernel source, or go back to the locked version",
            tail="\n".join(said.splitlines()[-15:]),
        )


def _where(said: str) -> str:
    """` to <file>, <hunk>` from what patch printed, as far as it says."""
    place = ""
    for line in said.splitlines():
        if match := re.match(r"patching file '?(.+?)'?$", line):
            place = f" to {match[1]}"
        elif match := re.match(r"Hunk #(\d+) FAILED at (\d+)", line):
            return f"{place}, hunk {match[1]} at line {match[2]}"
        elif match := re.match(r"can't find file to patch at input line (\d+)", line):
            return f": it changes a file that is not there (line {match[1]} of the patch)"
    return place
