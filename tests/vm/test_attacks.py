"""The attack suite against a real image: every step is blocked and seen, and the documentation says so."""

from pathlib import Path

import pytest

from builder.console import Console
from builder.edges.store import Store
from tests.attack.__main__ import DOCS, documented
from tests.attack.steps import steps
from tests.attack.suite import Suite, run
from tests.conftest import REPOSITORY

pytestmark = [pytest.mark.vm, pytest.mark.slow]


@pytest.fixture(scope="module")
def suite() -> Suite:
    return run(Path(REPOSITORY), Store(), Console(quiet=True), lambda _: None)


def test_every_step_is_blocked(suite: Suite) -> None:
    assert len(suite.steps) == len(list(steps())) + 1 >= 21
    assert [(step.name, step.result) for step in suite.steps if not step.blocked] == []


def test_none_goes_unseen(suite: Suite) -> None:
    assert suite.unseen == ()
    assert [step.name for step in suite.steps if not step.rule] == []


def test_the_service_serves_to_the_end(suite: Suite) -> None:
    assert suite.serves


def test_the_documentation_has_what_was_seen(suite: Suite) -> None:
    text = DOCS.read_text()
    assert documented(text, suite) == text, "run ./invoke attack --write"
