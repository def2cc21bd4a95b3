"""What brings something in alone: dominators against the plain way, which is to take each node out and look again."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder import analysing
from builder.analyse import alone, dominators, needs, spots
from builder.analyse.hints import Hint, reached_with
from builder.analyse.reach import reach
from builder.analysing import Subject
from builder.analysing_alone import savings
from builder.analysis_documents import Saving
from builder.configure.recipes import Rule
from builder.definition import Declared
from builder.edges.store import Store
from tests.unit.analyse.programs import Build

RULES = (
    Rule("SIGNALFD", "y", "r", "s", "f", ("syscall:signalfd4",)),
    Rule("EVENTFD", "y", "r", "s", "f", ("syscall:eventfd2", "syscall:timerfd_create")),
)


def reachable(successors: Sequence[Sequence[int]], without: int = -1) -> set[int]:
    seen, todo = set(), [0] if without != 0 else []
    while todo:
        node = todo.pop()
        if node not in seen and node != without:
            seen.add(node)
            todo.extend(successors[node])
    return seen


graphs = st.integers(1, 14).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, size - 1), max_size=4), min_size=size, max_size=size)
)


@given(graphs)
@settings(max_examples=400)
def test_a_node_dominates_what_cannot_be_reached_without_it(successors: list[list[int]]) -> None:
    found = dominators.immediate(successors)
    everything = reachable(successors)
    for node in range(len(successors)):
        chain = set(dominators.chain(found, node))
        assert chain == (
            {n for n in everything if node not in reachable(successors, n)} if node in everything else set()
        )


@given(graphs)
def test_the_immediate_dominator_is_the_nearest(successors: list[list[int]]) -> None:
    found = dominators.immediate(successors)
    for node in reachable(successors) - {0}:
        others = set(dominators.chain(found, node)) - {node}
        assert others == set(dominators.chain(found, found[node]))


def test_a_deep_chain_needs_no_deep_stack() -> None:
    size = 50_000
    found = dominators.immediate([[i + 1] for i in range(size - 1)] + [[]])
    assert found == [0, *range(size - 1)]


@pytest.fixture(scope="module")
def subject(build: Build, store: Store) -> Subject:
    return analysing.load_file(str(build("alone.c", "-O1")), Path("/"), store)


@pytest.fixture(scope="module")
def found(subject: Subject) -> dict[str, Saving]:
    return {saving.function: saving for saving in savings(subject, RULES, frozenset())}


@pytest.mark.parametrize("hints", [(), (Hint("h", "alone", "r", functions=("first",)),)])
def test_every_place_that_the_analysis_counts_is_told(subject: Subject, hints: tuple[Hint, ...]) -> None:
    counted = needs.assess(subject.members, Declared(), hints=hints)
    reached = reach(subject.members)
    told = Counter(one.need for one in spots.told(reached_with(subject.members, hints, reached)[0]))
    implied = {f"syscall:{name}" for name in needs.KERNEL_IMPLIES}
    assert {n.id: n.sites for n in counted.needs if n.id not in implied} == {
        need: count for need, count in told.items() if need not in implied
    }
    assert ("syscall:timerfd_create" in told) == (not hints)


def test_the_graph_holds_exactly_what_can_run(subject: Subject) -> None:
    graph = alone.Graph(subject.reached)
    seen = {graph.labels[n] for n in reachable(graph.successors)}
    assert subject.reached.parents.keys() <= seen
    assert all(isinstance(label[1], tuple) for label in seen - subject.reached.parents.keys() if label)


def test_a_function_that_a_hint_takes_out_brings_in_nothing(subject: Subject) -> None:
    """`both` still refers to `first`; `sync` then hangs on `second` alone."""
    hint = Hint("h", "alone", "r", functions=("first",))
    reached, held = reached_with(subject.members, (hint,), reach(subject.members))
    assert held == ("h",)
    found = alone.losses(reached, spots.told(reached), {})
    lost = {alone.named(reached, node): loss.needs for loss in found for node in loss.nodes}
    assert "first@alone" not in lost
    assert {"syscall:sync", "syscall:eventfd2"} <= lost["second@alone"]


def test_the_topmost_function_is_told_with_the_library_function_it_leads_to(found: dict[str, Saving]) -> None:
    saving = found["only_signals@alone"]
    assert saving.library == "signalfd@libc.so.6"
    assert saving.options == ("SIGNALFD",)
    assert saving.syscalls == ("signalfd4",)
    assert saving.hint.splitlines()[:2] == ["[[hint]]", 'function = "only_signals@alone"']


def test_a_need_with_two_places_goes_only_with_what_both_hang_on(found: dict[str, Saving]) -> None:
    assert "sync" not in {
        call for name in ("first@alone", "second@alone") if name in found for call in found[name].syscalls
    }
    assert "sync" in found["both@alone"].syscalls


def test_an_option_goes_when_all_needs_that_keep_it_go(found: dict[str, Saving]) -> None:
    assert found["both@alone"].options == ("EVENTFD",)
    assert "timerfd_create" in found["first@alone"].syscalls
    assert found["first@alone"].options == ()


def test_options_come_first(found: dict[str, Saving]) -> None:
    counts = [len(saving.options) for saving in found.values()]
    assert counts == sorted(counts, reverse=True)


def test_options_that_stay_anyway_are_not_promised(subject: Subject) -> None:
    assert all(saving.options != ("SIGNALFD",) for saving in savings(subject, RULES, frozenset({"SIGNALFD"})))


def test_what_the_whole_program_hangs_on_is_left_out(found: dict[str, Saving]) -> None:
    assert not {"main@alone", "_start@alone"} & found.keys()


def test_every_loss_is_what_taking_the_function_out_really_loses(subject: Subject) -> None:
    """The plain way, for every function of the list."""
    graph = alone.Graph(subject.reached)
    losses = alone.losses(subject.reached, subject.told, {})
    assert len(losses) > 20
    for loss in losses:
        left = reachable(graph.successors, graph.numbers[loss.nodes[0]])
        alive = {one.need for one in subject.told if _alive(graph, left, one.node) and _alive(graph, left, one.made)}
        assert loss.needs == {one.need for one in subject.told} - alive


def _alive(graph: alone.Graph, left: set[int], node: tuple[int, int] | None) -> bool:
    return node is None or graph.numbers[node] in left
