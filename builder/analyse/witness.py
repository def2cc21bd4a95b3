"""A trace as the analysis' witness: what it shows must have been expected, and where it was not, which edge is missing.

A trace can only show that the analysis is wrong, never that it is right. What is missed is told as specifically as the
trace allows: the site of the call, and the innermost caller on the stack that the analysis had reached.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from builder.analyse.reach import Node, Reached
from builder.analyse.telling import needs as needs_of
from builder.analyse.telling import places, rules
from builder.errors import AnalysisError
from builder.traced import Spot, TracedCall
from builder.value import Value


class Miss(Value, frozen=True):
    """A need that a trace shows and the analysis lacks. `where` is the system call instruction's place and function,
    `edge` the missing step: from which reached function to which that was not."""

    need: str
    where: str
    edge: str


def shown(call: TracedCall) -> Iterator[str]:
    """The need ids of a traced call: the call itself and what its arguments say. Paths are not among them: files are
    opened by names that no file of the program need contain."""
    yield f"syscall:{call.name}"
    for number, rule in enumerate(rules(call.name)):
        values = tuple(call.arguments[p] for p in places(rule) if p in call.arguments)
        if len(values) == len(places(rule)) or (rule.kind == "text" and call.text):
            yield from needs_of(call.name, number, values or (0,), call.text)


def misses(calls: Iterable[TracedCall], expected: frozenset[str], reached: Reached) -> Iterator[Miss]:
    """What a trace shows and `expected` lacks, once for each need."""
    told: set[str] = set()
    for call in calls:
        for need in shown(call):
            if need not in expected and need not in told:
                told.add(need)
                yield Miss(need, _place(reached, call.site), _edge(reached, call))


def check(
    app: str, calls: Sequence[TracedCall], expected: frozenset[str], reached: Callable[[], Reached]
) -> frozenset[str]:
    """The needs that a trace shows. Raises AnalysisError when the analysis had not expected one of them, with the
    missing step of each; `reached` is asked for only then."""
    seen = frozenset(need for call in calls for need in shown(call))
    if seen <= expected:
        return seen
    missed = list(misses(calls, expected, reached()))
    first = missed[0]
    raise AnalysisError(
        f"{app}: its trace shows {len(missed)} needs the analysis lacks; {first.need} at {first.where}: {first.edge}",
        "if the file changed since, record the trace again; otherwise this is an error of the analysis or a wrong hint",
        tail="\n".join(f"{miss.need}  {miss.where}: {miss.edge}" for miss in missed),
    )


def _node(reached: Reached, spot: Spot) -> Node | None:
    for i, member in enumerate(reached.members):
        if member.file.path == spot.file:
            unit = member.summary.unit_at(spot.address)
            return (i, unit) if unit >= 0 else None
    return None


def _place(reached: Reached, spot: Spot) -> str:
    node = _node(reached, spot)
    if node is None:
        return f"{spot.file or 'code of no file'}+{spot.address:#x}"
    return f"{reached.members[node[0]].summary.name(node[1])}@{spot.file}+{spot.address:#x}"


def _edge(reached: Reached, call: TracedCall) -> str:
    """The step of the stack from a function that was reached to one that was not, in words."""
    inner = _node(reached, call.site)
    if inner is None:
        return f"{call.site.file or 'code of no file'} is not in the closure: name it in files.plugins"
    if inner in reached.parents:
        return "the function is reached, but the number or argument was not among its values"
    below = call.site
    for spot in call.callers:
        node = _node(reached, spot)
        if node is not None and node in reached.parents:
            return f"{_place(reached, spot)} is reached, {_place(reached, below)} called from it is not"
        if node is not None:
            below = spot
    return f"no caller of {_place(reached, below)} on the stack is reached"
