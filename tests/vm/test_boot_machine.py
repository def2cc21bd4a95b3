"""A machine is a process that is listened to, asked, and never left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.boot import probe
from builder.configure.recipes import load_platform
from builder.edges import qemu
from builder.edges.qemu import Machine
from builder.errors import HostError
from tests.conftest import REPOSITORY, wait_for

pytestmark = pytest.mark.vm

LIMIT_S = 30.0


def argv(machine: Machine, *more: str) -> list[str]:
    """A machine without a guest: its processor has nothing to run, it stays until it is ended."""
    platform = load_platform(REPOSITORY / "recipes", "microvm")
    return [
        platform.qemu_binary, "-machine", platform.machine, *platform.qemu, *platform.accelerators["tcg"].qemu,
        "-m", "32M", "-serial", "stdio", "-qmp", f"unix:{machine.qmp},server=on,wait=off", *more,
    ]  # fmt: skip


def idle(machine: Machine, *more: str) -> list[str]:
    return argv(machine, "-S", *more)


def writes(text: bytes, folder: Path) -> list[str]:
    """Arguments for a guest that writes a text to its serial port, and says no more."""
    code = b"".join(b"\xb0" + bytes([byte]) + b"\x66\xba\xf8\x03\xee" for byte in text) + b"\xf4\xeb\xfd"
    whole = probe.guest().removesuffix(probe.CODE) + code
    # the sizes of the last segment, in the second program header
    sizes = len(code).to_bytes(8, "little") * 2
    at = 64 + 56 + 32
    guest = folder / "writer"
    guest.write_bytes(whole[:at] + sizes + whole[at + 16 :])
    return ["-kernel", str(guest)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_of(qmp: str) -> int:
    """The QEMU that is asked at this place; 0: there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"unix:{qmp},".encode() in (folder / "cmdline").read_bytes() and alive(int(folder.name)):
                return int(folder.name)
    return 0


def running(machine: Machine) -> int:
    """Wait until the machine answers; its QEMU's pid."""
    wait_for(lambda: machine.ask("query-status"), LIMIT_S, "QEMU")
    return pid_of(machine.qmp)


def test_a_machine_runs_until_it_is_ended(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        assert machine.exit_code() is None
        machine.start(idle(machine))
        pid = running(machine)
        assert machine.exit_code() is None
        machine.end()
        assert machine.exit_code() == -signal.SIGKILL
        machine.end()
    assert not alive(pid)


def test_a_machine_ends_when_its_context_is_left(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        machine.start(idle(machine))
        pid = running(machine)
        private = Path(machine.qmp).parent
        assert alive(pid)
    assert not alive(pid)
    assert not private.exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_and_when_it_is_left_by_an_exception(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with Machine(tmp_path) as machine:
            machine.start(idle(machine))
            pids.append(running(machine))
            raise error

    pids: list[int] = []
    with pytest.raises(error):
        interrupted()
    assert pids
    assert not alive(pids[0])


def test_a_machine_dies_with_its_parent(tmp_path: Path) -> None:
    """Nobody is left to end it: the parent is killed without a chance to do anything."""
    script = (
        "import sys, time; from pathlib import Path; from builder.edges.qemu import Machine\n"
        "machine = Machine(Path(sys.argv[1])).__enter__()\n"
        "from tests.vm.test_boot_machine import idle, running\n"
        "machine.start(idle(machine)); print(running(machine), machine.qmp, flush=True); time.sleep(1000)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert parent.stdout
        pid, qmp = parent.stdout.readline().split()
        assert pid_of(qmp) == int(pid) != 0
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not alive(int(pid)), LIMIT_S, "the end of an orphan")


def test_what_the_guest_says_is_there_at_once_and_kept(tmp_path: Path) -> None:
    text = b'[    0.1] raw \x00\xff\n{"event":"halt"}\n'
    with Machine(tmp_path) as machine:
        machine.start(argv(machine, *writes(text, tmp_path)))
        assert machine.wait(lambda: machine.serial() == text, time.monotonic() + LIMIT_S), machine.serial()
    assert (tmp_path / "serial.log").read_bytes() == text


def test_a_machine_ends_at_its_limit_whatever_else_happens(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        machine.start(idle(machine), time.monotonic() + 0.2)
        wait_for(lambda: machine.exit_code() is not None, LIMIT_S, "the machine's limit")
        assert machine.exit_code() == -signal.SIGKILL


def test_a_silent_machine_leaves_an_empty_log(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        machine.start(idle(machine))
    assert (tmp_path / "serial.log").read_bytes() == b""


def test_qemus_own_words_are_kept(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        machine.start(argv(machine, "-kernel", "/nowhere/kernel"))
        machine.wait(lambda: False, time.monotonic() + LIMIT_S)
        assert machine.exit_code() == 1
        assert "/nowhere/kernel" in machine.words()
    assert "/nowhere/kernel" in (tmp_path / "qemu.log").read_text()


def test_a_qemu_that_is_not_installed_is_named_with_what_to_do(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine, pytest.raises(HostError, match="qemu-system-absent: not found") as caught:
        machine.start(["qemu-system-absent"])
    assert "apt-get install" in caught.value.hint
    with pytest.raises(HostError, match="qemu-system-absent: not found"):
        qemu.version("qemu-system-absent")


def test_a_machine_answers_questions(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        assert machine.ask("query-status") is None
        machine.start(idle(machine))
        running(machine)
        status = machine.ask("query-status")
        assert isinstance(status, dict)
        assert status["running"] is False
        assert machine.ask("no-such-question") is None
        assert machine.ask("query-status") == status


def test_a_machine_that_is_stuck_is_not_waited_for_forever(tmp_path: Path) -> None:
    answers: list[object] = []
    with Machine(tmp_path) as machine:
        machine.start(idle(machine))
        pid = running(machine)
        os.kill(pid, signal.SIGSTOP)
        asking = threading.Thread(target=lambda: answers.append(machine.ask("query-status")), daemon=True)
        asking.start()
        asking.join(LIMIT_S)
        assert answers == [None]
        machine.say("stop")
    assert not alive(pid)


def test_a_machine_that_does_not_answer_is_no_error_on_stderr(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from builder.edges.qemu import Machine\n"
        "with Machine(Path(sys.argv[1])) as machine: print(machine.ask('query-status'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_waiting_ends_with_the_condition_the_machine_or_the_time(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        machine.start(idle(machine))
        running(machine)
        assert machine.wait(lambda: True, time.monotonic() - 1)
        assert not machine.wait(lambda: False, time.monotonic() + 0.05)
        assert machine.exit_code() is None
        machine.ask("quit")
        assert not machine.wait(lambda: False, time.monotonic() + 1000)
        assert machine.exit_code() == 0


def test_the_version_is_a_line_of_qemus(tmp_path: Path) -> None:
    platform = load_platform(REPOSITORY / "recipes", "microvm")
    assert qemu.version(platform.qemu_binary).startswith("QEMU emulator version ")
