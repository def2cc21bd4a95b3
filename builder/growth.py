"""What a build asks for beyond the last good image, shown before anything is made; refused where the policy says so."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from builder.analyse import implied
from builder.analysing import switched_on
from builder.configure import recipes
from builder.console import Console
from builder.definition import Definition
from builder.documents import ImageNeeds
from builder.edges.content import write_whole
from builder.errors import DefinitionError, PolicyError
from builder.model import Need, Needs
from builder.pipeline import Inspect, Place
from builder.results import load
from builder.value import SCHEMA_VERSION, Value

APPROVED = "approved.json"
MOST_LINES = 12


class Approved(Value, frozen=True):
    """`images/<app>/approved.json`: the needs of the application that somebody has agreed to."""

    needs: tuple[str, ...]
    schema: int = SCHEMA_VERSION


def approved(place: Place, app: str) -> Approved | None:
    """What was approved for an image, None where nothing was. Raises DefinitionError for a file that is none."""
    path = place.images / app / APPROVED
    try:
        return msgspec.json.decode(path.read_bytes(), type=Approved)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        where = f"images/{app}/{APPROVED}"
        raise DefinitionError(f"{where}: {error}", f"restore it, or ./invoke approve --app {app}") from error


def approve(place: Place, app: str, needs: Needs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write what an application asks for now as approved; returns what that adds and what it takes out."""
    before = known.needs if (known := approved(place, app)) else ()
    now = tuple(sorted(need.id for need in needs.needs))
    data = msgspec.json.format(msgspec.json.encode(Approved(now)), indent=1) + b"\n"
    write_whole(Path(place.images / app / APPROVED), data)
    return tuple(n for n in now if n not in before), tuple(n for n in before if n not in now)


def inspector(place: Place, app: str, console: Console) -> Inspect:
    """What `pipeline.build` calls once the needs are known. It raises PolicyError for growth that is not approved."""

    def inspect(definition: Definition, needs: Needs) -> None:
        wanted = implied.merge(needs.needs, implied.by_definition(definition))
        if (last := _last(place, app)) is not None:
            _tell(place, [n for n in wanted if n.id not in last], sorted(last - {n.id for n in wanted}), console)
        if definition.policy.growth == "approved":
            _check(place, app, needs)

    return inspect


def _last(place: Place, app: str) -> frozenset[str] | None:
    """The needs of the last good image, None where there is none."""
    try:
        image = load(place, app, ImageNeeds)
    except DefinitionError:
        return None
    return frozenset(need.id for need in (*image.application.needs, *image.definition))


def _tell(place: Place, more: Sequence[Need], fewer: Sequence[str], console: Console) -> None:
    """A line for every need that the last image had not, with the options it brings and who asks."""
    rules = recipes.load_rules(place.recipes) if more else ()
    for need in more[:MOST_LINES]:
        console.note(f"    + {need.id}{_because(need)}{_brings(rules, need)}")
    if len(more) > MOST_LINES:
        console.note(f"    + and {len(more) - MOST_LINES} more than the last image")
    if fewer:
        shown = ", ".join(fewer[:MOST_LINES])
        console.note(f"    - {shown}{' …' if len(fewer) > MOST_LINES else ''}: no longer asked for")


def _because(need: Need) -> str:
    if not need.evidence:
        return ""
    found = need.evidence[0]
    return f": {' → '.join(found.chain[-3:])}" if found.chain else f": {found.how}"


def _brings(rules: tuple[recipes.Rule, ...], need: Need) -> str:
    options = [option.name for option in switched_on(rules, {need.id: "reachable"})]
    return f"; brings {', '.join(options[:4])}" if options else ""


def _check(place: Place, app: str, needs: Needs) -> None:
    known = approved(place, app)
    more = sorted({need.id for need in needs.needs} - set(known.needs if known else ()))
    if not more:
        return
    shown = ", ".join(more[:MOST_LINES]) + (f" and {len(more) - MOST_LINES} more" if len(more) > MOST_LINES else "")
    what = "it asks for what nobody has approved" if known else "nothing is approved yet"
    raise PolicyError(f"{app}: {what}: {shown}", f"if this is meant to be: ./invoke approve --app {app}, and commit it")
