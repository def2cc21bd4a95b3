"""Bad input gets one clear line, a hint, and its documented exit code; never a traceback."""

import pytest

from tests.conftest import Checkout, Outcome

HELLO = """
[source]
kind = "build"
toolchain = "musl"

[run]
command = ["/bin/hello"]
"""


def assert_refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.exit_code == code, outcome.stderr
    assert "Traceback" not in outcome.stderr
    for word in words:
        assert word in outcome.stderr


def test_an_unknown_image_suggests_near_names(checkout: Checkout) -> None:
    assert_refused(checkout.run("build", "--app", "ngnix"), 2, "ngnix", "nginx")


def test_an_unknown_key_names_file_and_key_path(checkout: Checkout) -> None:
    checkout.define("broken", HELLO.replace("command", "comand"))
    assert_refused(checkout.run("build", "--app", "broken"), 2, "images/broken/image.toml", "run", "comand")


def test_a_wrong_type_names_the_key_path(checkout: Checkout) -> None:
    checkout.define("broken", HELLO + '[machine]\nmemory_mib = "much"\n')
    assert_refused(checkout.run("build", "--app", "broken"), 2, "image.toml", "machine.memory_mib")


def test_broken_toml_names_the_line(checkout: Checkout) -> None:
    checkout.define("broken", "[source\n")
    assert_refused(checkout.run("build", "--app", "broken"), 2, "images/broken/image.toml", "line 1")


def test_an_unknown_platform_lists_the_known_ones(checkout: Checkout) -> None:
    assert_refused(checkout.run("build", "--app", "hello", "--platform", "q36"), 2, "q36", "q35")


def test_an_unknown_profile_lists_the_known_ones(checkout: Checkout) -> None:
    assert_refused(checkout.run("build", "--app", "hello", "--profile", "leen"), 2, "leen", "lean")


def test_running_an_image_that_is_not_built_says_how_to_build_it(checkout: Checkout) -> None:
    assert_refused(checkout.run("run", "--app", "hello"), 2, "not built", "./invoke build --app hello")


def test_explain_wants_exactly_one_question(checkout: Checkout) -> None:
    assert_refused(checkout.run("explain", "--app", "hello"), 2, "--syscall")


def test_a_trace_of_an_unknown_image_suggests_near_names(checkout: Checkout) -> None:
    assert_refused(checkout.run("trace", "--app", "ngnix"), 2, "ngnix", "nginx")
    outcome = checkout.run("trace", "--app", "ngnix", "--json")
    assert outcome.document["error"]["exit_code"] == 2


def test_a_wrong_workload_names_the_key_path(checkout: Checkout) -> None:
    checkout.define("broken", HELLO + '[[trace.check]]\nkind = "http"\n')
    assert_refused(checkout.run("trace", "--app", "broken"), 2, "image.toml", "trace.check[0]")


def test_contradicting_flags_are_refused(checkout: Checkout) -> None:
    assert_refused(checkout.run("build", "--app", "hello", "--smoke", "--no-smoke"), 2, "exclude")


def test_an_error_is_one_json_document_with_json(checkout: Checkout) -> None:
    outcome = checkout.run("build", "--app", "ngnix", "--json")
    assert outcome.exit_code == 2
    assert outcome.document["error"]["exit_code"] == 2
    assert "ngnix" in outcome.document["error"]["message"]


@pytest.mark.parametrize("name", ["../etc", "/etc", "", "a b", "Hello"])
def test_image_names_cannot_leave_the_images_folder(checkout: Checkout, name: str) -> None:
    assert checkout.run("build", "--app", name).exit_code == 2


def test_the_list_names_every_image(checkout: Checkout) -> None:
    listed = {row["name"] for row in checkout.run("list", "--json").document["images"]}
    assert {"hello", "myservice", "nginx", "redis"} <= listed
