"""What the arguments of system calls say about the kernel features they need, for every architecture (pure, data).

The data: `arguments.toml` (which arguments of which calls, what to assume, wrappers in the C library), `constants.tsv`
(numbers, from the kernel's user headers) and `texts.tsv` (file systems, paths, attributes), each with its place in the
source of Linux 6.12. Need ids are those of the recipes (`recipes/options/`).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from builder.value import Value

HERE = Path(__file__).parent
OTHER = "other"  # the name of a set's row for all values that no other row has


class Row(Value, frozen=True):
    """One line of constants.tsv or texts.tsv: what `name` (one constant, a pair, or a text) needs."""

    set: str
    name: str
    value: str  # as written: 1, 0x5401, 04000, `1,26` for a pair; empty for texts and `other`
    need: str
    source: str


class Argument(Value, frozen=True):
    """What one argument of a system call says.

    `needs` maps values (kind `flags`: masks) to need ids, an empty id for what every kernel can do; `otherwise` is the
    need of values that are not listed. `pairs` maps (value, the value of argument `also`) to need ids instead.
    `assumed` is what to count where a value is not known, `why` the reason for it and for all that is left out.
    """

    index: int
    kind: Literal["value", "flags", "text"]
    why: str
    needs: Mapping[int, str] = {}
    pairs: Mapping[tuple[int, int], str] = {}
    texts: tuple[tuple[str, str], ...] = ()
    assumed: tuple[str, ...] = ()
    also: int | None = None
    either: bool = False  # a known value with an unknown companion counts for every companion
    otherwise: str = ""
    mask: int = 0xFFFFFFFF  # the bits the kernel looks at; all of these arguments are 32-bit numbers to it

    def ids(self) -> frozenset[str]:
        """All need ids the argument can give."""
        texts = (need for _, need in self.texts)
        return frozenset((*self.needs.values(), *self.pairs.values(), *texts, *self.assumed, self.otherwise)) - {""}


class Wrapper(Value, frozen=True):
    """A function of the C library that makes a system call: which, and where it takes the call's arguments (by the
    call's place; not listed: not passed on)."""

    call: str
    places: Mapping[int, int]


def needs_of(argument: Argument, value: int, also: int | None = None) -> tuple[str, ...]:
    """The need ids of a constant argument, sorted; `also` is the companion's value, None if it is not known.

    Only the low 32 bits count, as in the kernel. What a text needs is `text_need`.
    """
    number = value & argument.mask
    if argument.also is not None:
        found = _pair(argument, number, also)
    elif argument.kind == "flags":
        found = [need for mask, need in argument.needs.items() if number & mask == mask]
    else:
        found = [argument.needs.get(number, argument.otherwise)]
    return tuple(sorted({*found} - {""}))


def _pair(argument: Argument, number: int, also: int | None) -> Iterable[str]:
    if also is not None:
        return [argument.pairs.get((number, also & 0xFFFFFFFF), "")]
    fitting = [need for (first, _), need in argument.pairs.items() if first == number]
    return fitting if argument.either else argument.assumed if fitting else ()


def text_need(argument: Argument, text: str) -> str:
    """The need id of a text an argument points to, or an empty text."""
    return _fitting(argument.texts, text)


def path_need(text: str) -> str:
    """The need id of a path the program names, or an empty text."""
    return _fitting(PATHS, text)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a constants.tsv value: decimal, hexadecimal or, with a leading 0, octal; two for a pair."""
    return tuple(int(part, 8 if re.fullmatch("0[0-7]+", part) else 0) for part in text.split(",") if part)


def rows(name: str) -> tuple[Row, ...]:
    """The lines of `constants.tsv` or `texts.tsv`."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    cells = [line.split("\t") for line in lines if line and not line.startswith("#")][1:]
    wide = len(cells[0]) == 5  # texts have no value
    return tuple(Row(c[0], c[1], c[2] if wide else "", c[-2], c[-1]) for c in cells)


class _Entry(Value, frozen=True):
    calls: tuple[str, ...]
    index: int
    kind: Literal["value", "flags", "text"]
    set: str
    why: str
    assumed: tuple[str, ...] = ()
    also: int | None = None
    either: bool = False
    mask: int = 0xFFFFFFFF


class _Function(Value, frozen=True):
    call: str
    places: Mapping[int, int] | None = msgspec.field(name="from", default=None)


class _File(Value, frozen=True):
    argument: tuple[_Entry, ...]
    wrappers: Mapping[str, _Function]


def _load() -> tuple[Mapping[str, tuple[Argument, ...]], Mapping[str, Wrapper]]:
    content: dict[str, Any] = tomllib.loads((HERE / "arguments.toml").read_text(encoding="utf-8"))
    file = msgspec.convert(content, _File, strict=False)
    table = (*rows("constants.tsv"), *rows("texts.tsv"))
    features: dict[str, tuple[Argument, ...]] = {}
    for entry in file.argument:
        argument = _argument(entry, [row for row in table if row.set == entry.set])
        for call in entry.calls:
            features[call] = (*features.get(call, ()), argument)
    return features, {name: _wrapper(function, features[function.call]) for name, function in file.wrappers.items()}


def _argument(entry: _Entry, table: list[Row]) -> Argument:
    values = {numbers(row.value): row.need for row in table if row.name != OTHER}
    return Argument(
        entry.index,
        entry.kind,
        entry.why,
        needs={key[0]: need for key, need in values.items() if len(key) == 1},
        pairs={(key[0], key[1]): need for key, need in values.items() if len(key) == 2},
        texts=tuple((row.name, row.need) for row in table) if entry.kind == "text" else (),
        assumed=entry.assumed,
        also=entry.also,
        either=entry.either,
        otherwise=next((row.need for row in table if row.name == OTHER), ""),
        mask=entry.mask,
    )


def _wrapper(function: _Function, arguments: tuple[Argument, ...]) -> Wrapper:
    wanted = {place for a in arguments for place in (a.index, a.also) if place is not None}
    places = function.places
    return Wrapper(function.call, {place: place for place in sorted(wanted)} if places is None else places)


def _fitting(texts: tuple[tuple[str, str], ...], text: str) -> str:
    best = max((pair for pair in texts if _pattern(pair[0]).match(text)), key=_rank, default=("", ""))
    return best[1]


def _rank(pair: tuple[str, str]) -> tuple[int, int]:
    return len(pair[0].partition("*")[0]), len(pair[0])


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*") + r"(?:/.*)?\Z", re.DOTALL)


def ids() -> Iterator[str]:
    """Every need id that arguments and paths can give, in no order, some of them several times."""
    yield from (need for arguments in FEATURES.values() for argument in arguments for need in argument.ids())
    yield from (need for _, need in PATHS)


FEATURES, WRAPPERS = _load()  # by the system call's name; by the exported function's name
PATHS: tuple[tuple[str, str], ...] = tuple((row.name, row.need) for row in rows("texts.tsv") if row.set == "path")
