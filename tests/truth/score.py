"""How well an analysis fits a trace: missed calls with the edge that is missing, precision, recall, F1, gates."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from builder import analyse, paths
from builder.analyse.arguments import path_need
from builder.analyse.witness import shown
from builder.configure.recipes import Rule, load_rules
from builder.configure.request import matching
from builder.model import Needs, Tree
from builder.traced import Spot, TracedCall
from builder.value import Value
from tests.truth import symbols

RECIPES = Path(analyse.__file__).parents[2] / "recipes"


class Miss(Value, frozen=True):
    """A call that was made and not found, with where it was made and from where: `chain` innermost first."""

    name: str
    site: str
    chain: tuple[str, ...]
    count: int


class Score(Value, frozen=True):
    """One program: the calls found and made, what was missed, and the Kconfig symbols they switch on."""

    name: str
    static: tuple[str, ...]
    traced: tuple[str, ...]
    misses: tuple[Miss, ...]
    static_gates: tuple[str, ...]
    traced_gates: tuple[str, ...]
    unfound_files: tuple[str, ...] = ()  # opened by the program itself, not in the closure that was found for it
    unresolved: int = 0
    feature_misses: tuple[str, ...] = ()  # needs beyond numbers that were traced and not found
    reasons: tuple[str, ...] = ()  # why each gate and call is found that was not traced, with its best evidence

    any_call: tuple[str, ...] = ()  # places that could make any call, by what is known

    @property
    def missed(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.traced) - set(self.static)))

    @property
    def precision(self) -> float:
        return _share(set(self.static) & set(self.traced), self.static)

    @property
    def recall(self) -> float:
        return _share(set(self.static) & set(self.traced), self.traced)

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @property
    def gate_precision(self) -> float:
        return _share(set(self.static_gates) & set(self.traced_gates), self.static_gates)

    @property
    def extra_gates(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.static_gates) - set(self.traced_gates)))

    @property
    def missed_gates(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.traced_gates) - set(self.static_gates)))


def _share(part: Iterable[str], whole: Iterable[str]) -> float:
    size = len(set(whole))
    return len(set(part)) / size if size else 1.0


def score(
    name: str, tree: Tree, needs: Needs, calls: tuple[TracedCall, ...], unfound_files: tuple[str, ...] = ()
) -> Score:
    """The score of an analysis against the calls that the same program was seen to make."""
    ids = {need.id for need in needs.needs}
    traced_ids = set(traced_needs(calls))
    static, traced = set(needs.syscalls()), {call.name for call in calls}
    misses = [_miss(tree, _best(calls, missed)) for missed in sorted(traced - static)]
    beyond = {i for i in traced_ids if not i.startswith("syscall:")}
    return Score(
        name, tuple(sorted(static)), tuple(sorted(traced)), tuple(misses), gates(ids), gates(traced_ids),
        unfound_files, len(needs.unresolved), tuple(sorted(beyond - ids)),
        tuple(_reasons(needs, traced_ids)), tuple(_any(needs)),
    )  # fmt: skip


def _any(needs: Needs) -> Iterator[str]:
    for one in needs.unresolved:
        if "syscall:*" in one.assumed:
            yield f"{one.file}+{one.address:#x} ({one.function}): {one.why}"


def _reasons(needs: Needs, traced: set[str]) -> Iterator[str]:
    """A line for each need that was not traced: the gates it alone may bring, evidence, chain."""
    have = set(gates(traced))
    for need in needs.needs:
        if need.id not in traced:
            brings = [gate for gate in gates([need.id]) if gate not in have]
            for one in need.evidence[:1]:
                place = f"{one.function}@{one.file}+{one.address:#x}" if one.file else ""
                chain = f" < {' < '.join(reversed(one.chain))}" if one.chain else ""
                yield f"{need.id} [{' '.join(brings)}] {one.how} {place} ({need.sites} sites){chain}"


def _best(calls: tuple[TracedCall, ...], name: str) -> TracedCall:
    return max((call for call in calls if call.name == name), key=lambda call: (bool(call.site.file), call.count))


def _miss(tree: Tree, call: TracedCall) -> Miss:
    chain = tuple(_shown(tree, spot) for spot in call.callers)
    return Miss(call.name, _shown(tree, call.site), chain, call.count)


def _shown(tree: Tree, spot: Spot) -> str:
    if not spot.file:
        return "in no file"
    entry = paths.find(tree, spot.file)
    host = Path(entry.host) if entry else Path(spot.file)
    function = symbols.function_at(host, spot.address)
    return f"{spot.file}+{spot.address:#x} ({function})"


# ---- gates ----------------------------------------------------------------------------------------------------


def gates(ids: Iterable[str]) -> tuple[str, ...]:
    """The Kconfig symbols that needs switch on through recipes; those that every image has are left out."""
    wanted = tuple(sorted(i for i in ids if not i.startswith("image:")))
    always = {rule.name for rule in _rules() if rule.always}
    found = {r.name for r in _rules() if r.name and r.value != "n" and not r.always and matching(r, wanted)}
    return tuple(sorted(found - always))


@cache
def _rules() -> tuple[Rule, ...]:
    return load_rules(RECIPES)


def traced_needs(calls: Iterable[TracedCall]) -> Iterator[str]:
    """The need ids of traced calls: the call itself, what its arguments say, the path it names."""
    for call in calls:
        yield from shown(call)
        if call.text.startswith("/") and (need := path_need(call.text)):
            yield need
