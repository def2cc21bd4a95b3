"""What of an image's inputs is the application: its programs and plugins, what they lack, what they ask of a kernel."""

from collections.abc import Callable, Iterator
from pathlib import Path

from builder.analyse import closure as loader
from builder.analyse import hints as hinting
from builder.analyse import needs as analysis
from builder.analyse import plugins as opened
from builder.analyse.configured import Start
from builder.definition import Definition, Process, Run
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.model import ClosureFile, Needs, Tree
from builder.paths import expand, find


def whole_tree(available: Tree, overlay: Tree) -> Tree:
    """All files with the overlay on top; a folder of the overlay hides no link of the packages (`/lib` → `usr/lib`)."""
    hidden = (path for path, entry in overlay.items() if entry.kind == "directory" and path in available)
    return {**available, **overlay, **{path: available[path] for path in hidden}}


def programs_of(tree: Tree, definition: Definition) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The programs and the plugins to analyse: the commands, and every ELF file that is declared to go in."""
    executables, objects = loader.split_elf(tree, expand(tree, definition.files.include))
    commands = (definition.run.command[0], *(process.command[0] for process in definition.process))
    return tuple(dict.fromkeys((*commands, *executables))), (*expand(tree, definition.files.plugins), *objects)


def _starts(tree: Tree, definition: Definition) -> Iterator[tuple[Run | Process, tuple[str, ...], tuple[str, ...]]]:
    """The programs and plugins that are loaded in the surroundings of each process: what is declared for the whole
    image, in the application's."""
    programs, plugins = programs_of(tree, definition)
    beside = {process.command[0] for process in definition.process} - {definition.run.command[0]}
    yield definition.run, tuple(program for program in programs if program not in beside), plugins
    yield from ((process, process.command[:1], ()) for process in definition.process)


def missing_libraries(definition: Definition) -> Callable[[Tree], tuple[str, ...]]:
    """What `gather` asks to know which further packages are needed: the libraries that `tree` lacks."""

    def missing(tree: Tree) -> tuple[str, ...]:
        lacking: list[str] = []
        for how, programs, plugins in _starts(tree, definition):
            lacking += opened.missing(tree, programs, plugins, environment=how.environment, directory=how.directory)
        return tuple(dict.fromkeys(lacking))

    return missing


def closure(tree: Tree, definition: Definition) -> tuple[ClosureFile, ...]:
    """The files of all processes, each once. Raises DefinitionError for a process whose program is not there, and
    AnalysisError for what a program lacks."""
    for number, process in enumerate(definition.process):
        if find(tree, process.command[0]) is None:
            where = f"images/{definition.name}/image.toml: process[{number}].command"
            hint = (
                "add the package that contains it to source.packages, or put the file under the image's files/ folder"
            )
            raise DefinitionError(f"{where}: {process.command[0]} is not among the image's files", hint)
    files: dict[str, ClosureFile] = {}
    for how, programs, plugins in _starts(tree, definition):
        found = opened.complete(tree, programs, plugins, environment=how.environment, directory=how.directory)
        for file in found.files:
            known = files.setdefault(file.path, file)
            if file.why == "plugin" and known.why == "needed":  # its functions are looked up by name, if only in one
                files[file.path] = file
    return tuple(files.values())


def analyse(tree: Tree, definition: Definition, hints: tuple[hinting.Hint, ...], store: Store) -> Needs:
    """What application and processes ask of the kernel: by their closure, with the hints that apply (`hints_for`)."""
    return analysis.analyse(tree, closure(tree, definition), store, declared=definition.needs, hints=hints)


def hints_for(tree: Tree, definition: Definition, recipes: Path) -> tuple[hinting.Hint, ...]:
    """The hints whose conditions on files hold, whichever of the processes one asks: Kiln's and the definition's."""
    known = (*hinting.load(recipes), *map(hinting.of_entry, definition.hint))
    starts = [Start(definition.run.command, definition.run.environment)]
    starts += [Start(process.command, process.environment) for process in definition.process]
    for start in starts:
        known = hinting.applicable(known, tree, start)
    return known
