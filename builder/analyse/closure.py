"""The closure: every ELF file that can be mapped into the application, found by the dynamic loader's own rules.

Sources: ld.so(8), glibc's elf/rtld.c, dl-load.c, dl-deps.c and dl-version.c, musl's ldso/dynlink.c. Nothing is run.
Paths in the result are those the loader opens: a symbolic link stays one, so that whoever copies files takes the link
and what it leads to. What is opened at run time is `plugins`' part.
"""

from collections.abc import Iterable, Mapping, Sequence

from builder.analyse import elf
from builder.analyse.guest import Guest, globbed
from builder.analyse.machine import MACHINES
from builder.analyse.search import CACHE
from builder.analyse.walk import Walk
from builder.errors import AnalysisError
from builder.model import ClosureFile, Tree

Opened = tuple[str, str]  # the file that opens, the name it gives to dlopen


def resolve(
    tree: Tree,
    programs: Sequence[str],
    plugins: Sequence[str] = (),
    *,
    machine: str = "x86_64",
    environment: Mapping[str, str] | None = None,
    directory: str = "/",
    opened: Iterable[Opened] = (),
) -> tuple[ClosureFile, ...]:
    """The closure of the programs and of what they open by themselves (`plugins`: guest paths or globs).

    In the loader's order: each program, its interpreter, its libraries breadth first; plugins after all programs.
    `machine`: the architecture (`x86_64`, `aarch64`; empty: that of the first program). `environment`, `directory`:
    the process's variables (LD_PRELOAD, LD_LIBRARY_PATH, PATH) and working directory. `opened`: names given to
    `dlopen` by files of the closure; one that is not found, or cannot be loaded, is left out. A library that exists
    for some processors only (glibc-hwcaps) is a plugin beside the one for all: any of them may be mapped.

    Raises AnalysisError for a program, plugin or library that is not in the tree or of another architecture, and
    for a symbol version that no library defines.
    """
    walk = walked(Guest(tree, machine), programs, plugins, environment or {}, directory, opened)
    refuse(walk)
    return tuple(walk.files)


def missing(
    tree: Tree,
    programs: Sequence[str],
    plugins: Sequence[str] = (),
    *,
    machine: str = "x86_64",
    environment: Mapping[str, str] | None = None,
    directory: str = "/",
) -> tuple[str, ...]:
    """Names of the shared libraries the closure asks for and the tree lacks, in the order they are asked for."""
    guest = Guest(tree, machine)
    present = tuple(p for p in programs if guest.file(p))
    return tuple(walked(guest, present, plugins, environment or {}, directory, complete=False).lacking)


def walked(
    guest: Guest,
    programs: Sequence[str],
    plugins: Sequence[str],
    environment: Mapping[str, str],
    directory: str = "/",
    opened: Iterable[Opened] = (),
    *,
    complete: bool = True,
) -> Walk:
    """The walk over everything; what it lacks is in it. `complete`: a file that is not there is an error."""
    walk = Walk(guest, environment, directory, complete)
    for program in programs:
        walk.program(guest.tidy(program))
    for plugin in _expand(guest, plugins, complete):
        walk.plugin(plugin)
    for asker, name in opened:
        walk.opened(asker, name)
    return walk


def refuse(walk: Walk) -> None:
    """Raise AnalysisError for the first library or version that a walk did not find."""
    if walk.lacking:
        name, (needed_by, note) = next(iter(walk.lacking.items()))
        others = [other for other in walk.lacking if other != name]
        more = f" (missing too: {', '.join(others)})" if others else ""
        raise AnalysisError(
            f"{name}: shared library not found, needed by {needed_by}{note}{more}", _mend(walk.guest, name)
        )
    if walk.unmet:
        library, version, needed_by = walk.unmet[0]
        raise AnalysisError(
            f"{library}: version `{version}' not found (required by {needed_by})",
            f"{needed_by} was linked against a newer library: take both from the same release",
        )


def _mend(guest: Guest, name: str) -> str:
    """How to mend a library that was not found: it may be there, in a folder the loader does not look into."""
    there = guest.named(name.rpartition("/")[2])
    if not there:
        return "add the package that contains it to source.packages, or put the file under the image's files/ folder"
    hint = f"{there[0]} is in none of the loader's folders: set LD_LIBRARY_PATH in run.environment"
    if guest.file("/etc/ld.so.conf") and not guest.file(CACHE):
        hint += f" (/etc/ld.so.conf counts for ldconfig only; the loader reads {CACHE}, and the image has none)"
    return hint


def split_elf(
    tree: Tree, candidates: Iterable[str], machine: str = "x86_64"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The programs and the shared objects among some of the tree's files; what is no ELF file for this machine, or
    no file at all, is left out. A program asks for an interpreter, has a fixed address, or says it is one."""
    programs: list[str] = []
    objects: list[str] = []
    guest = Guest(tree, machine)
    for path in candidates:
        if guest.file(path) is None or not _is_ours(guest.start(path, 20), MACHINES[machine].number):
            continue
        file = guest.elf(path)
        alone = file.kind == elf.ET_EXEC or file.interpreter or file.value(elf.DT_FLAGS_1) & elf.DF_1_PIE
        (programs if alone else objects).append(path)
    return tuple(programs), tuple(objects)


def _is_ours(start: bytes, number: int) -> bool:
    """Whether a file begins as an ELF program or shared object of the machine does."""
    machine = number.to_bytes(2, "little")
    return start[:6] == b"\x7fELF\x02\x01" and start[16:20] in (b"\x02\0" + machine, b"\x03\0" + machine)


def _expand(guest: Guest, patterns: Sequence[str], complete: bool) -> list[str]:
    """Paths of plugins, globs expanded, sorted within each glob."""
    found: list[str] = []
    for pattern in patterns:
        if not any(sign in pattern for sign in "*?"):
            if complete or guest.file(pattern):
                found.append(guest.tidy(pattern))
            continue
        matches = [path for path in globbed(guest, pattern) if guest.file(path)]
        if not matches and complete:
            raise AnalysisError(f"{pattern}: no such plugin among the image's files", "correct files.plugins")
        found.extend(matches)
    return list(dict.fromkeys(found))
