"""Rules in a real machine: what is done about an attack, with the evidence of it told before."""

import pytest

from builder.definition_guard import Protect
from tests.vm import labs
from tests.vm.agent_machine import Lab, Machine
from tests.vm.labs import ORDINARY, guarded, values

pytestmark = [pytest.mark.vm, pytest.mark.slow]

BY_RULE = 123


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("attacker", tmp_path_factory.mktemp("responses"))


def conf(rule: str, more: str = "") -> str:
    return f"{ORDINARY}{more}{guarded(Protect())}rule test {rule}\n"


def alert(machine: Machine) -> tuple[str, ...]:
    """Rule, response and finding of the one alert."""
    (found,) = machine.named("alert")
    return tuple(str(found[key]) for key in ("rule", "response", "on", "kind", "verdict", "what"))


def test_an_alert_changes_nothing_else(lab: Lab) -> None:
    with lab.boot("raw", "getppid", "1", conf=conf("alert 1 0 guard socket denied *")) as machine:
        assert machine.end() == 0
    assert alert(machine) == ("test", "alert", "guard", "socket", "denied", "family 2 type 3 protocol 1")
    assert machine.named("alert")[0]["pid"] == machine.named("start")[0]["pid"]
    assert not machine.named("evidence", "freeze", "crash")


def test_a_log_is_no_alert_and_a_count_says_nothing(lab: Lab) -> None:
    with lab.boot("raw", conf=conf("log 1 0 guard socket * *\nrule silent count 1 0 guard socket * *")) as machine:
        assert machine.end() == 0
    assert [event["rule"] for event in machine.named("rule")] == ["test"]
    assert not machine.named("alert")


def test_a_response_waits_for_its_number(lab: Lab) -> None:
    with lab.boot("raw", "raw", "packet", "raw", "raw", conf=conf("alert 3 60000 guard socket * family 2*")) as machine:
        assert machine.end() == 0
    assert machine.named("alert")[0]["matched"] == 3


def test_killed_it_is_started_again_as_its_policy_says(lab: Lab) -> None:
    rule = "kill 1 0 guard exec denied *"
    with lab.boot("exec", "/init", "wait", conf=conf(rule, "restart on-failure\n")) as machine:
        machine.wait_for_event("start", 2)
        machine.say("stop\n")
        machine.end()
    assert alert_names(machine)[:2] == ["alert", "evidence"]  # whoever tried may be gone by then, others are not
    assert machine.named("crash")[0]["signal"] == 9
    assert machine.named("alert")[0]["what"] == "/init"


def alert_names(machine: Machine) -> list[str]:
    """The names of the events from the first alert on."""
    names = [event["event"] for event in machine.events]
    return names[names.index("alert") :]


def test_the_evidence_shows_processes_descriptors_and_code(lab: Lab) -> None:
    words = ["serve", "8080", "raw", "wait"]
    with lab.boot(*words, conf=conf("kill 1 0 guard socket denied *")) as machine:
        assert machine.end() == 128 + 9
    evidence = machine.named("evidence")
    processes = {event["process"]: event for event in evidence if "process" in event}
    application = processes[str(machine.named("start")[0]["pid"])]
    assert (application["parent"], application["uid"]) == (1, 1000)
    assert application["program"] == "/bin/guest"
    assert application["arguments"] == " ".join(["/bin/guest", *words])
    assert all(event["program"] == "/bin/guest" for event in processes.values())
    files = [event["file"] for event in evidence if "descriptor" in event]
    assert any(file.startswith("socket:") for file in files)
    assert any(event["code"].endswith("/bin/guest") for event in evidence if "code" in event)


def test_frozen_it_stays_as_it_is_and_the_machine_can_be_looked_at(lab: Lab) -> None:
    rule = "freeze 1 0 guard socket denied *"
    with lab.boot("serve", "8080", "raw", "wait", conf=conf(rule, "port 8080\nrestart always\n")) as machine:
        machine.wait_for_event("freeze")
        health = machine.get("/healthz")
        found = values(machine)
        machine.say("stop\n")
        assert machine.end() == BY_RULE
    assert (health.status_code, health.json()["reason"]) == (503, "a rule has frozen the application")
    assert found["kiln_application_frozen"] == found["kiln_application_up"] == 1
    assert found["kiln_application_healthy"] == 0
    assert found["kiln_rule_matches_total test freeze"] == 1
    assert len(machine.named("start")) == 1
    assert machine.named("evidence")


def test_powered_off_the_machine_ends_with_the_code_for_it(lab: Lab) -> None:
    with lab.boot("raw", "wait", conf=conf("power-off 1 0 guard socket denied *", "restart always\n")) as machine:
        assert machine.end() == BY_RULE
    assert alert(machine)[1] == "power-off"
    assert machine.named("evidence")
    assert len(machine.named("start")) == 1


def test_the_strongest_of_several_rules_is_done(lab: Lab) -> None:
    rules = "alert 1 0 guard * * *\nrule stronger power-off 1 0 guard socket * *\nrule other kill 1 0 guard socket * *"
    with lab.boot("raw", "wait", conf=conf(rules)) as machine:
        assert machine.end() == BY_RULE
    assert [event["rule"] for event in machine.named("alert")] == ["test", "stronger", "other"]


def test_a_crash_loop_can_end_the_machine(lab: Lab) -> None:
    with lab.boot("crash", conf=conf("power-off 2 60000 crash 11 * *", "restart always\n")) as machine:
        assert machine.end() == BY_RULE
    assert len(machine.named("start")) == 2


def test_a_flood_brings_few_alerts_and_all_are_counted(lab: Lab) -> None:
    words = ["serve", "8080", "flood", "3000", "wait"]
    with lab.boot(*words, conf=conf("alert 1 0 guard socket denied *", "port 8080\n")) as machine:
        machine.wait_for(lambda: len(machine.output) == 3, "the end of the flood")
        machine.say("stop\n")
        machine.end()
    assert 8 <= len(machine.named("alert")) < 60


def test_the_last_of_many_findings_are_told_of_as_well(lab: Lab) -> None:
    rule = f"{ORDINARY}network yes\nagent-port 9100\nrule test alert 1 0 output stdout * keep-id*\n"
    with lab.boot(*["keep-id"] * 40, "wait", conf=rule) as machine:
        machine.wait_for(lambda: any("on" not in alert for alert in machine.named("alert")), "the last alert")
        machine.say("stop\n")
        machine.end()
    told = machine.named("alert")
    assert len([alert for alert in told if "on" in alert]) < 40
    assert sum(1 for alert in told if "on" in alert) + sum(alert.get("suppressed", 0) for alert in told) == 40
    assert told[-1]["matched"] == 40
