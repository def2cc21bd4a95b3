"""Every place that gives a need, one by one: `needs` keeps the best few, questions about all of them are asked here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.analyse.arguments import path_need
from builder.analyse.needs import assumed_of, needs_of, taken_out
from builder.analyse.reach import Member, Node, Reached
from builder.analyse.sinks import Finding, findings
from builder.model import Evidence

How = Literal["constant", "passed", "named", "assumed"]


@dataclass(frozen=True)
class Told:
    """A need and a place that gives it: it is there while both `node`, which decides on the value, and `made`, which
    has the instruction, can run. None: in data that is no node, which nothing removes."""

    need: str
    node: Node | None
    made: Node | None
    how: How


def told(reached: Reached) -> tuple[Told, ...]:
    """Every need with every place that reachable code gives it."""
    every = list(findings(reached, reached.calls()))
    found = list(_found(reached, every))
    known: dict[str, list[Evidence]] = {one.need: [] for one in found}
    for finding in every:
        if finding.values is None:
            for need in assumed_of(reached, known, finding)[0]:
                if not taken_out(reached, finding, need):
                    known.setdefault(need, [])
                    found.append(Told(need, finding.node, finding.made[0], "assumed"))
    return (*found, *_paths(reached), *_legacy(reached))


def _found(reached: Reached, all_: Iterable[Finding]) -> Iterator[Told]:
    for finding in all_:
        if finding.values is not None:
            how: How = "constant" if (finding.node, finding.address) == finding.made else "passed"
            for need in needs_of(reached, finding, finding.values):
                if need and not taken_out(reached, finding, need):
                    yield Told(need, finding.node, finding.made[0], how)


def _paths(reached: Reached) -> Iterator[Told]:
    for i, member in enumerate(reached.members):
        for unit, text in member.summary.paths:
            node = (i, unit)
            need, places = path_need(text), (node, (i, -1))
            if unit >= 0 and any((place, what) in reached.cut.needs for place in places for what in (need, text)):
                continue
            if need and (unit < 0 or reached.names(node, text)):
                yield Told(need, None if unit < 0 else node, None, "named")


def _legacy(reached: Reached) -> Iterator[Told]:
    for i, member in enumerate(reached.members):
        for unit, _ in member.summary.legacy:
            if (i, unit) in reached.parents:
                yield Told("exec:i386 int 0x80", (i, unit), (i, unit), "constant")


def only_assumed(places: Sequence[Told]) -> frozenset[str]:
    """Needs that no place gives for certain: each of theirs is one the analysis could not decide."""
    certain = {one.need for one in places if one.how != "assumed"}
    return frozenset(one.need for one in places if one.need not in certain)


def how_found(evidence: Evidence, members: Mapping[str, Member]) -> str:
    """How the number or argument was found, in the words of `analysis_documents.HOW`; `members` by path."""
    says = evidence.how
    if says.startswith("assumed:"):
        return "assumed: unresolved"
    if says.startswith(("declared in", "image.toml")):
        return "declared"
    if not evidence.file:
        return "implied by the kernel"
    if says.startswith("names "):
        return "named by code or data"
    member = members.get(evidence.file)
    if member is None:
        return "found"
    at = {call.address for call in member.summary.calls} | {address for _, address in member.summary.legacy}
    return "constant at the instruction" if evidence.address in at else "passed by a caller"


def by_path(members: Sequence[Member]) -> dict[str, Member]:
    """Members by the path of their file."""
    return {member.file.path: member for member in members}
