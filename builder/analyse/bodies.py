"""Functions whose parameters decide what of them runs, taken out of a file as `Body`s (pure)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

import msgspec

from builder.analyse import elf
from builder.analyse.arch import Step, Unit
from builder.analyse.body import Block, Body
from builder.analyse.bound import unseen
from builder.analyse.decode import Reader
from builder.analyse.sites import Call, Site
from builder.analyse.telling import ASKED
from builder.analyse.units import Code

TABLE = 2048  # bytes of constants that are kept from a place on: more than the longest jump table in use
Refers = Callable[[Unit], tuple[set[int], set[int], set[str]]]  # nodes, imports and system paths a stretch refers to


def bodies(
    reader: Reader,
    code: Code,
    functions: Mapping[str, int],
    found: tuple[Iterable[Call], Iterable[Site]],
    refers: Refers,
) -> dict[int, Body]:
    """The bodies, by unit, of those of a file's functions (by name) whose parameters decide what runs. What cannot be
    told apart (code that is not read straight on, an architecture without known flags) is left out: it runs whole."""
    calls, sites = found
    places = [reader.arch.convention.registers[p] for p in reader.arch.convention.parameters]
    wanted = {
        i: tuple(places[p] for p in parameters)
        for name, parameters in ASKED.items()
        if (i := code.index(functions.get(name, -1))) >= 0 and code.starts[i] == functions[name]
    }
    asked: dict[int, dict[int, set[str]]] = {i: {} for i in wanted}
    registers = [reader.arch.convention.registers[r] for r in reader.arch.convention.arguments]
    number = reader.arch.convention.registers[reader.arch.convention.number]
    for call in calls:
        if call.unit in asked:
            asked[call.unit].setdefault(call.address, set()).update({number, *(registers[p] for p in call.arguments)})
    for site in sites:
        if site.unit in asked:
            asked[site.unit].setdefault(site.address, set()).update(site.values)
    made = {i: _body(reader, code, i, wanted[i], asked[i], code.endless, refers) for i in wanted}
    return {i: body for i, body in made.items() if body is not None}


def _body(
    reader: Reader,
    code: Code,
    i: int,
    parameters: tuple[str, ...],
    asked: Mapping[int, set[str]],
    endless: frozenset[int],
    refers: Refers,
) -> Body | None:
    unit = code.units[i]
    raw = reader.bytes_of(unit.start, unit.end)
    steps = {s.address: s for s in reader.arch.lift(raw, unit.start)}
    outer = code.inner.get(i, set())
    through = {t for t in code.tables.get(i, set()) if unit.start <= t < unit.end}
    whole = sum(s.size for s in steps.values()) == len(raw)
    if not whole or not outer | through <= steps.keys() or reader.arch.flags(b"", 0) is None:
        return None
    blocks = tuple(_blocks(unit, steps, outer | through, refers))
    everywhere, _, _ = refers(unit)
    pushes = reader.arch.convention.call_pushes
    body = Body(
        machine=reader.file.machine,
        start=unit.start,
        code=raw,
        parameters=parameters,
        outer=tuple(sorted(outer)),
        through=tuple(sorted(through)),
        endless=tuple(sorted(endless & {s.target for s in steps.values() if s.kind == "call"})),
        memory=tuple(_memory(reader, unit)),
        blocks=blocks,
        unseen=(),
        always=tuple(sorted(everywhere.difference(*(b.edges for b in blocks)))),
        asked=tuple(
            (a, pushes if steps[a].kind == "call" else 0, tuple(sorted(places)))
            for a, places in sorted(asked.items())
            if a in steps
        ),
    )
    return msgspec.structs.replace(body, unseen=unseen(body))


def _blocks(unit: Unit, steps: Mapping[int, Step], others: set[int], refers: Refers) -> Iterator[Block]:
    ends = {s.address + s.size for s in steps.values() if s.kind in ("jump", "branch", "return", "stop", "call")}
    inside = {s.target for s in steps.values() if s.target is not None and unit.start <= s.target < unit.end}
    edges = sorted({unit.start, unit.end} | (ends | inside | others) & steps.keys())
    for start, end in pairwise(edges):
        nodes, uses, texts = refers(Unit(start, end, hard=True, framed=True, go=unit.go))
        yield Block(start, end, tuple(sorted(nodes)), tuple(sorted(uses)), tuple(sorted(texts)))


def _memory(reader: Reader, unit: Unit) -> Iterator[tuple[int, bytes]]:
    """What stands where the unit's jump tables may be."""
    if unit.indirect:
        for place in sorted(unit.places):
            for s in reader.file.loads():
                if s.address <= place < s.address + s.file_size and not s.flags & elf.PF_W:
                    at = s.offset + place - s.address
                    yield place, reader.file.data[at : min(at + TABLE, s.offset + s.file_size)]
