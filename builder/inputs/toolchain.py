"""The compilers: the host's gcc confined to a sysroot of Debian packages, or musl-gcc.

`--sysroot` alone does not confine a native gcc: it still looks for start files and libraries beside its own
installation (`../../../` of its library folder: gcc's driver, `set_up_specs` in gcc/gcc.cc). With `GCC_EXEC_PREFIX`
(GCC manual, "Environment Variables Affecting GCC") pointing into the sysroot, that place is in the sysroot too; there
stand links to the files that are the compiler's own.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.edges import archive
from builder.edges.code import code_digest
from builder.edges.process import run
from builder.edges.store import Store, digest_file
from builder.errors import HostError
from builder.model import Tree, digest_tree
from builder.value import Value, digest

FLAGS = "-O2 -pipe -fstack-protector-strong -Wdate-time"
ASK_LIMIT_S = 20.0
# where gcc looks, from its prefix: its own objects and headers, and its programs (Debian 13's are in libexec)
PLACES = ("usr/lib/gcc", "usr/libexec/gcc")


class Toolchain(Value, frozen=True):
    """What a Makefile is called with. `maps` are folders of this machine that must not be seen in the program."""

    variables: Mapping[str, str]
    environment: Mapping[str, str]
    maps: tuple[str, ...] = ()


def identity(toolchain: str) -> str:
    """What tells this machine's compiler (and, for musl, its C library) from another: part of every build's key.

    Raises HostError when there is none.
    """
    if toolchain == "musl":
        library = Path(_ask("musl-gcc", "-print-file-name=libc.a"))
        if not library.is_file():
            raise HostError("musl-gcc: its libc.a is not there", "sudo apt-get install musl-tools")
        return digest([toolchain, _ask("gcc", "--version"), _ask("ld", "--version"), digest_file(library)])
    return digest([toolchain, _ask("gcc", "--version"), _ask("ld", "--version"), *map(str, _folders())])


def stamp(toolchain: str) -> tuple[tuple[int, int], ...]:
    """Size and time of the compiler's files: shows, without running it, whether it may be another one by now."""
    names = ("musl-gcc", "gcc", "ld") if toolchain == "musl" else ("gcc", "ld")
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    places = (Path(folder, name) for name in names for folder in folders)
    found = (place.stat() for place in places if place.is_file())
    return tuple((status.st_size, status.st_mtime_ns) for status in found)


def musl() -> Toolchain:
    """Static programs against the host's musl."""
    return Toolchain({"CC": "musl-gcc", "LDFLAGS": "-static -Wl,--gc-sections -Wl,--build-id=none"}, {})


def gnu(trees: Sequence[Tree], store: Store) -> Toolchain:
    """Programs for the C library and libraries of a sysroot that holds these packages' files."""
    key = digest(
        [code_digest("edges/archive.py", "inputs/toolchain.py"), identity("gnu"), [digest_tree(tree) for tree in trees]]
    )
    root = store.make("sysroot", key, lambda scratch: _fill(scratch, trees), verify=False)
    options = f"--sysroot={root}"
    variables = {
        "CC": f"gcc {options}",
        "CXX": f"g++ {options}",
        "LDFLAGS": "-Wl,-z,relro,-z,now -Wl,--build-id=none",
    }
    packages = ":".join(f"{root}/usr/{place}/pkgconfig" for place in ("lib/x86_64-linux-gnu", "lib", "share"))
    environment = {
        "GCC_EXEC_PREFIX": f"{root}/{PLACES[0]}/",
        "PKG_CONFIG_LIBDIR": packages,
        "PKG_CONFIG_SYSROOT_DIR": str(root),
    }
    return Toolchain(variables, environment, (str(root),))


def variables(toolchain: Toolchain, source: Path, target: Path) -> tuple[str, ...]:
    """Make's command-line variables for a build in `source` that installs below `target`."""
    # paths of this machine must not end up in the program: two builds are bit-identical wherever they run
    maps = " ".join(f"-ffile-prefix-map={folder}=." for folder in (source, *toolchain.maps))
    known = {"DESTDIR": str(target), "CFLAGS": f"{FLAGS} {maps}", "CXXFLAGS": f"{FLAGS} {maps}", **toolchain.variables}
    return tuple(f"{name}={value}" for name, value in known.items())


def environment(toolchain: Toolchain) -> dict[str, str]:
    """A small, fixed environment; the user's PATH finds the tools."""
    fixed = {"LC_ALL": "C", "SOURCE_DATE_EPOCH": "0", "HOME": "/nonexistent"}
    return {"PATH": os.environ.get("PATH", os.defpath), **fixed, **toolchain.environment}


def _fill(folder: Path, trees: Sequence[Tree]) -> None:
    archive.lay_out(tuple(trees), folder, shared=True)
    machine, version = _ask("gcc", "-dumpmachine"), _folders()[0].name
    for place in PLACES:
        own = folder / place / machine / version
        own.mkdir(parents=True, exist_ok=True)
        for path in (path for host in _folders() for path in sorted(host.iterdir())):
            # the C++ library is a package's (libstdc++-12-dev), not the compiler's
            if not path.name.startswith(("libstdc++", "libsupc++")) and not (own / path.name).exists():
                (own / path.name).symlink_to(path)


def _folders() -> tuple[Path, ...]:
    """The compiler's own folders on this machine, first that of libgcc, named by the compiler's version."""
    named = (_ask("gcc", "-print-libgcc-file-name"), _ask("gcc", "-print-prog-name=cc1"))
    return tuple(dict.fromkeys(Path(name).resolve().parent for name in named if name.startswith("/")))


def _ask(*argv: str) -> str:
    """The first line that a compiler says of itself. Raises HostError when it is not there or says nothing."""
    done = run(argv, timeout_s=ASK_LIMIT_S, env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"})
    said = done.stdout.decode(errors="replace").partition("\n")[0].strip()
    if done.exit_code or not said:
        raise HostError(f"{' '.join(argv)}: no answer", "run ./invoke doctor to see which host tools are missing")
    return said
