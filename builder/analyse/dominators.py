"""Dominators of a graph: the nodes every path to a node passes (pure).

The algorithm is that of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
"""

from collections.abc import Iterator, Sequence


def immediate(successors: Sequence[Sequence[int]], root: int = 0) -> list[int]:
    """For each node the nearest other node that every path from the root to it passes; the root's is itself, and
    that of a node no path leads to is -1. `successors` are by node number."""
    order, position = _postorder(successors, root)
    before: list[list[int]] = [[] for _ in successors]
    for node in order:
        for target in successors[node]:
            before[target].append(node)
    found = [-1] * len(successors)
    found[root] = root
    changed = True
    while changed:
        changed = False
        for node in reversed(order):
            if node == root:
                continue
            best = -1
            for other in before[node]:
                if found[other] >= 0:
                    best = other if best < 0 else _common(found, position, best, other)
            if found[node] != best:
                found[node] = best
                changed = True
    return found


def _common(found: Sequence[int], position: Sequence[int], one: int, other: int) -> int:
    """The nearest node that dominates both: walk up from whichever is further from the root."""
    while one != other:
        while position[one] < position[other]:
            one = found[one]
        while position[other] < position[one]:
            other = found[other]
    return one


def _postorder(successors: Sequence[Sequence[int]], root: int) -> tuple[list[int], list[int]]:
    """The nodes that can be reached, each after those it leads to first, and each node's place in that order."""
    order: list[int] = []
    position = [-1] * len(successors)
    seen = bytearray(len(successors))
    seen[root] = 1
    stack: list[tuple[int, Iterator[int]]] = [(root, iter(successors[root]))]
    while stack:
        node, rest = stack[-1]
        for target in rest:
            if not seen[target]:
                seen[target] = 1
                stack.append((target, iter(successors[target])))
                break
        else:
            position[node] = len(order)
            order.append(node)
            stack.pop()
    return order, position


def chain(found: Sequence[int], node: int) -> Iterator[int]:
    """A node and all that dominate it, nearest first, the root last."""
    while found[node] >= 0:
        yield node
        if found[node] == node:
            return
        node = found[node]
