"""Applications from source: `make install` against a private sysroot of Debian packages, or static against musl."""

import os
from pathlib import Path

from msgspec.structs import replace

from builder.definition import BuildSource
from builder.edges import archive
from builder.edges.code import code_digest
from builder.edges.process import run, tail
from builder.edges.scratch import copy_folder, scratch_folder
from builder.edges.store import Store
from builder.errors import CompileError, DefinitionError
from builder.model import Tree, digest, digest_tree

BUILD_LIMIT_S = 1800.0
# what every program compiled against glibc needs, beside what the definition names
BASE_PACKAGES = ("libc6-dev", "linux-libc-dev")
FLAGS = "-O2 -pipe -fstack-protector-strong -Wdate-time"


def source_tree(folder: Path, source: BuildSource, name: str) -> Tree:
    """The application's source. Raises DefinitionError when there is no Makefile in it."""
    place = folder / source.directory
    if not (place / "Makefile").is_file():
        raise DefinitionError(
            f"images/{name}/{source.directory}/Makefile: not there",
            'kind = "build" runs `make install DESTDIR=…` in source.directory',
        )
    return archive.folder_tree(place, f"build:{name}")


def compiled(source: BuildSource, files: Tree, sysroot: tuple[Tree, ...], name: str, store: Store) -> Tree:
    """What `make install` put into its DESTDIR, from the store when nothing that goes in has changed.

    Raises CompileError with the compiler's words, HostError when there is no compiler.
    """
    compiler = "musl-gcc" if source.toolchain == "musl" else "gcc"
    parts = [digest_tree(tree) for tree in (files, *sysroot)]
    key = digest(
        [code_digest("inputs/build.py", "edges/archive.py"), compiler_version(compiler), source.toolchain, parts]
    )
    folder = store.make("build", key, lambda scratch: _fill(scratch, source, files, _sysroot(sysroot, store), name))
    return archive.load(folder)


def compiler_version(compiler: str) -> str:
    """The compiler's version line: another compiler makes other programs."""
    real = "gcc" if compiler == "musl-gcc" else compiler  # musl-gcc runs gcc with other paths
    return run([real, "-dumpfullversion"], timeout_s=20).stdout.decode().strip()


def _sysroot(trees: tuple[Tree, ...], store: Store) -> Path | None:
    if not trees:
        return None
    key = digest([code_digest("edges/archive.py"), [digest_tree(tree) for tree in trees]])
    return store.make("sysroot", key, lambda scratch: archive.lay_out(trees, scratch), verify=False)


def _fill(folder: Path, source: BuildSource, files: Tree, sysroot: Path | None, name: str) -> None:
    with scratch_folder(f"build-{name}") as scratch:
        place, output = scratch / "src", scratch / "out"
        archive.lay_out((files,), place)
        done = run(_command(place, output, source, sysroot), timeout_s=BUILD_LIMIT_S, cwd=place, env=_environment())
        if done.exit_code:
            raise CompileError(
                f"images/{name}/{source.directory}: make install failed",
                "the compiler's words are above",
                tail=tail(done.stdout + done.stderr, 25),
            )
        made = archive.folder_tree(output, f"build:{name}")
        if not made:
            raise CompileError(
                f"images/{name}/{source.directory}: make install put nothing into DESTDIR",
                "write the Makefile's install target with $(DESTDIR) before every path",
            )
        copy_folder(output, folder / "files")
    archive.save(folder, {p: replace(f, host=f"files{p}" if f.kind == "file" else "") for p, f in made.items()})


def _command(place: Path, output: Path, source: BuildSource, sysroot: Path | None) -> list[str]:
    compiler = "musl-gcc" if source.toolchain == "musl" else f"gcc --sysroot={sysroot}"
    # paths of this machine must not end up in the program: two builds are bit-identical wherever they run
    maps = " ".join(f"-ffile-prefix-map={folder}=." for folder in (place, sysroot) if folder)
    link = "-static -Wl,--gc-sections" if source.toolchain == "musl" else "-Wl,-z,relro,-z,now"
    variables = {"CC": compiler, "CFLAGS": f"{FLAGS} {maps}", "LDFLAGS": f"{link} -Wl,--build-id=none"}
    return ["make", "-s", "install", f"DESTDIR={output}", *(f"{key}={value}" for key, value in variables.items())]


def _environment() -> dict[str, str]:
    """A small, fixed environment; the user's PATH finds the tools."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": "0",
        "HOME": "/nonexistent",
    }
