"""The agent as process 1 of a real machine: what it starts, how it starts again, stops, reports, and how the machine
ends."""

import pytest

from tests.vm import labs
from tests.vm.agent_machine import Lab
from tests.vm.labs import SERVING, TMPFS, is_healthy, offline, values

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SEGV, KILLED, NOT_READY, NO_PROGRAM = 128 + 11, 128 + 9, 126, 127


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("guest", tmp_path_factory.mktemp("guest"))


# ---- how it ends ----------------------------------------------------------------------------------------------


def test_the_exit_code_is_the_machines_verdict(lab: Lab) -> None:
    with lab.boot("print", "hello", "exit", "42") as machine:
        assert machine.end() == 42
    names = [event["event"] for event in machine.events if event["event"] != "kernel"]
    assert names == ["boot", "start", "healthy", "output", "exit", "halt"]
    assert machine.named("exit")[0]["code"] == 42
    assert machine.output == ["hello"]
    assert all(event["mono"] >= 0 for event in machine.events)


def test_success_ends_the_machine(lab: Lab) -> None:
    with lab.boot("exit", "0", conf="restart on-failure\n") as machine:
        assert machine.end() == 0


def test_a_crash_is_no_exit(lab: Lab) -> None:
    with lab.boot("print", "before", "crash") as machine:
        assert machine.end() == SEGV
    assert machine.named("crash")[0]["signal"] == 11
    assert not machine.named("exit")
    assert machine.output == ["before"]


def test_what_the_application_leaves_behind_does_not_hold_the_machine(lab: Lab) -> None:
    with lab.boot("daemon", "100000", "exit", "3") as machine:
        assert machine.end() == 3


def test_without_network_there_is_nothing_of_it(lab: Lab) -> None:
    with offline(lab).boot("print", "alone", "exit", "7", ports=()) as machine:
        assert machine.end() == 7
    assert machine.output == ["alone"]
    assert machine.named("healthy")


# ---- restart --------------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again(lab: Lab) -> None:
    with lab.boot("first-time", "/tmp/mark", "3", "print", "again", conf=TMPFS + "restart on-failure\n") as machine:
        assert machine.end() == 0
    [restart] = machine.named("restart")
    assert (restart["delay_ms"], restart["restarts"]) == (100, 1)
    assert [start["restarts"] for start in machine.named("start")] == [0, 1]
    assert machine.output == ["again"]
    assert len(machine.named("healthy")) == 1


def test_a_crash_loop_is_given_up(lab: Lab) -> None:
    with lab.boot("crash", conf="restart always\n") as machine:
        assert machine.end() == SEGV
    assert [event["delay_ms"] for event in machine.named("restart")] == [100, 200, 400, 800]
    assert len(machine.named("crash")) == 5
    assert "too often" in machine.named("error")[-1]["error"]


def test_always_is_always_until_it_is_asked_to_stop(lab: Lab) -> None:
    with lab.boot("exit", "0", conf="restart always\n") as machine:
        machine.wait_for_event("restart", 3)
        machine.say("stop\n")
        assert machine.end() == 0


# ---- stop -----------------------------------------------------------------------------------------------------


def test_a_line_on_the_console_stops_it(lab: Lab) -> None:
    with lab.boot("print", "ready", "forever") as machine:
        machine.wait_for(lambda: machine.output, "output")
        machine.say("stopp\nsto\n stop\nstop now\n" + "x" * 300 + "\r\nstop\n")
        assert machine.end() == 0
    assert [event["reason"] for event in machine.named("stop")] == ["console"]
    [end] = machine.named("exit")
    assert (end["code"], end["signal"]) == (143, 15)
    assert not machine.named("crash")


@pytest.mark.parametrize(
    ("arguments", "conf", "code"),
    [
        (("on-term", "0"), "", 0),
        (("on-term", "5"), "", 5),
        ((), "stop-signal 3\n", 0),
        (("ignore-term",), "stop-timeout-ms 200\n", KILLED),
        (("ignore-term", "daemon", "100000"), "stop-timeout-ms 200\n", KILLED),
    ],
)
def test_how_it_stops_is_told_by_the_code(lab: Lab, arguments: tuple[str, ...], conf: str, code: int) -> None:
    with lab.boot(*arguments, "print", "ready", "forever", conf=conf) as machine:
        machine.wait_for(lambda: machine.output, "output")
        machine.say("stop\n")
        assert machine.end() == code


@pytest.mark.parametrize(("number", "name"), [(15, "SIGTERM"), (2, "SIGINT"), (30, "SIGPWR")])
def test_a_signal_to_process_1_stops_it(lab: Lab, number: int, name: str) -> None:
    with lab.boot("signal-init", str(number), "forever") as machine:
        assert machine.end() == 0
    assert machine.named("stop")[0]["reason"] == name


# ---- start ----------------------------------------------------------------------------------------------------


def test_the_application_is_its_user_and_no_more(lab: Lab) -> None:
    conf = (
        TMPFS + "uid 1000\ngid 1001\ngroup 7\ngroup 8\ndirectory /tmp\nopen-files 77\nhostname lab\n"
        "environment A=b c\nenvironment PATH=/bin\n"
    )
    with lab.boot("ids", "environment", "descriptors", "open-stdout", conf=conf) as machine:
        assert machine.end() == 0
    assert machine.output == [
        "uid=1000 euid=1000 gid=1001 groups=7,8, session=1 directory=/tmp files=77 no_new_privs=1 back_to_root=0 "
        "stdin=0 host=lab",
        "environment A=b c",
        "environment PATH=/bin",
        "descriptors=0,1,2,",
        "opened by name",
    ]


@pytest.mark.parametrize(
    ("conf", "words", "code"),
    [
        ("argument /bin/guest\nfoo bar\n", "agent.conf, line 2: unknown directive", NOT_READY),
        ("", "agent.conf: no argument", NOT_READY),
        ("argument /bin/nothing\n", "/bin/nothing: No such file or directory", NO_PROGRAM),
        ("argument /etc\n", "/etc: Permission denied", NO_PROGRAM),
        ("argument /etc/kiln/agent.conf\nrestart always\n", "agent.conf: Permission denied", NO_PROGRAM),
        ("argument /bin/guest\ndirectory /nowhere\n", "/nowhere: No such file or directory", NOT_READY),
        ("argument /bin/guest\nmount ext9 /dev/vda /data ro\n", "mount ext9 on /data: No such device", NOT_READY),
        ("argument /bin/guest\nown /nowhere 1 1\n", "own /nowhere: No such file or directory", NOT_READY),
    ],
)
def test_what_cannot_work_is_named_and_ends_the_machine(lab: Lab, conf: str, words: str, code: int) -> None:
    with lab.boot_with(conf) as machine:
        assert machine.end() == code
    [error] = machine.named("error")
    assert words in f"{error['what']}: {error['error']}"
    assert not machine.named("start")


def test_a_directory_to_mount_on_is_made(lab: Lab) -> None:
    conf = "mount tmpfs tmpfs /new size=1m\nown /new 1000 1000\nuid 1000\ngid 1000\n"
    with lab.boot("write", "/new/file", "x", conf=conf) as machine:
        assert machine.end() == 0
    assert not machine.output


# ---- output ---------------------------------------------------------------------------------------------------


def test_output_of_any_kind_is_valid_json(lab: Lab) -> None:
    raw = b'say "x" \\ \xff \t end\r\n'.hex()
    with lab.boot("bytes", raw, "error", "to stderr", "bytes", (b"y" * 5000).hex()) as machine:
        assert machine.end() == 0
    streams = {(event["stream"], event["line"]) for event in machine.named("output")}
    assert ("stdout", 'say "x" \\ � \t end') in streams
    assert ("stderr", "to stderr") in streams
    long = [event for event in machine.named("output") if event["line"].startswith("y")]
    assert [(len(event["line"]), event.get("more", False)) for event in long] == [(4096, True), (904, False)]


def test_no_line_of_a_flood_goes_missing_unsaid(lab: Lab) -> None:
    with lab.boot("flood", "20000", "print", "done") as machine:
        assert machine.end() == 0
    dropped = sum(event.get("dropped", 0) for event in machine.named("output"))
    dropped += sum(int(e["error"].split()[0]) for e in machine.named("error") if e["what"] == "stdout")
    assert len(machine.output) + dropped == 20001


def test_a_console_nobody_reads_does_not_hold_the_application(lab: Lab) -> None:
    with lab.boot("flood", "20000", "listen", "8080", "forever", conf=SERVING, deaf=True) as machine:
        machine.wait_for(lambda: is_healthy(machine), "health")
        found = values(machine)
        machine.hearing.set()
        machine.say("stop\n")
        assert machine.end() == 0
    assert found["kiln_log_dropped_lines_total stdout"] > 0
    dropped = sum(event.get("dropped", 0) for event in machine.named("output"))
    dropped += sum(int(e["error"].split()[0]) for e in machine.named("error") if e["what"] == "stdout")
    assert len(machine.output) + dropped == 20000


# ---- the kernel -----------------------------------------------------------------------------------------------


def test_kernel_warnings_are_passed_on(lab: Lab) -> None:
    with lab.boot("write", "/dev/kmsg", "<6>quiet", "write", "/dev/kmsg", "<3>loud") as machine:
        machine.end()
    lines = [event["line"] for event in machine.named("kernel")]
    assert "loud" in lines
    assert "quiet" not in lines


def test_a_flood_of_kernel_warnings_is_counted_but_not_passed_on(lab: Lab) -> None:
    with lab.boot("flood-kernel", "2000", "listen", "8080", "forever", conf=SERVING) as machine:
        machine.wait_for_event("healthy")
        found = values(machine)
        machine.say("stop\n")
        assert machine.end() == 0
    assert found["kiln_kernel_messages_total warning"] > 100
    assert found["kiln_kernel_messages_suppressed_total"] + found["kiln_kernel_messages_overwritten_total"] > 0
    assert len(machine.named("kernel")) < 1000


def test_debug_passes_everything_on(lab: Lab) -> None:
    with lab.boot("write", "/dev/kmsg", "<6>quiet", more="kiln_debug=1") as machine:
        machine.end()
    assert "quiet" in [event["line"] for event in machine.named("kernel")]


def test_a_refused_call_is_an_event_and_counted(lab: Lab) -> None:
    with lab.boot("call-nothing", "call-nothing", "forever", conf=SERVING.replace("port 8080\n", "")) as machine:
        machine.wait_for_event("refused")
        machine.wait_for_event("output", 2)  # the kernel's line and the application's come by different ways
        found = values(machine)
    assert (machine.named("refused")[0]["nr"], machine.named("refused")[0]["comm"]) == (480, "guest")
    assert int(machine.named("refused")[0]["ip"], 16) > 0
    assert found["kiln_refused_system_calls_total"] >= 1
    assert machine.output == ["call answered -38"] * 2
