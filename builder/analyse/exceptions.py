"""The few places whose system call number is known from reading their source, as data: `exceptions.toml`."""

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from builder.model import Value


class Exemption(Value, frozen=True):
    """A place that is recognised by its library and the other system calls beside it, and what it is counted as."""

    soname: str
    functions: tuple[str, ...]
    beside: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]
    made: bool
    reason: str


@cache
def _all() -> tuple[Exemption, ...]:
    table = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())
    return msgspec.convert(table["site"], tuple[Exemption, ...])


def find(soname: str, function: str, beside: frozenset[str]) -> Exemption | None:
    """The exemption for a place in a library: by the function's name, or by the calls beside it; or None."""
    for one in _all():
        if one.soname == soname and (function in one.functions or beside in map(frozenset, one.beside)):
            return one
    return None
