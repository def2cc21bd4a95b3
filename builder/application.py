"""What of an image's inputs is the application: its programs and plugins, what they lack, what they ask of a kernel."""

from collections.abc import Callable
from pathlib import Path

from builder.analyse import closure as loader
from builder.analyse import hints as hinting
from builder.analyse import needs as analysis
from builder.analyse import plugins as opened
from builder.analyse.configured import Start
from builder.definition import Definition
from builder.edges.store import Store
from builder.model import Needs, Tree
from builder.paths import expand


def whole_tree(available: Tree, overlay: Tree) -> Tree:
    """All files with the overlay on top; a folder of the overlay hides no link of the packages (`/lib` → `usr/lib`)."""
    hidden = (path for path, entry in overlay.items() if entry.kind == "directory" and path in available)
    return {**available, **overlay, **{path: available[path] for path in hidden}}


def programs_of(tree: Tree, definition: Definition) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The programs and the plugins to analyse: the command, and every ELF file that is declared to go in."""
    included = expand(tree, definition.files.include)
    executables, objects = loader.split_elf(tree, included)
    return (definition.run.command[0], *executables), (*expand(tree, definition.files.plugins), *objects)


def missing_libraries(definition: Definition) -> Callable[[Tree], tuple[str, ...]]:
    """What `gather` asks to know which further packages are needed: the libraries that `tree` lacks."""

    def missing(tree: Tree) -> tuple[str, ...]:
        programs, plugins = programs_of(tree, definition)
        run = definition.run
        return opened.missing(tree, programs, plugins, environment=run.environment, directory=run.directory)

    return missing


def analyse(tree: Tree, definition: Definition, hints: tuple[hinting.Hint, ...], store: Store) -> Needs:
    """What the application asks of the kernel, by its closure and with the hints that apply (`hints_for`)."""
    programs, plugins = programs_of(tree, definition)
    run = definition.run
    found = opened.complete(tree, programs, plugins, environment=run.environment, directory=run.directory)
    return analysis.analyse(tree, found.files, store, declared=definition.needs, hints=hints)


def hints_for(tree: Tree, definition: Definition, recipes: Path) -> tuple[hinting.Hint, ...]:
    """The hints whose conditions on files hold: Kiln's own and the definition's."""
    known = (*hinting.load(recipes), *map(hinting.of_entry, definition.hint))
    start = Start(definition.run.command, definition.run.environment)
    return hinting.applicable(known, tree, start)
