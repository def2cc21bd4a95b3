"""The few places whose system call number is known from reading their source, as data: `exceptions.toml`."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from builder.value import Value


class Exemption(Value, frozen=True):
    """A function that is recognised by its code, and what its open system call is counted as. `code` are digests of
    the function without the distances in it: other code, other function, and the exemption stops applying. Go's
    runtime is compiled anew with every program and is recognised by the name of `function` (library `go`). `made`:
    only those of `numbers` (`*`: any) that reachable code also makes directly. `builds`: where the function's code is
    too short to tell it from others, the build-ids of the library's files it holds for. `only`: numbers that count
    only where one of these exported functions of the library can run."""

    library: str
    function: str
    code: tuple[str, ...]
    numbers: tuple[str, ...]
    made: bool
    reason: str
    builds: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = {}


@cache
def _of_go() -> dict[str, Exemption]:
    table = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())
    found = msgspec.convert(table["site"], tuple[Exemption, ...])
    return {one.function: one for one in found if one.library == "go"}


@cache
def _all() -> dict[str, Exemption]:
    table = tomllib.loads((Path(__file__).parent / "exceptions.toml").read_text())
    return {mark: one for one in msgspec.convert(table["site"], tuple[Exemption, ...]) for mark in one.code}


def find(marks: Iterable[str], build: str = "", go_function: str = "") -> Exemption | None:
    """The exemption for a function with one of these digests of its code in a file with this build-id, or for a
    function of a Go program; or None."""
    known = (_all()[mark] for mark in marks if mark in _all())
    return next((k for k in known if not k.builds or build in k.builds), None) or _of_go().get(go_function)
