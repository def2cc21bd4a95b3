"""Processes beside the application in real machines: whose they are, what they may use, who is started again, and how
the machine ends."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, make_checkout
from tests.vm import labs
from tests.vm.agent_machine import Event, Lab, Machine
from tests.vm.labs import TMPFS

pytestmark = [pytest.mark.vm, pytest.mark.slow]

KILLED, SEGMENTATION_FAULT = 9, 11
PAGES = "network yes\nagent-port 9100\n"
FOREVER = ("print", "up", "on-term", "0", "forever")


IMAGE = """
profile = "common"
[source]
kind = "build"
toolchain = "musl"
[run]
command = ["/bin/app", "serve", "8080", "200"]
[[process]]
name = "worker"
command = ["/bin/worker", "environment", "print", "at work", "forever"]
user = "worker"
environment = { COLOUR = "blue" }
restart = "never"
open_files = 64
[[process]]
name = "second"
command = ["/bin/app", "serve", "8081", "200"]
user = "second"
[network]
ports = [8080, 8081]
[[smoke.check]]
kind = "http"
contains = "ok"
[[smoke.check]]
kind = "http"
port = 8081
contains = "ok"
[[smoke.check]]
kind = "http"
port = 9100
path = "/metrics"
contains = 'kiln_process_up{process="worker"} 1'
[[smoke.check]]
kind = "log"
expect = "^environment COLOUR=blue$"
[[smoke.check]]
kind = "log"
expect = "^at work$"
"""
MAKEFILE = """install: app worker
\tinstall -D -m 755 -t $(DESTDIR)/bin $^
%: %.c
\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("guest", tmp_path_factory.mktemp("processes"), further=("companion",))


def beside(name: str, *words: str, how: str = "always 64 16 1001 1002", more: Sequence[str] = ()) -> str:
    """Lines for agent.conf."""
    arguments = [f"process-argument {word}" for word in ("/bin/guest", *words)]
    return "\n".join([f"process {name} {how}", *arguments, *(f"process-{line}" for line in more), ""])


def said(machine: Machine, stream: str) -> list[str]:
    return [event["line"] for event in machine.named("output") if event["stream"] == stream]


def told(machine: Machine, name: str) -> list[Event]:
    return [event for event in machine.named("process") if event["name"] == name]


def states(machine: Machine, name: str) -> list[str]:
    return [event["state"] for event in told(machine, name)]


def test_each_has_its_user_its_limits_its_environment_and_its_stream(lab: Lab) -> None:
    conf = TMPFS + "uid 1000\ngid 1000\nopen-files 99\nenvironment MINE=1\n"
    conf += beside("first", "ids", "environment", *FOREVER, more=("directory /tmp", "environment COLOUR=light blue"))
    conf += beside("second", "ids", "environment", "error", "oh", *FOREVER, how="never 128 0 0 0")
    with lab.boot("ids", "environment", *FOREVER, conf=conf) as machine:
        machine.wait_for(lambda: all("up" in said(machine, of) for of in ("stdout", "first", "second")), "all are up")
        machine.say("stop\n")
        assert machine.end() == 0
    usual = "session=1 directory={} files={} no_new_privs=1 back_to_root={} stdin=0 host=(none)"
    assert said(machine, "stdout")[:2] == [
        f"uid=1000 euid=1000 gid=1000 groups= {usual.format('/', 99, 0)}",
        "environment MINE=1",
    ]
    assert said(machine, "first")[:2] == [
        f"uid=1001 euid=1001 gid=1002 groups= {usual.format('/tmp', 64, 0)}",
        "environment COLOUR=light blue",
    ]
    assert said(machine, "second") == [f"uid=0 euid=0 gid=0 groups= {usual.format('/', 128, 1)}", "oh", "up"]
    order = [event.get("name", "the application") for event in machine.named("start", "process")]
    assert order[:3] == ["the application", "first", "second"]
    assert not machine.named("error", "crash", "exit")[:-1]


def test_one_that_crashes_is_started_again_and_the_others_go_on(lab: Lab) -> None:
    conf = TMPFS + PAGES + "heartbeat-ms 200\n"
    conf += beside("shaky", "first-time", "/tmp/a", "3", "first-time", "/tmp/b", "0", "sleep", "50", "crash")
    conf += beside("steady", *FOREVER)
    with lab.boot(*FOREVER, conf=conf) as machine:
        machine.wait_for(lambda: machine.named("error"), "the agent gives up")
        machine.wait_for(lambda: machine.named("heartbeat")[-1:][0]["process_shaky_restarts"] == 6, "a heartbeat")
        beat, values = machine.named("heartbeat")[-1], labs.values(machine)
        machine.say("stop\n")
        assert machine.end() == 0
    assert states(machine, "shaky") == ["started", "ended"] * 7
    assert [(event.get("code"), event.get("signal")) for event in told(machine, "shaky")[1::2]] == [
        (3, None),
        (0, None),
        *[(None, SEGMENTATION_FAULT)] * 5,
    ]
    assert [event["restarts"] for event in told(machine, "shaky")[::2]] == list(range(7))
    assert [event["what"] for event in machine.named("error")] == ["shaky"]
    assert (beat["process_shaky_up"], beat["process_steady_up"], beat["process_steady_restarts"]) == (False, True, 0)
    assert values["kiln_process_up shaky"] == 0
    assert values["kiln_process_up steady"] == 1
    assert values["kiln_process_restarts_total shaky"] == 6
    assert values["kiln_application_restarts_total"] == 0
    assert states(machine, "steady") == ["started", "stopped"]
    assert len(machine.named("start")) == 1


def test_the_policies_are_those_of_the_application(lab: Lab) -> None:
    conf = beside("once", "exit", "3", how="never 64 0 0 0")
    conf += beside("done", "exit", "0", how="on-failure 64 0 0 0")
    conf += beside("again", "exit", "0", how="always 64 0 0 0")
    conf += beside("absent", how="never 64 0 0 0").replace("/bin/guest", "/bin/nothing")
    with lab.boot(*FOREVER, conf=conf) as machine:
        machine.wait_for(lambda: len(told(machine, "again")) >= 6, "starts")
        machine.say("stop\n")
        assert machine.end() == 0
    assert states(machine, "once") == states(machine, "done") == ["started", "ended"]
    assert not told(machine, "absent")
    assert [(event["what"], event["error"]) for event in machine.named("error")] == [
        ("/bin/nothing", "No such file or directory")
    ]


def test_when_the_application_is_started_again_they_go_on(lab: Lab) -> None:
    conf = TMPFS + "restart on-failure\n" + beside("steady", *FOREVER)
    with lab.boot("sleep", "300", "first-time", "/tmp/a", "1", *FOREVER, conf=conf) as machine:
        machine.wait_for(lambda: "up" in said(machine, "stdout"), "the second start")
        machine.say("stop\n")
        assert machine.end() == 0
    assert len(machine.named("start")) == 2
    assert states(machine, "steady") == ["started", "stopped"]


def test_at_the_stop_the_application_ends_first_and_the_others_are_asked(lab: Lab) -> None:
    conf = (
        "stop-timeout-ms 1500\n" + beside("polite", *FOREVER) + beside("deaf", "ignore-term", *FOREVER[:2], "forever")
    )
    with lab.boot(*FOREVER, conf=conf) as machine:
        machine.wait_for(lambda: all("up" in said(machine, of) for of in ("stdout", "polite", "deaf")), "all are up")
        machine.say("stop\n")
        assert machine.end() == 0
    ends = [event for event in machine.named("stop", "exit", "process", "halt") if event.get("state") != "started"]
    assert [event.get("name", event["event"]) for event in ends] == ["stop", "exit", "polite", "deaf", "halt"]
    assert ends[2]["code"] == 0
    assert ends[3]["signal"] == KILLED


def test_they_are_asked_even_if_the_application_must_be_killed(lab: Lab) -> None:
    conf = "stop-timeout-ms 1000\n" + beside("polite", *FOREVER)
    with lab.boot("ignore-term", "print", "up", "forever", conf=conf) as machine:
        machine.wait_for(lambda: all("up" in said(machine, of) for of in ("stdout", "polite")), "all are up")
        machine.say("stop\n")
        assert machine.end() == 128 + KILLED
    [stopped] = [event for event in told(machine, "polite") if event["state"] == "stopped"]
    assert stopped["code"] == 0


def test_the_end_of_the_application_is_the_end_of_all(lab: Lab) -> None:
    conf = "restart never\n" + beside("steady", "print", "up", "forever")
    with lab.boot("sleep", "1000", "exit", "7", conf=conf) as machine:
        assert machine.end() == 7
    assert states(machine, "steady") == ["started", "stopped"]
    assert said(machine, "steady") == ["up"]
    assert not machine.named("stop", "error")


def test_the_companion_waits_for_the_application(lab: Lab) -> None:
    conf = "network yes\nport 8080\n" + beside("other", *FOREVER, how="always 1024 0 0 0").replace(
        "process ", "companion "
    )
    with lab.boot("sleep", "500", "listen", "8080", *FOREVER, conf=conf, ports=()) as machine:
        machine.wait_for(lambda: "up" in said(machine, "other"), "the companion")
        machine.say("stop\n")
        assert machine.end() == 0
    names = [event["event"] for event in machine.named("start", "healthy", "companion")]
    assert names == ["start", "healthy", "companion", "companion"]


def test_an_image_has_them_from_its_definition(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    folder = checkout.define("several", IMAGE)
    (folder / "src").mkdir()
    for source, name in (("keeper", "app"), ("guest", "worker")):
        shutil.copy(REPOSITORY / f"tests/c/agent/{source}.c", folder / f"src/{name}.c")
    (folder / "src/Makefile").write_text(MAKEFILE)
    shutil.copy(REPOSITORY / "images/hello/image.lock", folder)  # the kernel that the other tests compile
    outcome = checkout.run("build", "--app", "several", timeout_s=2400)
    assert outcome.exit_code == 0, outcome.stderr
    explained = checkout.run("explain", "--app", "several", "--syscall", "getgroups")
    assert "/bin/worker" in explained.stdout
    assert "/bin/app" not in explained.stdout
