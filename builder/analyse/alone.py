"""What brings a need in alone: functions without which it would go, by dominators of the graph of what can run.

A function's removal takes away what only it leads to. A need goes when all places that give it go; a place goes with
the code that decides on the value or with the instruction itself.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from builder.analyse import dominators
from builder.analyse.reach import Node, Reached, asked_by_name, starts
from builder.analyse.spots import Told

Import = tuple[int, Node]  # a file, and what it uses of another
ROOT = 0


@dataclass(frozen=True)
class Loss:
    """What goes when something is removed. `nodes`: what loses exactly this, functions and tables of functions, the
    topmost first; entries of linkage tables are left out. `users`: files that alone use one of these functions of
    another file. `needs` and `options` are those that go."""

    nodes: tuple[Node, ...]
    users: tuple[int, ...]
    needs: frozenset[str]
    options: frozenset[str]


@dataclass
class Graph:
    """What can run, numbered: a root, the nodes, and one more for each file's use of another file's function."""

    reached: Reached
    numbers: dict[Node | Import, int] = field(default_factory=dict)
    labels: list[Node | Import | None] = field(default_factory=lambda: [None])
    successors: list[list[int]] = field(default_factory=lambda: [[]])

    def __post_init__(self) -> None:
        for node in self.reached.parents:
            self._number(node)
        begun = [node for i, member in enumerate(self.reached.members) for node, _ in starts(self.reached, i, member)]
        begun += [node for node, _ in asked_by_name(self.reached)]
        begun += [node for node, (by, _) in self.reached.parents.items() if by is None]
        self.successors[ROOT] = [self.numbers[node] for node in begun if node in self.numbers]  # a hint may cut a start
        for node in self.reached.parents:
            self.successors[self.numbers[node]] += self._onward(node)

    def _number(self, label: Node | Import) -> int:
        if label not in self.numbers:
            self.numbers[label] = len(self.labels)
            self.labels.append(label)
            self.successors.append([])
        return self.numbers[label]

    def _onward(self, node: Node) -> Iterator[int]:
        for target in self.reached.onward(*node):
            if target not in self.reached.parents:
                continue  # a hint takes it out: it is referred to, and never entered
            if target[0] == node[0]:
                yield self.numbers[target]
            else:
                between = self._number((node[0], target))
                if not self.successors[between]:
                    self.successors[between].append(self.numbers[target])
                yield between

    @cached_property
    def dominators(self) -> list[int]:
        """Immediate dominators by number."""
        return dominators.immediate(self.successors, ROOT)

    def chain(self, number: int) -> Iterator[int]:
        """A number and its dominators, nearest first, the root last."""
        return dominators.chain(self.dominators, number)

    def above(self, node: Node) -> frozenset[int]:
        """Everything whose removal takes a node away, itself included."""
        return frozenset(self.chain(self.numbers[node])) - {ROOT}

    def sizes(self) -> dict[int, dict[int, int]]:
        """By number, how many nodes of each file it takes away."""
        found: dict[int, dict[int, int]] = {}
        for node in self.reached.parents:
            for above in self.above(node):
                counts = found.setdefault(above, {})
                counts[node[0]] = counts.get(node[0], 0) + 1
        return found


def losses(
    reached: Reached, told: Sequence[Told], options: Mapping[str, Iterable[str]], fixed: frozenset[str] = frozenset()
) -> tuple[Loss, ...]:
    """What each function and table brings in alone, most options first, then most needs.

    `options` are kernel options by name with the needs any one of which keeps them; `fixed` are needs that stay
    whatever is removed. What loses exactly the same as its dominator is told with it; what most of a program hangs
    on, such as its main function, is left out.
    """
    graph = Graph(reached)
    needs = {need: killers for need, killers in _killers(graph, told).items() if need not in fixed}
    gone: dict[int, tuple[set[str], set[str]]] = {}
    for need, killers in needs.items():
        for killer in killers:
            gone.setdefault(killer, (set(), set()))[0].add(need)
    for option, keeping in options.items():
        all_ = [needs.get(need, frozenset()) for need in keeping]
        for killer in frozenset.intersection(*all_) if all_ else ():
            gone[killer][1].add(option)
    trunk = _trunk(graph)
    groups: dict[int, list[int]] = {}
    for number in sorted(gone.keys() - trunk, key=lambda n: len(list(graph.chain(n)))):
        groups.setdefault(_top(graph, gone, trunk, number), []).append(number)
    found = [_loss(graph, members, *gone[top]) for top, members in groups.items()]
    return tuple(sorted((x for x in found if x.nodes), key=lambda x: (-len(x.options), -len(x.needs), x.nodes)))


def _killers(graph: Graph, told: Sequence[Told]) -> dict[str, frozenset[int]]:
    """By need, the numbers whose removal takes all its places away."""
    found: dict[str, frozenset[int]] = {}
    above: dict[Node | None, frozenset[int]] = {None: frozenset()}
    for one in told:
        for node in (one.node, one.made):
            if node not in above and node is not None:
                above[node] = graph.above(node)
        kill = above[one.node] | above[one.made]
        found[one.need] = found[one.need] & kill if one.need in found else kill
    return found


def _trunk(graph: Graph) -> frozenset[int]:
    """Numbers that take away more than half of what can run of a program's own file."""
    total: dict[int, int] = {}
    for file, _ in graph.reached.parents:
        total[file] = total.get(file, 0) + 1
    programs = [i for i, m in enumerate(graph.reached.members) if m.file.why == "program"]
    sizes = graph.sizes()
    return frozenset(n for n, counts in sizes.items() if any(2 * counts.get(i, 0) > total[i] for i in programs))


Gone = Mapping[int, tuple[set[str], set[str]]]


def _top(graph: Graph, gone: Gone, trunk: frozenset[int], number: int) -> int:
    """The furthest dominator that loses exactly the same."""
    while (parent := graph.dominators[number]) not in trunk and parent != ROOT and gone.get(parent) == gone[number]:
        number = parent
    return number


def _loss(graph: Graph, numbers: Sequence[int], needs: Iterable[str], options: Iterable[str]) -> Loss:
    labels = [graph.labels[number] for number in numbers]
    nodes = [label for label in labels if label is not None and not isinstance(label[1], tuple)]
    users = [label[0] for label in labels if label is not None and isinstance(label[1], tuple)]
    real = tuple(n for n in nodes if n[1] not in graph.reached.members[n[0]].summary.stubs)
    return Loss(real, tuple(dict.fromkeys(users)), frozenset(needs), frozenset(options))


def named(reached: Reached, node: Node) -> str:
    """`symbol@file` as a hint names it, by soname or file name; empty where the node has no name of its own."""
    summary, file = reached.members[node[0]].summary, reached.members[node[0]].file
    if node[1] not in summary.names:
        return ""
    return f"{summary.names[node[1]]}@{summary.soname or posixpath.basename(file.path)}"


def is_function(reached: Reached, node: Node) -> bool:
    """Whether a node is code, not a table that holds pointers to code."""
    return node[1] < reached.members[node[0]].summary.units


def shown(reached: Reached, node: Node) -> str:
    """`symbol@file` for reading, with a name made from the address where there is no other."""
    member = reached.members[node[0]]
    return f"{member.summary.name(node[1])}@{member.summary.soname or posixpath.basename(member.file.path)}"
