"""The command behind `invoke analyse`: an image's application, or any file, against a trace, against what was."""

import difflib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import UNSET

from builder import against, agent_costs, analysing, analysing_alone, commands, comparing, explaining
from builder.analyse import witness
from builder.analysing import Subject
from builder.analysis_documents import Analysis, Call, Feature
from builder.cli import emit
from builder.configure import recipes
from builder.configure.recipes import Rule
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.pipeline import Place
from builder.report import analysis as page
from builder.report import difference
from builder.report import explain as explanations
from builder.trace import document


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
    if asked.against:
        _difference(place, asked, subject, rules, as_json=as_json, started=started)
        return
    found = analysing.document(subject, rules, traced)
    if asked.alone:
        kept = analysing_alone.kept_anyway(place, subject, store)
        found = msgspec.structs.replace(found, alone=analysing_alone.savings(subject, rules, kept))
    elif subject.definition is not None and not asked.syscall:
        found = msgspec.structs.replace(
            found, agent_cost=agent_costs.of_image(place, subject, subject.definition, store)
        )
    found = msgspec.structs.replace(found, seconds=round(time.monotonic() - started, 3))
    if as_json:
        emit(found)
    elif asked.syscall:
        print("\n".join(_one(found, asked.syscall)))  # noqa: T201
    elif found.alone is not UNSET:
        print(page.alone(found.alone, verbose=asked.verbose))  # noqa: T201
    else:
        print(page.render(found, verbose=asked.verbose))  # noqa: T201


def _one(found: Analysis, name: str) -> list[str]:
    """One system call (or another need) with all its evidence. Raises DefinitionError where it is not there."""
    needs: list[Call | Feature] = [*found.syscalls, *found.features]
    one = next((need for need in needs if need.name == name.removeprefix(analysing.CALL)), None)
    if one is None:
        near = difflib.get_close_matches(name, [need.name for need in needs], 3)
        raise DefinitionError(
            f"{name}: {found.subject} does not ask for it", f"near it: {', '.join(near)}" * bool(near)
        )
    options = [option.name for option in found.options if {name, analysing.CALL + name} & set(option.needs)]
    lines = [f"{one.name}: asked for", *explanations.asker(one)]
    return [*lines, f"  options it asks for: {', '.join(options) or 'none'}"]


def _difference(
    place: Place, asked: Asked, subject: Subject, rules: tuple[Rule, ...], *, as_json: bool, started: float
) -> None:
    """Print what comes and goes since the version that `--against` names."""
    if asked.app:
        old = against.old_app(place, asked.app, asked.against, rules, subject.store)
    else:
        old = against.old_file(asked.against, Path(asked.root or "/"), rules, subject.store)
    found = comparing.difference(old, against.side(subject.name, subject, rules))
    found = msgspec.structs.replace(found, seconds=round(time.monotonic() - started, 3))
    if as_json:
        emit(found)
    else:
        print(difference.render(found))  # noqa: T201


def _consistent(asked: Asked) -> None:
    if bool(asked.app) == bool(asked.file):
        raise DefinitionError("analyse wants one of --app and --file", "see ./invoke --help analyse")
    if asked.root and not asked.file:
        raise DefinitionError("--root goes with --file", "an image's files are those of its lock")
    if asked.against and (asked.alone or asked.syscall or asked.with_trace):
        raise DefinitionError("--against goes with none of --alone, --syscall and --with-trace", "ask one at a time")
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
    trace = document.read(place.images / subject.name)
    if trace is None:
        hint = f"record one: ./invoke trace --app {subject.name}"
        raise DefinitionError(f"images/{subject.name}/{document.NAME}: there is no trace", hint)
    expected = frozenset(need.id for need in subject.needs.needs)
    return witness.check(subject.name, trace.calls, expected, lambda: subject.reached)


def explain(checkout: Path, app: str, wish: Mapping[str, str], *, as_json: bool) -> None:
    """Print why a system call, another need, an option, a file or a package is in an image."""
    asked = {kind: value for kind, value in wish.items() if value}
    kind = next(iter(asked), "")
    if len(asked) != 1 or kind not in ("syscall", "need"):
        commands.explain(checkout, app, asked, as_json=as_json)
        return
    place, store = Place(checkout), Store()
    name = analysing.CALL + asked[kind] if kind == "syscall" else asked[kind]
    found = explaining.need(place, app, name, store)
    lines = explanations.need(found, explaining.known(place, app, store))
    if as_json:
        emit(msgspec.structs.replace(found, explanation=tuple(lines)))
    else:
        print("\n".join(lines))  # noqa: T201
