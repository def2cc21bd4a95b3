"""`run`: the application's output and its exit code come out; it ends when asked, and what breaks down is told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.assemble import cpio
from builder.edges.net import free_ports
from builder.errors import HostError, SmokeError
from builder.model import File
from tests.conftest import REPOSITORY, make_checkout

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SOURCE = REPOSITORY / "tests/c/boot/guest.c"
LIMIT_S = 60.0
SCRIPT = """
import sys
import msgspec
from builder.boot.run import run
from builder.configure.recipes import load_platform
from builder.errors import BuilderError
from builder.model import Accelerator, Image
from tests.conftest import REPOSITORY
kernel, rootfs, qemu, ports = sys.argv[1:]
platform = msgspec.structs.replace(load_platform(REPOSITORY / "recipes", "microvm"), qemu_binary=qemu)
published = {8080: int(ports)} if ports else {}
image = Image("guest", kernel, "", rootfs, 32, "microvm", tuple(published))
try:
    sys.exit(run(image, platform, Accelerator("tcg", "a test"), publish=published, disk=None))
except BuilderError as error:
    print(error.message, error.hint, sep="\\n", file=sys.stderr)
    sys.exit(error.exit_code)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel that Kiln makes for `hello`."""
    checkout = make_checkout(tmp_path_factory.mktemp("run"))
    outcome = checkout.run("build", "--app", "hello")
    assert outcome.exit_code == 0, outcome.stderr
    return checkout.root / "dist/hello/kernel"


@pytest.fixture
def start(kernel: Path, tmp_path: Path) -> Start:
    """Starts `run` with a guest (`""`: one without an init) in a process of its own."""

    def started(
        behaviour: str,
        *,
        qemu: str = "qemu-system-x86_64",
        boots: Path = kernel,
        port: str = "",
        temporary: Path = tmp_path,
    ) -> "subprocess.Popen[str]":
        rootfs = tmp_path / "rootfs.cpio"
        rootfs.write_bytes(b"".join(cpio.archive(_tree(behaviour, tmp_path), _content)))
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, boots, rootfs, qemu, port],
            cwd=REPOSITORY, env={**os.environ, "KILN_CACHE": str(tmp_path / "cache"), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return started


def _tree(behaviour: str, folder: Path) -> dict[str, File]:
    devices = {
        "/dev": File("/dev", "directory", 0o755),
        "/dev/console": File("/dev/console", "character-device", 0o600, device=(5, 1)),
    }
    if not behaviour:
        return devices
    program = folder / "init"
    subprocess.run(["musl-gcc", "-static", "-Os", "-w", f"-DBEHAVIOUR={behaviour}", "-o", program, SOURCE], check=True)
    return {**devices, "/init": File("/init", "file", 0o755, size_bytes=program.stat().st_size, host=str(program))}


def _content(file: File) -> list[bytes]:
    return [Path(file.host).read_bytes()]


def finished(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail("it did not end: " + "".join(process.communicate()))
    return process.returncode, stdout, stderr


def told(process: "subprocess.Popen[str]", text: str) -> None:
    """Wait until it has narrated a text."""
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"it ended before it said {text!r}")


def wrapper(folder: Path, command: str) -> str:
    """A QEMU that does something else first."""
    path = folder / "qemu"
    path.write_text(f'#!/bin/sh\n{command}\nexec qemu-system-x86_64 "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_its_output_and_its_exit_code_come_out(start: Start) -> None:
    code, stdout, stderr = finished(start("good"))
    assert (code, stdout) == (0, "Kernel panic - BUG: WARNING: only words\n")
    assert "healthy" in stderr
    assert finished(start("three"))[0] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked(start: Start, number: signal.Signals) -> None:
    process = start("obedient")
    told(process, " healthy")
    process.send_signal(number)
    code, _, stderr = finished(process)
    assert code == 0
    assert "halt code=0" in stderr


def test_it_ends_when_it_is_asked_before_the_agent_is_there(start: Start, tmp_path: Path) -> None:
    code, _, stderr = finished(start("obedient_to_the_word", qemu=wrapper(tmp_path, "kill -INT $PPID")))
    assert code == 0, stderr
    assert "stop reason=host" in stderr


def test_asked_twice_it_is_ended(start: Start) -> None:
    process = start("stubborn")
    told(process, " healthy")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # signals of one kind do not queue
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 137


def test_so_is_one_that_never_speaks(start: Start, tmp_path: Path) -> None:
    asks = wrapper(tmp_path, "kill -INT $PPID; sleep 0.5; kill -TERM $PPID")
    assert finished(start("silent", qemu=asks))[0] == 137


@pytest.mark.parametrize(("behaviour", "why"), [("", "No working init found"), ("dies", "Attempted to kill init")])
def test_a_panic_is_told_and_is_not_this_machines_fault(start: Start, behaviour: str, why: str) -> None:
    code, _, stderr = finished(start(behaviour))
    *_, message, hint = stderr.splitlines()
    assert code == SmokeError.exit_code
    assert message.startswith("guest broke down: ")
    assert why in message
    assert "smoke --app guest" in hint


def test_an_end_without_the_agents_last_word_is_told(start: Start) -> None:
    code, _, stderr = finished(start("no_last_word"))
    assert code == SmokeError.exit_code
    assert "guest broke down: it ended without the agent's last word" in stderr


def test_what_qemu_cannot_do_is_told_in_its_words(start: Start, tmp_path: Path) -> None:
    code, _, stderr = finished(start("good", boots=tmp_path / "absent"))
    assert code == HostError.exit_code
    assert f"{tmp_path / 'absent'}" in stderr
    assert "QEMU ended with exit code 1: " in stderr


def test_a_port_that_is_taken_at_the_last_moment_is_told(start: Start, tmp_path: Path) -> None:
    """Another program takes it after it was looked at and before QEMU wants it."""
    server = "import os, socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    server += "open(sys.argv[2], 'w').close(); time.sleep(3)"
    ready = tmp_path / "ready"
    take = f'"{sys.executable}" -c "{server}" PORT "{ready}" & until [ -e "{ready}" ]; do sleep 0.01; done'
    port = str(free_ports([0])[0])
    code, _, stderr = finished(start("good", qemu=wrapper(tmp_path, take.replace("PORT", port)), port=port))
    assert code == HostError.exit_code
    assert port in stderr.splitlines()[-2]


def test_nothing_is_left_of_it(start: Start, tmp_path: Path) -> None:
    assert finished(start("good"))[0] == 0
    assert not list(tmp_path.glob("kiln-*"))
    assert not list((tmp_path / "cache/scratch").iterdir())


def test_a_temporary_folder_with_a_long_name_does_not_matter(start: Start, tmp_path: Path) -> None:
    """The path of a socket has at most 108 bytes."""
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    code, _, stderr = finished(start("good", temporary=deep))
    assert code == 0, stderr
