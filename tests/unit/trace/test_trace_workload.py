"""What is played for a trace, and how the lines that the agent says become the recorder's again."""

import pytest

from builder.boot.serial import Event
from builder.definition import BuildSource, Definition, ExitCheck, LogCheck, Run, Smoke, Workload
from builder.report import traced
from builder.traced import Spot, Trace, TracedCall
from builder.tracing import lines, workload

DEFINITION = Definition(
    source=BuildSource(),
    run=Run(("/bin/a",), stop_timeout_s=3),
    smoke=Smoke(timeout_s=10, tolerate=("mbind",), check=(LogCheck("ready"),)),
    trace=Workload(timeout_s=100, check=(LogCheck("done"), ExitCheck())),
)


def said(line: str, *, more: bool = False, name: str = "trace") -> Event:
    return Event(name, 1.0, {"line": line} | ({"more": True} if more else {}))


def test_the_smoke_checks_come_first_and_there_is_time_for_all() -> None:
    played = workload(DEFINITION)
    assert played.smoke.check == (LogCheck("ready"), LogCheck("done"), ExitCheck())
    assert played.smoke.timeout_s == 100
    assert played.smoke.tolerate == ("mbind",)
    assert played.run.stop_timeout_s > DEFINITION.run.stop_timeout_s


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([said("a"), said("b")], ["a", "b"]),
        ([said("a", more=True), said("b", more=True), said("c"), said("d")], ["abc", "d"]),
        ([said("x", name="output"), said("a", more=True), said("y", name="kernel"), said("b")], ["ab"]),
    ],
)
def test_lines_that_came_in_pieces_are_whole_again(events: list[Event], expected: list[str]) -> None:
    assert lines(events) == expected


def test_the_table_says_how_much_was_recorded() -> None:
    site, library = Spot("/lib/libc.so.6", 16), "/lib/libc.so.6"
    calls = (
        TracedCall("read", site, count=2, program="/bin/a"),
        TracedCall("read", site, {1: 5}, count=1000, program="/bin/a"),
        TracedCall("write", Spot("/bin/a", 64), program="/bin/a"),
    )
    table = dict(traced.rows(Trace("a", {"/bin/a": "0", library: "1"}, calls, ("/etc/passwd",))))
    assert table["system calls"] == "2 different ones, made 1,003 times"
    assert table["sites"] == "2 instructions"
    assert table["programs"] == "/bin/a"
    assert table["libraries"] == "1 loaded"
    assert table["files opened"] == "1"
