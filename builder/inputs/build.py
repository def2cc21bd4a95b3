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
from builder.inputs import toolchain
from builder.model import Tree, digest_tree
from builder.value import digest

BUILD_LIMIT_S = 1800.0
MACHINE_CODE = (b"\x7fELF", b"!<arch>\n")


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
    parts = [digest_tree(tree) for tree in (files, *sysroot)]
    code = code_digest("inputs/build.py", "inputs/toolchain.py", "edges/archive.py")
    key = digest([code, toolchain.identity(source.toolchain), parts])

    def fill(folder: Path) -> None:
        tools = toolchain.musl() if source.toolchain == "musl" else toolchain.gnu(sysroot, store)
        _fill(folder, tools, files, f"images/{name}/{source.directory}", f"build:{name}")

    return archive.load(store.make("build", key, fill))


def _fill(folder: Path, tools: toolchain.Toolchain, files: Tree, where: str, origin: str) -> None:
    with scratch_folder("build") as scratch:
        place, output = scratch / "src", scratch / "out"
        archive.lay_out((files,), place)
        _age_machine_code(files, place)
        argv = ["make", "-s", "install", *toolchain.variables(tools, place, output)]
        done = run(argv, timeout_s=BUILD_LIMIT_S, cwd=place, env=toolchain.environment(tools))
        if done.exit_code:
            words = (done.stdout + done.stderr).replace(f"{place}/".encode(), b"")
            raise CompileError(f"{where}: make install failed", "the compiler's words are above", tail=tail(words, 25))
        made = _made(output, where, origin)
        copy_folder(output, folder / "files")
    archive.save(folder, {p: replace(f, host=f"files{p}" if f.kind == "file" else "") for p, f in made.items()})


def _age_machine_code(files: Tree, place: Path) -> None:
    """Let what was compiled by hand in the source folder look old, so that make compiles it anew, our way."""
    for path, entry in files.items():
        if entry.kind == "file":
            with Path(entry.host).open("rb") as stream:
                if stream.read(8).startswith(MACHINE_CODE):
                    os.utime(place / path.lstrip("/"), (0, 0))


def _made(output: Path, where: str, origin: str) -> Tree:
    made = archive.folder_tree(output, origin)
    if not any(entry.kind == "file" for entry in made.values()):
        raise CompileError(
            f"{where}: make install put nothing into DESTDIR",
            "write the Makefile's install target with $(DESTDIR) before every path",
        )
    if wrong := [p for p, f in made.items() if f.kind == "symlink" and f.target.startswith(str(output))]:
        raise CompileError(f"{where}: the link {wrong[0]} has DESTDIR in its text", "link to the path in the guest")
    return made
