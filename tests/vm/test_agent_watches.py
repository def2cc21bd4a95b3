"""What the agent tells of a real machine: heartbeats, files that changed, and its pages."""

import hashlib
import socket
import time

import pytest

from tests.vm import labs
from tests.vm.agent_machine import Lab, Machine
from tests.vm.labs import SERVING, TMPFS, offline, values

pytestmark = [pytest.mark.vm, pytest.mark.slow]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("guest", tmp_path_factory.mktemp("watched"))


# ---- signs of life --------------------------------------------------------------------------------------------


def test_heartbeats_tell_how_it_goes_also_without_a_network(lab: Lab) -> None:
    with offline(lab).boot("forever", conf="heartbeat-ms 200\n", ports=()) as machine:
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


SAID = (b"", b"GET /healthz HTTP/1.0\r\n\r\n", b"\xff\0" * 200, b"GET /metrics HTTP/1.1\r\nHost:", b"\n\n\n")


def visit(machine: Machine, times: int) -> None:
    """Connect, say something, and read to the end: QEMU's user network takes only so many connections at a time."""
    for number in range(times):
        with machine.connect() as client:
            client.sendall(SAID[number % len(SAID)])
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass


def test_thousands_of_connections_leave_nothing_behind(lab: Lab) -> None:
    with lab.boot("listen", "8080", "forever", conf=SERVING) as machine:
        machine.wait_for_event("healthy")
        visit(machine, 500)  # most of its buffers have been used
        first = values(machine)
        visit(machine, 3000)
        last = values(machine)
        machine.say("stop\n")
        assert machine.end() == 0
    assert last["kiln_agent_requests_total"] > first["kiln_agent_requests_total"] + 500
    assert last["kiln_agent_resident_memory_bytes"] <= first["kiln_agent_resident_memory_bytes"] + 16384  # 5 B each
    assert last["kiln_application_restarts_total"] == 0
    assert not machine.named("error", "alert")
