"""Bad input to the commands around patches: one clear line, a hint, and the documented exit code."""

from pathlib import Path

import pytest

from builder import growth
from builder.errors import DefinitionError
from builder.pipeline import Place
from tests.conftest import Checkout
from tests.unit.cli.test_cli_bad_input import HELLO, assert_refused


@pytest.mark.parametrize("command", ["outdated", "rebuild", "lock", "rollback", "approve"])
def test_an_unknown_image_suggests_near_names(checkout: Checkout, command: str) -> None:
    assert_refused(checkout.run(command, "--app", "ngnix"), 2, "ngnix", "nginx")


def test_a_damaged_lock_is_named_by_every_command(checkout: Checkout) -> None:
    lock = checkout.root / "images/nginx/image.lock"
    lock.write_bytes(lock.read_bytes()[:500])
    for command in ("outdated", "rebuild", "lock"):
        assert_refused(checkout.run(command, "--app", "nginx"), 2, "images/nginx/image.lock", "restore it")


def test_a_lock_with_conflict_markers_names_the_line(checkout: Checkout) -> None:
    lock = checkout.root / "images/nginx/image.lock"
    lines = lock.read_text().splitlines(keepends=True)
    lock.write_text("".join([*lines[:5], "<<<<<<< HEAD\n", *lines[5:]]))
    assert_refused(checkout.run("outdated", "--app", "nginx"), 2, "images/nginx/image.lock:6", "merge conflict")


def test_a_lock_is_wanted_where_there_is_none(checkout: Checkout) -> None:
    checkout.define("fresh", HELLO)
    assert_refused(checkout.run("lock", "--app", "fresh", "--check"), 2, "there is none", "./invoke build --app fresh")


def test_a_package_that_is_not_in_the_lock_gets_the_ones_that_are(checkout: Checkout) -> None:
    assert_refused(
        checkout.run("lock", "--app", "nginx", "--package", "libssl4"), 2, "libssl4", "libssl3", "nginx-common"
    )


def test_there_may_be_nothing_to_go_back_to(checkout: Checkout) -> None:
    assert_refused(checkout.run("rollback", "--app", "hello"), 2, "no earlier image")


def test_a_damaged_approval_is_named(tmp_path: Path) -> None:
    (tmp_path / "images" / "web").mkdir(parents=True)
    assert growth.approved(Place(tmp_path), "web") is None
    for text in ("{", '{"needs": 3}', "[]"):
        (tmp_path / "images" / "web" / "approved.json").write_text(text)
        with pytest.raises(DefinitionError, match=r"images/web/approved\.json"):
            growth.approved(Place(tmp_path), "web")


def test_a_policy_that_does_not_exist_is_refused(checkout: Checkout) -> None:
    checkout.define("grown", HELLO + '\n[policy]\ngrowth = "some"\n')
    assert_refused(checkout.run("outdated", "--app", "grown"), 2, "policy.growth")


def test_an_unknown_provider_gets_the_known_ones(checkout: Checkout) -> None:
    assert_refused(checkout.run("ci", "--provider", "jenkins"), 2, "jenkins", "github, gitlab")
