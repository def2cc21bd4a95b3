"""Every guest, however it misbehaves, ends in a verdict that names the cause; none raises, none outlasts its limit."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from builder.analyse.table import names
from builder.assemble import cpio
from builder.boot import serial
from builder.boot.checks import title
from builder.boot.smoke import smoke
from builder.configure.recipes import load_platform
from builder.definition import Check, DebianSource, Definition, ExitCheck, HttpCheck, LogCheck, Run, Smoke, TcpCheck
from builder.model import Accelerator, File, Image, Verdict
from tests.conftest import REPOSITORY, Checkout, make_checkout

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SOURCE = REPOSITORY / "tests/c/boot/guest.c"
PATIENT_S, SHORT_S = 60.0, 5.0  # the latter for guests that only the limit ends
HEALTHY, SHUTDOWN = "agent says healthy", "clean shutdown"
REFUSED, SURPRISES = "no system call refused", "no crash, no kernel warning"
DEVICES = {
    "/dev": File("/dev", "directory", 0o755),
    "/dev/console": File("/dev/console", "character-device", 0o600, device=(5, 1)),
}
Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return make_checkout(tmp_path_factory.mktemp("verdicts"))


def kernel_of(checkout: Checkout, app: str) -> Path:
    outcome = checkout.run("build", "--app", app)
    assert outcome.exit_code == 0, outcome.stderr
    return checkout.root / "dist" / app / "kernel"


@pytest.fixture(scope="module")
def kernel(checkout: Checkout) -> Path:
    """The kernel that Kiln makes for `hello`."""
    return kernel_of(checkout, "hello")


@pytest.fixture(scope="module")
def networked(checkout: Checkout) -> Path:
    """The kernel that Kiln makes for `nginx`."""
    return kernel_of(checkout, "nginx")


@pytest.fixture
def judged(kernel: Path, tmp_path: Path) -> Judge:
    """Boots a guest (`""`: one without an init) and returns the verdict on it."""

    def judge(
        behaviour: str,
        *checks: Check,
        timeout_s: float = PATIENT_S,
        tolerate: Sequence[str] = (),
        boots: Path = kernel,
        ports: tuple[int, ...] = (),
    ) -> Verdict:
        rootfs = tmp_path / "rootfs.cpio"
        rootfs.write_bytes(b"".join(cpio.archive(_tree(behaviour, tmp_path), _content)))
        evidence = tmp_path / "evidence"
        evidence.mkdir()
        verdict = smoke(
            Definition(
                DebianSource(("none",)),
                Run(("/init",), stop_timeout_s=0.5),
                smoke=Smoke(timeout_s, tuple(tolerate), checks),
            ),
            Image("guest", str(boots), "", str(rootfs), 32, "microvm", ports),
            load_platform(REPOSITORY / "recipes", "microvm"),
            Accelerator("tcg", "a test"),
            scratch=evidence,
            syscall_names=names(),
        )
        assert msgspec.json.decode((evidence / "verdict.json").read_bytes(), type=Verdict) == verdict
        assert Path(verdict.serial_log) == evidence / "serial.log"
        assert Path(verdict.serial_log).exists()
        return verdict

    return judge


def _tree(behaviour: str, folder: Path) -> dict[str, File]:
    if not behaviour:
        return DEVICES
    program = folder / "init"
    plain = ["-static", "-Os", "-Wall", "-Wno-unused-function", "-Werror"]
    subprocess.run(["musl-gcc", *plain, f"-DBEHAVIOUR={behaviour}", "-o", program, SOURCE], check=True)
    return {**DEVICES, "/init": File("/init", "file", 0o755, size_bytes=program.stat().st_size, host=str(program))}


def _content(file: File) -> list[bytes]:
    return [Path(file.host).read_bytes()]


def failed(verdict: Verdict) -> dict[str, str]:
    """The checks that failed, with their details."""
    assert not verdict.passed
    assert all(check.detail for check in verdict.checks if not check.passed)
    return {check.name: check.detail for check in verdict.checks if not check.passed}


# ---- guests that pass ---------------------------------------------------------------------------------------------


def test_a_guest_that_does_its_work_and_ends_passes(judged: Judge) -> None:
    verdict = judged("good", LogCheck("only words$"), ExitCheck(0))
    assert verdict.passed, verdict.checks
    assert [check.name for check in verdict.checks] == [
        HEALTHY, "log only words$", "exit code 0", SHUTDOWN, REFUSED, SURPRISES,
    ]  # fmt: skip
    assert [moment.name for moment in verdict.timeline][-3:] == ["agent", "application", "healthy"]
    assert verdict.surprises == verdict.refused == ()


def test_a_guest_that_stops_when_asked_passes(judged: Judge) -> None:
    verdict = judged("obedient")
    assert verdict.passed, verdict.checks
    assert '"event":"stop"' in Path(verdict.serial_log).read_text()


def test_no_byte_is_lost_or_doubled_after_something_was_said_to_the_guest(judged: Judge) -> None:
    verdict = judged("obedient_at_length")
    assert verdict.passed, verdict.checks
    found = serial.events(serial.lines_of(Path(verdict.serial_log).read_bytes()))
    lines = [event.facts["line"] for event in found if event.name == "output"]
    assert lines == [f"still finishing request {number}" for number in range(1000)]


def test_another_exit_code_passes_where_it_is_expected(judged: Judge) -> None:
    verdict = judged("three", ExitCheck(3))
    assert verdict.passed, verdict.checks


def test_a_refused_call_that_is_tolerated_is_told_and_passes(judged: Judge) -> None:
    verdict = judged("refuses", ExitCheck(0), tolerate=["ptrace"])
    assert verdict.passed, verdict.checks
    assert verdict.refused == ("ptrace (101) by app",)


# ---- guests that fail ---------------------------------------------------------------------------------------------


def test_a_guest_that_hangs_silently(judged: Judge) -> None:
    found = failed(judged("silent", timeout_s=SHORT_S))
    assert found[HEALTHY] == "not within the time limit (QEMU says: running): nothing on the serial console"
    assert "no last word" in found[SHUTDOWN]


def test_a_guest_whose_application_is_never_healthy(judged: Judge) -> None:
    detail = failed(judged("unhealthy", timeout_s=SHORT_S))[HEALTHY]
    assert detail.startswith("not within the time limit")
    assert "cannot open the configuration" in detail


def test_a_kernel_without_an_init_panics(judged: Judge) -> None:
    verdict = judged("")
    found = failed(verdict)
    assert found[HEALTHY].startswith("the kernel panicked: ")
    assert "Kernel panic" in found[HEALTHY]
    assert "Kernel panic" in found[SURPRISES]
    assert any("Kernel panic" in words for words in verdict.surprises)


def test_an_agent_that_ends_takes_the_kernel_with_it(judged: Judge) -> None:
    found = failed(judged("dies", ExitCheck(0)))
    assert "Attempted to kill init" in found["exit code 0"]
    assert "Attempted to kill init" in found[SURPRISES]


def test_a_machine_that_reboots_at_once(judged: Judge) -> None:
    detail = failed(judged("reboots_at_once"))[HEALTHY]
    assert detail == "the machine ended: reboot: Restarting system"


def test_an_application_that_ends_before_it_is_healthy(judged: Judge) -> None:
    detail = failed(judged("ends_early", ExitCheck(0)))[HEALTHY]
    assert detail.startswith("it ended with exit code 127 before that: ")
    assert '"event":"exit"' in detail


def test_a_crash(judged: Judge) -> None:
    verdict = judged("crashes", ExitCheck(0))
    found = failed(verdict)
    assert found["exit code 0"] == "it was 139"
    assert found[SURPRISES] == "crash: pid 2 signal 11"
    assert verdict.surprises == ("crash: pid 2 signal 11",)


def test_a_crash_after_which_all_is_well_again(judged: Judge) -> None:
    found = failed(judged("crashes_and_recovers", ExitCheck(0)))
    assert found == {SURPRISES: "crash: pid 2 signal 11; restart: delay_ms 100 restarts 1"}


def test_what_the_guard_reports_is_no_success(judged: Judge) -> None:
    found = failed(judged("guarded", ExitCheck(0)))
    assert found == {SURPRISES: "guard: kind exec verdict audited what /bin/sh"}


def test_a_refused_call_is_named(judged: Judge) -> None:
    verdict = judged("refuses", ExitCheck(0), tolerate=["bpf"])
    assert failed(verdict) == {REFUSED: "ptrace (101) by app"}
    assert verdict.refused == ("ptrace (101) by app",)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [("warns", "WARNING: CPU: 0 PID: 1 at kernel/fork.c"), ("warns_through_the_agent", "BUG: workqueue lockup")],
)
def test_a_warning_of_the_kernel(judged: Judge, behaviour: str, words: str) -> None:
    found = failed(judged(behaviour, ExitCheck(0)))
    assert list(found) == [SURPRISES]
    assert words in found[SURPRISES]


def test_an_error_of_the_agent(judged: Judge) -> None:
    found = failed(judged("cannot_mount", ExitCheck(0)))
    assert found == {SURPRISES: "error: what mount /data error No such device"}


def test_a_machine_that_ends_without_a_last_word(judged: Judge) -> None:
    found = failed(judged("no_last_word", ExitCheck(0)))
    assert "the application did not end" in found["exit code 0"]


def test_and_when_it_was_only_asked_to_stop(judged: Judge) -> None:
    found = failed(judged("no_last_word"))
    assert found[SHUTDOWN].startswith("no last word of the agent: ")


def test_a_last_word_after_which_the_machine_does_not_end(judged: Judge) -> None:
    assert failed(judged("never_ends", ExitCheck(0))) == {SHUTDOWN: "QEMU did not end"}


@pytest.mark.parametrize(("behaviour", "wanted", "got"), [("three", 0, 3), ("good", 3, 0)])
def test_another_exit_code_than_the_expected(judged: Judge, behaviour: str, wanted: int, got: int) -> None:
    assert failed(judged(behaviour, ExitCheck(wanted))) == {f"exit code {wanted}": f"it was {got}"}


def test_a_line_that_is_never_printed(judged: Judge) -> None:
    detail = failed(judged("good", LogCheck("^never"), ExitCheck(0)))["log ^never"]
    assert detail.startswith("no such line: ")
    assert "only words" in detail


def test_an_application_that_does_not_stop(judged: Judge) -> None:
    found = failed(judged("stubborn", timeout_s=2 * SHORT_S))
    assert list(found) == [SHUTDOWN]
    assert "no last word" in found[SHUTDOWN]


def test_an_application_that_stops_badly(judged: Judge) -> None:
    assert failed(judged("obedient_badly")) == {SHUTDOWN: "exit code 143"}


def test_a_guest_that_never_stops_talking(judged: Judge) -> None:
    detail = failed(judged("floods", timeout_s=SHORT_S))[HEALTHY]
    assert detail.startswith("not within the time limit")
    assert "again and again" in detail


def test_a_guest_that_talks_nonsense(judged: Judge) -> None:
    verdict = judged("raves", LogCheck(r"^\[1, 2\]$"))
    found = failed(verdict)
    assert found[SHUTDOWN] == "exit code 1"
    assert "unknown (-1) by" in found[REFUSED]
    assert "crash: " in found[SURPRISES]
    assert r"log ^\[1, 2\]$" not in found


@pytest.mark.parametrize("behaviour", ["trickles", "mute"])
@pytest.mark.parametrize("check", [HttpCheck("/"), TcpCheck("hello", "^never$")], ids=["http", "tcp"])
def test_an_answer_that_never_comes_to_its_end(judged: Judge, networked: Path, behaviour: str, check: Check) -> None:
    found = failed(judged(behaviour, check, timeout_s=SHORT_S, boots=networked, ports=(8080,)))
    assert title(check) in found
    assert set(found) <= {title(check), SHUTDOWN}


def test_a_port_that_nobody_serves(judged: Judge, networked: Path) -> None:
    found = failed(judged("stubborn", HttpCheck("/"), timeout_s=SHORT_S, boots=networked, ports=(8080,)))
    assert found["GET /"].startswith("no answer within the time limit: ")


def test_a_kernel_that_qemu_cannot_load(judged: Judge, tmp_path: Path) -> None:
    detail = failed(judged("good", boots=tmp_path / "absent"))[HEALTHY]
    assert detail.startswith("the machine ended: ")
    assert str(tmp_path / "absent") in detail


def test_a_kernel_that_is_none(judged: Judge, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is no kernel.\n" * 100)
    detail = failed(judged("good", boots=tmp_path / "text", timeout_s=SHORT_S))[HEALTHY]
    assert detail.startswith(("the machine ended: ", "not within the time limit"))
