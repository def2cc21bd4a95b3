"""What the kernel's guard writes is understood by the agent, whatever a program is called or opens."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.analyse import table

Ask = Callable[..., list[Any]]
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_an_event_is_read_with_names_of_any_kind(ask: Ask) -> None:
    line = r"exec denied 57 1000 4011d6 12 a\x20b\x5c /tmp/x y\x0az"
    assert ask("guard event", line) == [["exec", "denied", 57, 1000, 0x4011D6, 12, "a b\\", "/tmp/x y\nz"]]


def test_what_needs_no_permission_is_told_apart(ask: Ask) -> None:
    usual, other, longer = ask(
        "guard event",
        "access denied 5 0 1 0 go call 233 EPERM",
        "access denied 5 0 1 0 go call 232 EPERM",
        "access denied 5 0 1 0 go call 233 EPERM /x",
    )
    assert usual[-1] == "usual"
    assert other[-1] == "call 232 EPERM"
    assert longer[-1] == "call 233 EPERM /x"


@pytest.mark.parametrize(
    "line", ["", "exec", "exec denied 5", "exec denied a 1 2 3 c w", "exec denied 1 2 3 4 comm", " "]
)
def test_what_is_no_event_is_left_alone(ask: Ask, line: str) -> None:
    assert ask("guard event", line) == [None]


def test_numbers_are_read_and_what_is_not_understood_is_left_out(ask: Ask) -> None:
    text = (
        "sealed 1\nlost 7\nevent exec denied 3\nevent listen allowed 1\nevent longer-than-any-kind denied 3\n"
        "event exec\ncall 0 12 1\ncall 462 1 0\ncall 463 5 5\ncall x 1 1\nnews 5\ncall 1 2"
    )
    [found] = ask("guard counts", text)
    assert found == {"sealed": 1, "lost": 7, "exec denied": 3, "listen allowed": 1, "0": [12, 1], "462": [1, 0]}


@RELAXED
@given(st.lists(st.binary(max_size=120), min_size=1, max_size=30))
def test_garbage_harms_nothing(ask: Ask, data: list[bytes]) -> None:
    for mode in ("guard event", "guard counts"):
        ask(mode, *data)
    ask("guard event", *(b"exec denied 1 1 1 1 " + text for text in data))
    ask("guard counts", *(b"event " + text + b"\ncall " + text + b"\n" for text in data))
    ask("guard counts", b"event a b 1\n" * 100)


def test_system_calls_have_the_names_of_the_table(ask: Ask) -> None:
    names = table.names()
    [found] = ask("calls", "")
    assert {number: name for number, name in enumerate(found) if name} == dict(names)
