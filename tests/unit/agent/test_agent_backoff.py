"""When the application has ended: started again, how soon, and when no more."""

from collections.abc import Callable
from typing import Any

Ask = Callable[..., list[Any]]


def after(ask: Ask, policy: str, *runs: str) -> list[Any]:
    """What follows each run; a run is `s` (succeeded) or `f` (failed) and how long it took in milliseconds."""
    [answer] = ask("backoff", " ".join([policy, *runs]))
    assert isinstance(answer, list)
    return answer


def test_never_is_never(ask: Ask) -> None:
    assert after(ask, "never", "f5", "s5") == [["end", -1], ["end", -1]]


def test_success_is_the_end_unless_always_is_asked_for(ask: Ask) -> None:
    assert after(ask, "on-failure", "s5") == [["end", -1]]
    assert after(ask, "always", "s5") == [["restart", 100]]


def test_the_delay_doubles_and_five_failures_are_enough(ask: Ask) -> None:
    expected = [["restart", 100], ["restart", 200], ["restart", 400], ["restart", 800], ["give up", -1]]
    assert after(ask, "on-failure", *["f5"] * 5) == expected
    assert after(ask, "always", *["f5"] * 5) == expected


def test_a_long_run_starts_afresh(ask: Ask) -> None:
    runs = ["f5", "f5", "f5", "f5", "f10000", "f9999"]
    delays = [100, 200, 400, 800, 100, 200]
    assert after(ask, "on-failure", *runs) == [["restart", delay] for delay in delays]


def test_a_program_that_always_succeeds_is_started_for_ever_but_not_too_often(ask: Ask) -> None:
    delays = [100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000]
    assert after(ask, "always", *["s5"] * 10) == [["restart", delay] for delay in delays]


def test_failures_count_only_one_after_the_other(ask: Ask) -> None:
    answers = after(ask, "always", "f5", "f5", "f5", "f5", "s5", "f5", "f5", "f5", "f5", "f5")
    assert [answer[0] for answer in answers] == ["restart"] * 9 + ["give up"]
