"""What the loader cannot see: shared objects opened at run time. Those that are surely opened join the closure,
those that could be are reported, and none is ignored.

In go: what the definition lists (`files.plugins`), what configuration in the tree names, constant names passed to
`dlopen`, and what the C library opens by itself. Reported: whole folders of modules nobody names, and named files
the tree lacks. The facts are in `plugins.toml`.
"""

from collections.abc import Iterable, Mapping, Sequence

from builder.analyse import closure
from builder.analyse.candidates import Candidate, Finder
from builder.analyse.closure import Opened
from builder.analyse.guest import Guest
from builder.analyse.walk import Walk
from builder.model import ClosureFile, Tree
from builder.value import Value

ROUNDS = 32  # a plugin may name further plugins; no real chain is as long


class Plugin(Value, frozen=True):
    """Something opened at run time. `name`: a path, a library's name, or a glob that stands for `files` files.
    `packaged`: it is part of the closure; otherwise it is not in the tree, or nobody asked for it to go in."""

    name: str
    needed_by: str
    why: str
    packaged: bool
    files: int = 1


class Complete(Value, frozen=True):
    """A closure with all that joins it, what was found beside it, and what the loader would warn about."""

    files: tuple[ClosureFile, ...]
    plugins: tuple[Plugin, ...] = ()
    warnings: tuple[str, ...] = ()

    def left_out(self) -> tuple[Plugin, ...]:
        """Plugins that are not packaged."""
        return tuple(plugin for plugin in self.plugins if not plugin.packaged)


def complete(
    tree: Tree,
    programs: Sequence[str],
    plugins: Sequence[str] = (),
    *,
    machine: str = "x86_64",
    environment: Mapping[str, str] | None = None,
    directory: str = "/",
    opened: Iterable[Opened] = (),
) -> Complete:
    """The closure with everything that is surely opened at run time. Arguments and errors as `closure.resolve`."""
    guest = Guest(tree, machine)
    return _completed(closure.walked(guest, programs, plugins, environment or {}, directory), opened)


def library(tree: Tree, path: str) -> Complete:
    """The closure of a shared object by itself, of whatever architecture it is, as a program would map it."""
    walk = Walk(Guest(tree, ""), {})
    walk.library(walk.guest.tidy(path))
    return _completed(walk, ())


def _completed(walk: Walk, opened: Iterable[Opened]) -> Complete:
    closure.refuse(walk)
    found = _join(walk, tuple(opened))
    return Complete(tuple(walk.files), (*found, *_folders(walk)), tuple(walk.warnings))


def discover(
    tree: Tree,
    files: Sequence[ClosureFile],
    *,
    machine: str = "x86_64",
    environment: Mapping[str, str] | None = None,
    opened: Iterable[Opened] = (),
) -> tuple[Plugin, ...]:
    """What a closure may open at run time, `packaged` saying whether it is in that closure already or joins it."""
    programs = [file.path for file in files if file.why == "program"]
    plugins = [file.path for file in files if file.why == "plugin"]
    return complete(tree, programs, plugins, machine=machine, environment=environment, opened=opened).plugins


def missing(
    tree: Tree,
    programs: Sequence[str],
    plugins: Sequence[str] = (),
    *,
    machine: str = "x86_64",
    environment: Mapping[str, str] | None = None,
    directory: str = "/",
) -> tuple[str, ...]:
    """Names of the libraries that the closure, or a plugin that configuration names, asks for and the tree lacks."""
    guest = Guest(tree, machine)
    present = [program for program in programs if guest.file(program)]
    walk = closure.walked(guest, present, plugins, environment or {}, directory, complete=False)
    if not walk.lacking:
        _join(walk, ())
    return tuple(dict.fromkeys((*walk.lacking, *walk.wanting)))


def _join(walk: Walk, opened: tuple[Opened, ...]) -> tuple[Plugin, ...]:
    """Let everything that is surely opened join the walk, until nothing new is named."""
    finder = Finder(walk.guest)
    found: dict[tuple[str, str], Plugin] = {}
    given = [Candidate(name, asker, asker, "dlopen with this name") for asker, name in opened]
    for _ in range(ROUNDS):
        candidates = [c for c in (*given, *finder.named(walk.files, walk.environment)) if (c.name, c.by) not in found]
        if not candidates:
            break
        for candidate in candidates:
            joined = walk.opened(candidate.asker, candidate.name)
            if joined and candidate.inner:
                walk.promote(candidate.asker, candidate.name)
            found[candidate.name, candidate.by] = Plugin(candidate.name, candidate.by, candidate.why, joined)
    return tuple(found.values())


def _folders(walk: Walk) -> tuple[Plugin, ...]:
    """Folders of modules that were not listed, one entry for each pattern."""
    inside = {walk.guest.real(file.path) for file in walk.files}
    found: list[Plugin] = []
    for rule, by, pattern, paths in Finder(walk.guest).folders(walk.files):
        rest = {walk.guest.real(path) for path in paths} - inside
        if rest:
            found.append(Plugin(pattern, by, rule.why, packaged=False, files=len(rest)))
    return tuple(found)
