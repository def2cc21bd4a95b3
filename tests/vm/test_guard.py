"""The kernel's guard in a real machine: what an attacker in the application's place tries is refused and told."""

import time

import pytest

from builder.definition_guard import Protect
from builder.model import Evidence, Need, Needs
from tests.vm import labs
from tests.vm.agent_machine import Event, Lab, Machine
from tests.vm.labs import ORDINARY, guarded, values

pytestmark = [pytest.mark.vm, pytest.mark.slow]

IMAGE = "/etc/kiln/agent.conf"  # a file that came with the image
REFUSED, FORBIDDEN = "Operation not permitted", "Permission denied"
MEMORY = "Out of memory"  # what musl makes of the refusal of anonymous memory
STARTS = Needs((), (Need("syscall:execve", (Evidence(how="a test"),)),))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("attacker", tmp_path_factory.mktemp("guarded"))


def told(machine: Machine) -> list[tuple[str, str, str]]:
    return [(event["kind"], event["verdict"], event["what"]) for event in machine.named("guard")]


def test_what_goes_beyond_the_policy_is_refused_and_told(lab: Lab) -> None:
    words = [
        "exec", "/bin/guest", "exec", "/init", "copy", "/tmp/other", "exec", "/tmp/other", "map-anonymous",
        "map-writable", "protect", "map-copy", "/bin/guest", "serve", "8080", "serve", "8081", "serve-udp", "8080",
        "connect", "10.0.2.2", "9", "connect", "10.0.2.2", "10",
        "connect", "127.0.0.1", "9100", "send-udp", "10.0.2.3", "53", "become", "0", "keep-id", "raw", "packet",
        "trace-child", "mount", "set-clock", "read", "/proc/kiln", "open", "/proc/self/mem",
    ]  # fmt: skip
    with lab.boot(*words, conf=ORDINARY + guarded(Protect(connect=("10.0.2.2:9",)), STARTS)) as machine:
        assert machine.end() == 0
    no = REFUSED
    assert machine.output == [
        "exec: done", f"exec: {no}", f"exec: {no}", f"map-anonymous: {MEMORY}", f"map-writable: {MEMORY}",
        f"protect: {no}",
        f"map-file: {no}", "bind: done", "listen: done", f"bind: {no}", f"listen: {no}", f"bind: {no}", "connect: done",
        f"connect: {no}", "connect: done", f"send: {no}", f"become: {no}", "keep-id: done", f"raw: {no}",
        f"packet: {no}",
        f"trace-child: {no}", f"mount: {no}", f"set-clock: {no}", f"/proc/kiln: {FORBIDDEN}", f"/proc/self/mem: {no}",
    ]  # fmt: skip
    copy = "/tmp/copy"
    pid = machine.named("start")[0]["pid"]
    assert [what if kind != "ptrace" else "" for kind, _, what in told(machine)] == [
        "/init", "/tmp/other", "mmap anonymous memory", "mmap writable memory", "mprotect anonymous memory",
        f"mmap {copy}", "bind tcp port 8081", "listen tcp port 0", "bind udp port 8080", "tcp 10.0.2.2:10",
        "udp 10.0.2.3:53", "capability 7", "family 2 type 3 protocol 1", "family 17 type 2 protocol 0", "",
        "mount tmpfs on /tmp", "capability 25", "call 2 EACCES /proc/kiln", f"/proc/{pid}/mem",
    ]  # fmt: skip
    assert [kind for kind, _, _ in told(machine)] == [
        "exec", "exec", "code", "code", "code", "code", "listen", "listen", "listen", "connect", "connect", "privilege",
        "socket", "socket", "ptrace", "mount", "privilege", "access", "file",
    ]  # fmt: skip
    for event in machine.named("guard"):
        assert (event["verdict"], event["uid"], event["comm"]) == ("denied", 1000, "guest")
        assert event["pid"] == pid or event["kind"] == "exec"
        assert int(event["ip"], 16) > 0


def test_root_is_held_to_it_as_well(lab: Lab) -> None:
    words = [
        "read", "/proc/kiln", "open", "/proc/kiln", "signal-init", "mount", "make-device", "set-clock", "open",
        "/proc/self/mem", "map-file", IMAGE, "open", IMAGE, "map-file", IMAGE, "become", "1000", "become", "0",
    ]  # fmt: skip
    with lab.boot(*words, conf=guarded(Protect())) as machine:
        assert machine.end() == 0
    no = REFUSED
    assert machine.output == [
        f"/proc/kiln: {no}", f"/proc/kiln: {no}", f"signal-init: {no}", f"mount: {no}", f"make-device: {no}",
        f"set-clock: {no}", f"/proc/self/mem: {no}", "map-file: done", f"{IMAGE}: done",
        f"map-file: {no}", "become: done", f"become: {no}",
    ]  # fmt: skip
    pid = machine.named("start")[0]["pid"]
    assert [(kind, what) for kind, _, what in told(machine)] == [
        ("policy", "open"), ("file", "/proc/kiln"), ("signal", "signal 15 to process 1"),
        ("mount", "mount tmpfs on /tmp"),
        ("privilege", "capability 27"), ("privilege", "capability 25"), ("file", f"/proc/{pid}/mem"),
        ("code", f"mmap {IMAGE}"), ("privilege", "capability 7"),
    ]  # fmt: skip
    assert not machine.named("stop")


def test_without_needs_that_start_programs_none_is_started(lab: Lab) -> None:
    with lab.boot("exec", "/bin/guest", conf=ORDINARY + guarded(Protect())) as machine:
        assert machine.end() == 0
    assert machine.output == [f"exec: {REFUSED}"]
    assert told(machine) == [("exec", "denied", "/bin/guest")]


def test_the_agent_itself_may_start_the_application_again(lab: Lab) -> None:
    with lab.boot("no-such-word", conf="restart on-failure\n" + ORDINARY + guarded(Protect())) as machine:
        assert machine.end() == 99
    assert len(machine.named("start")) == 5
    assert not machine.named("guard")


def test_an_audit_tells_and_refuses_nothing(lab: Lab) -> None:
    words = ["exec", "/init", "map-writable", "protect", "serve", "8081", "connect", "10.0.2.2", "10", "trace-child"]
    with lab.boot(*words, conf=ORDINARY + guarded(Protect("audit"))) as machine:
        assert machine.end() == 0
    assert all(line.endswith("done") for line in machine.output[1:])  # /init starts only as process 1
    assert {verdict for _, verdict, _ in told(machine)} == {"audited"}
    assert [kind for kind, _, _ in told(machine)] == ["exec", "code", "code", "listen", "listen", "connect", "ptrace"]


def test_a_flood_is_counted_and_calls_are_counted_truly(lab: Lab) -> None:
    words = ["serve", "8080", "flood", "5000", "getppid", "1234", "raw", "wait"]
    with lab.boot(*words, conf="port 8080\n" + ORDINARY + guarded(Protect())) as machine:
        machine.wait_for(lambda: any(line.startswith("raw") for line in machine.output), "the end of the flood")
        assert machine.get("/healthz").status_code == 200
        found = values(machine)
        time.sleep(1.5)  # one more may be told after a while
        machine.say("stop\n")
        assert machine.end() == 0
    assert machine.output[2] == "flood: 5000 refused"
    assert found["kiln_guard_events_total socket denied"] == 5001
    assert found["kiln_guard_events_total listen allowed"] == 1
    assert found["kiln_guard_lost_events_total"] == 0
    assert found["kiln_system_calls_total getppid"] == 1234
    assert "kiln_system_call_errors_total getppid" not in found
    assert found["kiln_system_calls_total socket"] == 5002
    assert found["kiln_system_call_errors_total socket"] == 5001
    events: list[Event] = machine.named("guard")
    assert 16 <= len(events) < 100


def test_without_a_policy_nothing_is_watched(lab: Lab) -> None:
    with lab.boot("raw", "map-writable", "wait", conf="network yes\nagent-port 9100\n") as machine:
        machine.wait_for(lambda: len(machine.output) == 2, "two lines")
        found = values(machine)
        machine.say("stop\n")
        machine.end()
    assert machine.output == ["raw: done", "map-writable: done"]
    assert not [name for name in found if name.startswith(("kiln_guard", "kiln_system_call"))]
    assert not machine.named("guard", "error")


def test_where_there_is_no_guard_the_agent_says_so_and_goes_on(lab: Lab) -> None:
    with lab.boot_with("argument /bin/guest\nargument raw\nguard stance exec deny\n") as machine:  # without /proc
        assert machine.end() == 0
    assert [event["what"] for event in machine.named("error")] == ["/proc/kiln"]
    assert machine.output == ["raw: done"]


def test_a_sealed_policy_stays(lab: Lab) -> None:
    alone = Lab(lab.kernel, lab.guest, lab.guest, lab.folder)
    with alone.boot_with("", ports=(), more="-- be-init") as machine:
        machine.process.wait(60)
        machine.wait_for(lambda: "seal: Operation not permitted" in machine.lines, "the last word")
    assert [line for line in machine.lines if ": " in line and "reboot" not in line] == [
        "stance exec maybe: Invalid argument",
        "stance exec audit: done",
        "program /nowhere: No such file or directory",
        "port tcp 65536: Invalid argument",
        "peer 10.0.0.1 80: done",
        "seal: done",
        f"stance exec allow: {REFUSED}",
        f"seal: {REFUSED}",
    ]


def test_what_the_kernel_refuses_by_itself_is_told_too(lab: Lab) -> None:
    words = ["exec", "/bin/sh", "open", IMAGE, "fault", "forks", "20"]
    conf = "processes 8\nread-only yes\n" + ORDINARY + guarded(Protect(), STARTS)
    with lab.boot(*words, conf=conf) as machine:
        assert machine.end() == 0
    assert machine.output == [
        "exec: No such file or directory", f"{IMAGE}: Read-only file system",
        "fault: signal 11", "forks: Resource temporarily unavailable",
    ]  # fmt: skip
    assert told(machine) == [
        ("access", "denied", "call 59 ENOENT /bin/sh"),
        ("access", "denied", f"call 2 EROFS {IMAGE}"),
        ("death", "denied", "signal 11"),
        ("limit", "denied", "call 57 EAGAIN"),
    ]


def test_what_is_quiet_is_counted_alone(lab: Lab) -> None:
    conf = "port 8080\n" + ORDINARY + guarded(Protect(quiet=("access",)))
    with lab.boot("serve", "8080", "open", IMAGE, "wait", conf=conf) as machine:
        machine.wait_for(lambda: len(machine.output) == 3, "three lines")
        found = values(machine)
        machine.say("stop\n")
        machine.end()
    assert machine.output[2] == f"{IMAGE}: {FORBIDDEN}"
    assert not machine.named("guard")
    assert found["kiln_guard_events_total access allowed"] == 1
