"""Which findings a rule fits, and from which one on it is answered."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., list[Any]]


def answers(ask: Ask, rule: str, *findings: str) -> Any:
    """The response to each finding, `no` where the rule does not fit. Findings: `ms event kind verdict count what`."""
    text = f"argument /a\nrule name {rule}\n\n" + "".join(f"{finding}\n" for finding in findings)
    return ask("rules", text)[0]


def test_every_field_must_fit(ask: Ask) -> None:
    rule = "kill 1 0 guard exec denied /tmp/x"
    findings = ["guard exec denied 1 /tmp/x", "guard exec denied 1 /tmp/xy", "guard code denied 1 /tmp/x",
                "guard exec audited 1 /tmp/x", "refused exec denied 1 /tmp/x"]  # fmt: skip
    assert answers(ask, rule, *(f"0 {finding}" for finding in findings)) == ["kill", "no", "no", "no", "no"]


def test_a_star_stands_for_whatever_follows(ask: Ask) -> None:
    rule = "alert 1 0 kernel * * Out of memory*"
    found = answers(
        ask, rule, "0 kernel   1 Out of memory: Killed", "0 kernel   1 Out of mem", "0 kernel a b 1 Out of memory"
    )
    assert found == ["alert", "no", "alert"]


def test_an_empty_field_is_fitted_by_a_star_alone(ask: Ask) -> None:
    assert answers(ask, "log 1 0 changed * * *", "0 changed   1 ") == ["log"]
    assert answers(ask, "log 1 0 changed x * *", "0 changed   1 ") == ["no"]


@pytest.mark.parametrize("response", ["count", "log", "alert", "kill", "freeze", "power-off"])
def test_each_response_is_given(ask: Ask, response: str) -> None:
    assert answers(ask, f"{response} 1 0 crash * * *", "0 crash 11  1 ") == [response]


def test_so_many_within_the_time_bring_the_response_and_begin_anew(ask: Ask) -> None:
    times = (0, 10, 20, 30, 40, 50)
    found = answers(ask, "freeze 3 100 crash * * *", *(f"{ms} crash 11  1 " for ms in times))
    assert found == ["count", "count", "freeze", "count", "count", "freeze"]


def test_what_is_too_long_ago_does_not_count(ask: Ask) -> None:
    found = answers(ask, "freeze 2 100 crash * * *", *(f"{ms} crash 11  1 " for ms in (1000, 1200, 1250, 1500)))
    assert found == ["count", "count", "freeze", "count"]


def test_without_a_time_all_since_boot_count(ask: Ask) -> None:
    found = answers(ask, "kill 2 0 crash * * *", *(f"{ms} crash 11  1 " for ms in (0, 9999999)))
    assert found == ["count", "kill"]


def test_findings_that_were_kept_back_count_with_the_next_one(ask: Ask) -> None:
    assert answers(ask, "kill 100 0 guard limit * *", "0 guard limit denied 500 call 56 EAGAIN") == ["kill"]
