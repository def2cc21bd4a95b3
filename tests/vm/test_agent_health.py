"""Health checks in a real machine: what the agent asks the application from inside, and what follows from it."""

import json
from typing import Any

import pytest

from builder.definition_guard import Protect
from tests.vm import labs
from tests.vm.agent_machine import Lab, Machine
from tests.vm.labs import ORDINARY, TMPFS, is_healthy, policy, values

pytestmark = [pytest.mark.vm, pytest.mark.slow]

KILLED = 128 + 9
SERVING = labs.SERVING + ORDINARY
GUARDED = policy(Protect())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("keeper", tmp_path_factory.mktemp("health"), further=("secrets", "health"))


def health(machine: Machine) -> tuple[int, dict[str, Any]]:
    answer = machine.get("/healthz")
    return answer.status_code, json.loads(answer.text)


def told(machine: Machine) -> list[tuple[str, str, int]]:
    return [(event["check"], event["reason"], event["failures"]) for event in machine.named("unhealthy")]


def test_it_is_ready_when_the_check_says_so_and_not_when_it_listens(lab: Lab) -> None:
    conf = SERVING + GUARDED + "check ready http 8080 100 2000 1 0 /ready?now\n"
    with lab.boot("serve", "8080", "503,404,500,302", conf=conf) as machine:
        machine.wait_for_event("healthy")
        assert machine.output[:4] == [f"GET /ready?now HTTP/1.0 {status}" for status in (503, 404, 500, 302)]
        assert health(machine) == (200, {"status": "healthy"})
        assert values(machine)["kiln_application_healthy"] == 1
        machine.say("stop\n")
        assert machine.end() == 0
    assert not machine.named("unhealthy", "guard", "error")


def test_who_is_not_ready_any_more_is_unhealthy_until_it_is_again(lab: Lab) -> None:
    statuses = ",".join(["200", *["503"] * 12, "204"])
    conf = SERVING + "check ready http 8080 200 2000 3 0 /\n"
    with lab.boot("serve", "8080", statuses, conf=conf) as machine:
        machine.wait_for_event("healthy")
        machine.wait_for_event("unhealthy")
        reason = "the ready check: HTTP status 503"
        assert health(machine) == (503, {"status": "unhealthy", "reason": reason})
        assert values(machine)["kiln_application_healthy"] == 0
        machine.wait_for_event("healthy", 2)
        assert health(machine) == (200, {"status": "healthy"})
        machine.say("stop\n")
        assert machine.end() == 0
    assert told(machine) == [("ready", "HTTP status 503", 3)]
    assert not machine.named("restart", "crash")


def test_before_the_first_answer_it_is_not_ready(lab: Lab) -> None:
    conf = SERVING + "heartbeat-ms 100\ncheck ready http 8080 1000 60000 1 0 /\n"
    with lab.boot("serve", "8080", "0", conf=conf) as machine:
        machine.wait_for_event("heartbeat", 3)
        reason = "the ready check: not answered yet"
        assert health(machine) == (503, {"status": "unhealthy", "reason": reason})
        machine.say("stop\n")
        assert machine.end() == 0
    assert not machine.named("healthy", "unhealthy")
    assert not any(beat["healthy"] for beat in machine.named("heartbeat"))


def test_who_does_not_answer_is_ended_and_started_again(lab: Lab) -> None:
    conf = TMPFS + SERVING + "restart on-failure\ncheck live http 8080 200 300 2 0 /alive\n"
    with lab.boot("serve-again", "/tmp/mark", "8080", "200,0", "200", conf=conf) as machine:
        machine.wait_for_event("start", 2)
        machine.wait_for(lambda: machine.output.count("GET /alive HTTP/1.0 200") >= 4, "answers of the second one")
        assert is_healthy(machine)
        machine.say("stop\n")
        assert machine.end() == 0
    assert told(machine) == [("live", "no answer in time", 2)]
    names = [event["event"] for event in machine.named("start", "unhealthy", "crash", "restart")]
    assert names == ["start", "unhealthy", "crash", "restart", "start"]
    assert machine.named("crash")[0]["signal"] == 9


def test_without_restarts_the_machine_ends(lab: Lab) -> None:
    conf = SERVING + "restart never\ncheck live tcp 8080 100 1000 3 0\n"
    with lab.boot("listen", "8080", "sleep", "1000", "close", "forever", conf=conf) as machine:
        assert machine.end() == KILLED
    assert told(machine) == [("live", "Connection refused", 3)]
    assert machine.named("healthy")


def test_failures_at_the_start_do_not_count(lab: Lab) -> None:
    conf = SERVING + "check live tcp 8080 100 1000 1 {}\n"
    words = ("sleep", "1500", "listen", "8080", "sleep", "500", "exit", "0")
    with lab.boot(*words, conf=conf.format(60000)) as machine:
        assert machine.end() == 0
    assert not machine.named("unhealthy")
    with lab.boot(*words, conf=conf.format(0)) as machine:
        assert machine.end() == KILLED
    assert told(machine) == [("live", "Connection refused", 1)]


def test_a_status_that_is_no_success_is_a_failure(lab: Lab) -> None:
    conf = SERVING + "restart never\ncheck live http 9100 100 1000 1 0 /nothing\n"  # the agent's own page: 404
    with lab.boot("listen", "8080", "forever", conf=conf) as machine:
        assert machine.end() == KILLED
    assert told(machine) == [("live", "HTTP status 404", 1)]


def test_a_check_that_hangs_holds_nothing_up(lab: Lab) -> None:
    conf = SERVING + (
        "heartbeat-ms 50\ncheck ready http 8080 60000 60000 1 0 /\ncheck live http 8080 60000 60000 1 0 /\n"
    )
    with lab.boot("serve", "8080", "0", conf=conf) as machine:
        machine.wait_for_event("heartbeat", 3)
        assert values(machine)["kiln_application_up"] == 1
        machine.wait_for_event("heartbeat", len(machine.named("heartbeat")) + 3)
        machine.say("stop\n")
        assert machine.end() == 0
    assert not machine.named("unhealthy")
