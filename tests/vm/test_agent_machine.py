"""The agent as process 1 of a real machine: what it starts, watches, reports, and how the machine ends.

The kernel is one that Kiln makes for the agent and the test application, by analysis; `KILN_TEST_KERNEL` names another
(then calls are refused only if it is a kernel of Kiln).
"""

import hashlib
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.vm.agent_machine import Lab, Machine

pytestmark = [pytest.mark.vm, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "recipes"
SOURCE = REPOSITORY / "tests" / "c" / "agent" / "guest.c"
SEGV, KILLED, NOT_READY, NO_PROGRAM = 128 + 11, 128 + 9, 126, 127
SERVING = "network yes\nport 8080\nagent-port 9100\n"
TMPFS = "mount tmpfs tmpfs /tmp nosuid,nodev,size=8m,mode=1777,uid=0\n"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test application, static."""
    program = tmp_path_factory.mktemp("guest") / "guest"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", str(program), str(SOURCE)], check=True)
    return program


def agent(*, network: bool, **parts: bool) -> bytes:
    from builder.compile.agent import build  # noqa: PLC0415
    from builder.edges.store import Store  # noqa: PLC0415

    return Path(build(RECIPES / "agents" / "kiln", Store(), network=network, **parts)["/init"].host).read_bytes()


@pytest.fixture(scope="module")
def kernel(guest: Path) -> Path:
    """A kernel for the agent and the test application."""
    if chosen := os.environ.get("KILN_TEST_KERNEL"):
        return Path(chosen)
    from tests.vm.agent_kernel import build  # noqa: PLC0415

    return build(guest, RECIPES, REPOSITORY / "images")


@pytest.fixture(scope="module")
def lab(kernel: Path, guest: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(kernel, agent(network=True), guest.read_bytes(), tmp_path_factory.mktemp("images"))


def values(machine: Machine) -> dict[str, float]:
    """The agent's metrics, read by the reference parser; labels in the keys."""
    answer = machine.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families: list[Any] = list(text_string_to_metric_families(answer.text))  # type: ignore[no-untyped-call]
    samples = (sample for family in families for sample in family.samples)
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def is_healthy(machine: Machine) -> bool:
    try:
        return machine.get("/healthz").ok
    except requests.RequestException:
        return False


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


def test_without_network_there_is_nothing_of_it(lab: Lab, kernel: Path) -> None:
    offline = Lab(kernel, agent(network=False), lab.guest, lab.folder)
    with offline.boot("print", "alone", "exit", "7", ports=()) as machine:
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


# ---- signs of life --------------------------------------------------------------------------------------------


def test_heartbeats_tell_how_it_goes_also_without_a_network(lab: Lab, kernel: Path) -> None:
    offline = Lab(kernel, agent(network=False), lab.guest, lab.folder)
    with offline.boot("forever", conf="heartbeat-ms 200\n", ports=()) as machine:
        machine.wait_for_event("heartbeat", 3)
        machine.say("stop\n")
        assert machine.end() == 0
    beats = machine.named("heartbeat")
    assert [beat["seq"] for beat in beats] == list(range(1, len(beats) + 1))
    last = beats[-1]
    assert (last["up"], last["healthy"], last["processes"], last["crashes"]) == (True, True, 1, 0)
    assert 0 < last["rss"] < last["memory"]
    assert 0 < last["free"] < last["memory"]
    assert last["open_files"] >= 3


def test_heartbeats_go_on_while_the_application_is_down(lab: Lab) -> None:
    conf = "heartbeat-ms 50\nrestart always\n"
    with lab.boot("exit", "1", conf=conf) as machine:
        machine.wait_for(lambda: any(not beat["up"] for beat in machine.named("heartbeat")), "a heartbeat between")
        machine.say("stop\n")
        machine.end()


# ---- files that are what they were ------------------------------------------------------------------------------

DIGESTS = "/etc/kiln/digests"
FILES = {"/data/a": b"unchanged" * 5000, "/data/b": b"", "/data/c\\d": b"odd"}


def with_digests(lab: Lab, **changed: bytes) -> dict[str, bytes]:
    """The files and the list that they are compared with; some files differ from it."""
    listed = {**FILES, "/bin/guest": lab.guest, **{f"/data/{name}": b"expected" for name in changed}}
    lines = [
        f"{hashlib.sha256(data).hexdigest()} {len(data)} {path}".replace("\\", "\\\\") + "\n"
        for path, data in sorted(listed.items())
    ]
    return {**FILES, **{f"/data/{name}": data for name, data in changed.items()}, DIGESTS: "".join(lines).encode()}


def test_files_that_are_as_they_were_are_found_to_be_so_again_and_again(lab: Lab) -> None:
    with lab.boot("forever", conf="verify-ms 100\n", files=with_digests(lab)) as machine:
        machine.wait_for_event("verified", 2)
    assert {(event["files"], event["changed"]) for event in machine.named("verified")} == {(4, 0)}
    assert not machine.named("changed")


def test_a_file_that_changed_is_told_every_time(lab: Lab) -> None:
    files = {**with_digests(lab, longer=b"expected more", other=b"EXPECTED", shorter=b"", gone=b"x"), "/data/own": b"1"}
    del files["/data/gone"]
    with lab.boot("forever", conf="verify-ms 100\n", files=files) as machine:
        machine.wait_for_event("verified", 2)
    assert {(event["files"], event["changed"]) for event in machine.named("verified")} == {(8, 4)}
    told = [(event["path"], event["found"]) for event in machine.named("changed")][:4]
    assert told == [
        ("/data/gone", "gone"),
        ("/data/longer", "other content"),
        ("/data/other", "other content"),
        ("/data/shorter", "other content"),
    ]


def test_an_application_does_not_start_from_files_that_changed(lab: Lab) -> None:
    conf = "verify-first yes\nverify-ms 0\n"
    with lab.boot("exit", "0", conf=conf, files=with_digests(lab)) as machine:
        assert machine.end() == 0
    assert machine.named("verified", "start")[0]["event"] == "verified"
    with lab.boot("exit", "0", conf=conf, files=with_digests(lab, other=b"EXPECTED")) as machine:
        assert machine.end() == 125
    assert not machine.named("start")


@pytest.mark.parametrize("found", [None, b"no digest\n", b"0" * 64, b"0" * 5000 + b"\n", b"\n"])
def test_a_list_that_is_none_is_a_change(lab: Lab, found: bytes | None) -> None:
    files = {} if found is None else {DIGESTS: found}
    with lab.boot("exit", "0", conf="verify-first yes\n", files=files) as machine:
        assert machine.end() == 125
    assert [event["path"] for event in machine.named("changed")] == [DIGESTS]


# ---- the pages ------------------------------------------------------------------------------------------------


def test_healthy_is_who_listens(lab: Lab) -> None:
    with lab.boot("sleep", "1500", "listen", "8080", "print", "listening", "forever", conf=SERVING) as machine:
        machine.wait_for_event("start")
        early = machine.get("/healthz")
        assert (early.status_code, early.json()["status"]) == (503, "unhealthy")
        assert "8080" in early.json()["reason"]
        assert not machine.named("healthy")
        assert values(machine)["kiln_application_healthy"] == 0
        machine.wait_for_event("healthy")
        late = machine.get("/healthz")
        assert (late.status_code, late.json()) == (200, {"status": "healthy"})
        found = values(machine)
    assert found["kiln_application_up"] == found["kiln_application_healthy"] == found["kiln_application_processes"] == 1


def test_metrics_tell_what_happened(lab: Lab) -> None:
    conf = TMPFS + SERVING + "restart on-failure\nopen-files 99\nuid 1000\ngid 1000\n"
    words = ("first-time", "/tmp/mark", "3", "print", "x", "orphan", "listen", "8080", "forever")
    with lab.boot(*words, conf=conf) as machine:
        machine.wait_for_event("healthy")
        first, second = values(machine), values(machine)
    assert first["kiln_application_restarts_total"] == 1
    assert first["kiln_application_processes"] == 1  # the orphan was reaped
    assert first["process_max_fds"] == 99
    assert first["process_open_fds"] == 4  # three standard ones and the socket
    assert first["process_resident_memory_bytes"] > 0
    assert first["kiln_log_lines_total stdout"] == 1
    assert abs(first["process_start_time_seconds"] - time.time()) < 3600
    assert 0 < first["kiln_memory_free_bytes"] < first["kiln_memory_size_bytes"] <= 64 << 20
    assert first["process_resident_memory_peak_bytes"] >= first["process_resident_memory_bytes"]
    assert first["process_page_faults_total minor"] > 0
    boot = [first[f"kiln_boot_seconds {milestone}"] for milestone in ("agent", "application", "healthy")]
    assert 0 < boot[0] <= boot[1] <= boot[2] < first["kiln_uptime_seconds"]
    assert second["kiln_context_switches_total"] >= first["kiln_context_switches_total"] > 0
    assert second["kiln_forks_total"] >= first["kiln_forks_total"] > 3
    assert second["kiln_tcp_opens_total peer"] == first["kiln_tcp_opens_total peer"] + 1  # this very request
    assert second["kiln_tcp_segments_total receive"] > first["kiln_tcp_segments_total receive"]
    assert second["kiln_network_receive_bytes_total eth0"] > first["kiln_network_receive_bytes_total eth0"]
    assert second["kiln_agent_requests_total"] == first["kiln_agent_requests_total"] + 1
    assert second["process_cpu_seconds_total"] >= first["process_cpu_seconds_total"]


def test_other_requests_are_refused(lab: Lab) -> None:
    with lab.boot("listen", "8080", "forever", conf=SERVING) as machine:
        machine.wait_for_event("healthy")
        head = machine.get("/metrics", method="HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 1000
        assert machine.get("/").status_code == 404
        refused = machine.get("/metrics", method="POST")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        for sent, status in ((b"\x16\x03\x01\n\n", b"400"), (b"GET /" + b"x" * 4000, b"431")):
            with machine.connect() as client:
                client.sendall(sent)
                assert client.makefile("rb").readline().split()[1] == status


def test_slow_clients_keep_nobody_out(lab: Lab) -> None:
    with lab.boot("listen", "8080", "forever", conf=SERVING) as machine:
        machine.wait_for_event("healthy")
        slow = [machine.connect() for _ in range(12)]
        for client in slow:
            client.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        assert machine.get("/healthz").status_code == 200
        for client in slow:
            client.close()
        machine.say("stop\n")
        assert machine.end() == 0
