"""The command behind `invoke analyse`: an image's application, or any file, against a trace, against what was."""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import UNSET

from builder import analysing, analysing_alone
from builder.analyse import witness
from builder.analysing import Subject
from builder.cli import emit
from builder.configure import recipes
from builder.edges.store import Store
from builder.errors import AnalysisError, DefinitionError
from builder.pipeline import Place
from builder.report import analysis as page
from builder.traced import Trace


@dataclass(frozen=True)
class Asked:
    """What the command line asks; empty means: not asked."""

    app: str = ""
    file: str = ""
    root: str = ""
    against: str = ""
    syscall: str = ""
    with_trace: bool = False
    alone: bool = False
    verbose: bool = False


def analyse(checkout: Path, asked: Asked, *, as_json: bool) -> None:
    """Print what an application or a file asks of the kernel."""
    started = time.monotonic()
    _consistent(asked)
    place, store = Place(checkout), Store()
    subject = load(place, asked, store)
    traced = shown_by_trace(place, subject) if asked.with_trace else None
    rules = recipes.load_rules(place.recipes)
    found = analysing.document(subject, rules, traced)
    if asked.alone:
        kept = analysing_alone.kept_anyway(place, subject, store)
        found = msgspec.structs.replace(found, alone=analysing_alone.savings(subject, rules, kept))
    found = msgspec.structs.replace(found, seconds=round(time.monotonic() - started, 3))
    if as_json:
        emit(found)
    elif found.alone is not UNSET:
        print(page.alone(found.alone, verbose=asked.verbose))  # noqa: T201
    else:
        print(page.render(found, verbose=asked.verbose))  # noqa: T201


def _consistent(asked: Asked) -> None:
    if bool(asked.app) == bool(asked.file):
        raise DefinitionError("analyse wants one of --app and --file", "see ./invoke --help analyse")
    if asked.root and not asked.file:
        raise DefinitionError("--root goes with --file", "an image's files are those of its lock")
    if asked.with_trace and not asked.app:
        raise DefinitionError("--with-trace goes with --app", "a trace is recorded of an image: ./invoke trace")


def load(place: Place, asked: Asked, store: Store) -> Subject:
    """What is asked about, analysed."""
    if asked.app:
        return analysing.load_app(place, asked.app, store)
    return analysing.load_file(asked.file, Path(asked.root or "/"), store)


def shown_by_trace(place: Place, subject: Subject) -> frozenset[str]:
    """The needs that the image's trace shows. Raises DefinitionError without a trace, AnalysisError when it shows
    what the analysis had not expected."""
    path = place.images / subject.name / "trace.json"
    name = f"images/{subject.name}/trace.json"
    try:
        trace = msgspec.json.decode(path.read_bytes(), type=Trace)
    except FileNotFoundError as error:
        hint = f"record one: ./invoke trace --app {subject.name}"
        raise DefinitionError(f"{name}: there is no trace", hint) from error
    except msgspec.DecodeError as error:
        raise DefinitionError(f"{name}: {error}", "record it again: ./invoke trace") from error
    expected = frozenset(need.id for need in subject.needs.needs)
    shown = frozenset(need for call in trace.calls for need in witness.shown(call))
    if not shown <= expected:
        missed = list(witness.misses(trace.calls, expected, subject.reached))
        first = missed[0]
        raise AnalysisError(
            f"{subject.name}: its trace shows {len(missed)} needs the analysis lacks; {first.need} at {first.where}: "
            f"{first.edge}",
            "if the file changed since, record the trace again; otherwise this is an error of the analysis or a wrong "
            "hint",
            tail="\n".join(f"{miss.need}  {miss.where}: {miss.edge}" for miss in missed),
        )
    return shown
