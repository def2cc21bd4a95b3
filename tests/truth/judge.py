"""From a program and its trace to a score: resolves the closure, analyses, and compares."""

import shutil
from collections.abc import Callable
from pathlib import Path

from builder import paths
from builder.analyse import needs, plugins
from builder.analyse.configured import Start
from builder.analyse.hints import Hint, applicable, load
from builder.edges.store import Store
from builder.model import ClosureFile, File, Needs, Tree
from builder.traced import Trace
from builder.value import Value
from tests.truth import machine, small
from tests.truth.score import RECIPES, Score, score


class Case(Value, frozen=True):
    """What is analysed: a program in a tree of files, with what its definition would name as plugins, and how it is
    started where its whole configuration is known."""

    name: str
    program: str
    tree: Tree
    plugins: tuple[str, ...] = ()
    start: Start | None = None


class Truth(Value, frozen=True):
    """A case and what it was seen to do."""

    case: Case
    trace: Trace


def analysed(case: Case, store: Store, *, hinted: bool = False) -> Needs:
    """The needs of a case, found as a build finds them; with the shipped hints if so wished."""
    hints = shipped(case) if hinted else ()
    return needs.analyse(case.tree, closure_of(case), store, hints=hints)


def closure_of(case: Case) -> tuple[ClosureFile, ...]:
    """The files that a build finds for a case: what the loader maps and what is surely opened besides."""
    return plugins.complete(case.tree, (case.program,), case.plugins).files


def shipped(case: Case) -> tuple[Hint, ...]:
    """The hints of recipes/ that apply; those on configuration only where the case's is known."""
    start = case.start or Start((case.program,), machine.ENVIRONMENT)
    found = applicable(load(RECIPES), case.tree, start)
    return tuple(hint for hint in found if case.start or not (hint.lacks or hint.has))


def forget_results(store: Store) -> None:
    """Drop the analyses of a store and keep its summaries of files."""
    shutil.rmtree(store.root / "needs", ignore_errors=True)


def unfound(truth: Truth) -> tuple[str, ...]:
    """Files that the program mapped and that its closure lacks: it opened them by itself."""
    tree = truth.case.tree
    known = {real(tree, file.path) for file in closure_of(truth.case)}
    return tuple(sorted(path for path in truth.trace.files if real(tree, path) not in known))


def real(tree: Tree, path: str) -> str:
    """A path with all links followed."""
    found = paths.follow(tree, path)
    return found[0] if found else path


def judged(truth: Truth, store: Store, *, hinted: bool = False) -> Score:
    """The score of the analysis of a case. Files that the closure lacks are listed and analysed as plugins, so that
    every call that is missed is one the analysis of files has missed."""
    lacking = unfound(truth)
    tree = dict(truth.case.tree)
    for path in lacking:
        if paths.find(tree, path) is None and Path(path).is_file():
            tree[path] = File(path, "file", 0o755, host=path)
    more = tuple(path for path in lacking if paths.find(tree, path))
    case = Case(truth.case.name, truth.case.program, tree, (*truth.case.plugins, *more), truth.case.start)
    return score(case.name, tree, analysed(case, store, hinted=hinted), truth.trace.calls, lacking)


def small_case(program: small.Small) -> Case:
    """A program of this machine among this machine's libraries."""
    return Case(program.name, program.real, machine.with_program(Path(program.real)))


def small_truth(program: small.Small, folder: Path) -> Truth:
    """A small program, run and traced now."""
    return Truth(small_case(program), small.record(program, folder))


def applies(trace: Trace, tree: Tree, digest: Callable[[Path], str]) -> bool:
    """Whether a kept trace was recorded of the very files that a tree has."""
    entries = {path: paths.find(tree, path) for path in trace.files}
    return all(e is not None and (e.sha256 or digest(Path(e.host))) == trace.files[p] for p, e in entries.items())
