"""Secrets and health checks of an image, from its definition to a running machine: the value a test hands over is never
in what a build leaves, and `run` hands over exactly what the image declares.
"""

import shutil
import signal
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.edges.net import free_ports
from tests.conftest import REPOSITORY, Checkout, make_checkout, wait_for

pytestmark = [pytest.mark.vm, pytest.mark.slow]

DEFINITION = """
profile = "common"
[source]
kind = "build"
toolchain = "musl"
[run]
command = ["/bin/app", "show", "/run/secrets/db-password", "show", "/etc/tls/key", "serve", "8080", "200"]
[network]
ports = [8080]
[[files.tmpfs]] # so that the root is read-only
path = "/tmp"
[[secret]]
name = "db-password"
test_file = "test-password"
[[secret]]
name = "tls.key"
path = "/etc/tls/key"
mode = "0440"
test_file = "test-key"
[health]
ready = { http = "/ready" }
live = { tcp = 8080, interval_s = 0.5 }
[smoke]
timeout_s = 20 # a test waits for it
[[smoke.check]]
kind = "log"
expect = "db-password: mode=0400 .*crc=PASSWORD"
[[smoke.check]]
kind = "log"
expect = "key: mode=0440 .*crc=KEY"
[[smoke.check]]
kind = "http"
contains = "ok"
"""
TESTS = {"password": b"only the smoke test knows this", "key": bytes(range(256))}
VALUES = {"password": b"correct horse battery staple", "key": b"\0binary\xff" * 1000}


def crc(value: bytes) -> str:
    return f"{zlib.crc32(value):08x}"


def write(folder: Path, values: Mapping[str, bytes], prefix: str = "") -> None:
    for name, value in values.items():
        (folder / f"{prefix}{name}").write_bytes(value)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the image, built and checked with the values for tests."""
    checkout = make_checkout(tmp_path_factory.mktemp("secrets"))
    text = DEFINITION.replace("PASSWORD", crc(TESTS["password"])).replace("KEY", crc(TESTS["key"]))
    folder = checkout.define_program("keeper", text, (REPOSITORY / "tests/c/agent/keeper.c").read_text())
    shutil.copy(REPOSITORY / "images/hello/image.lock", folder)  # the kernel that the other tests compile
    write(folder, TESTS, "test-")
    outcome = checkout.run("build", "--app", "keeper", timeout_s=2400)
    assert outcome.exit_code == 0, outcome.stderr
    return checkout


@pytest.fixture
def values(built: Checkout, tmp_path: Path) -> Path:
    """A folder with the values of a real machine."""
    write(tmp_path, VALUES)
    return tmp_path


def test_nothing_that_a_build_leaves_holds_a_value(built: Checkout) -> None:
    files = [path for path in (built.root / "dist").rglob("*") if path.is_file()]
    assert {"rootfs.cpio", "kernel", "image.json", "serial.log", "verdict.json"} <= {path.name for path in files}
    for value in TESTS.values():
        assert not [path for path in files if value in path.read_bytes()]


def test_a_new_value_for_tests_is_tested(built: Checkout) -> None:
    folder = built.root / "images/keeper"
    write(folder, {"key": b"another"}, "test-")
    outcome = built.run("build", "--app", "keeper")
    write(folder, TESTS, "test-")
    assert outcome.exit_code == 9
    assert f"crc={crc(TESTS['key'])}: no such line" in outcome.stderr


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ((), "keeper needs db-password, tls.key, and nothing was handed over"),
        (("db-password=password",), "keeper needs tls.key, and nothing was handed over"),
        (("db-password=password", "tls.key=absent"), "--secret tls.key: absent cannot be read"),
        (("other=password",), "--secret other: keeper declares no such secret"),
    ],
)
@pytest.mark.parametrize("further", [(), ("--detach",)], ids=["foreground", "detached"])
def test_run_refuses_before_it_boots(
    built: Checkout, values: Path, wishes: tuple[str, ...], said: str, further: tuple[str, ...]
) -> None:
    options = [f"--secret={wish.replace('=password', f'={values}/password')}" for wish in wishes]
    outcome = built.run("run", "--app", "keeper", *options, *further)
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert '"event"' not in outcome.stdout + outcome.stderr


def test_run_hands_them_over_and_tells_nothing_of_them(built: Checkout, values: Path) -> None:
    port, agent = free_ports([8080, 9100]).values()
    process = built.start(
        "run", "--app", "keeper", f"--secret=db-password={values}/password", f"--secret=tls.key={values}/key",
        f"--publish={port}:8080", f"--publish={agent}:9100",
    )  # fmt: skip
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if " healthy" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, said + stderr
    assert f"size=28 crc={crc(VALUES['password'])}" in stdout
    assert f"size=8000 crc={crc(VALUES['key'])}" in stdout
    kept = [path for path in (built.root / "data").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if VALUES["password"] in path.read_bytes()]
    assert VALUES["password"].decode() not in said + stdout + stderr


def test_so_does_the_script(built: Checkout, values: Path) -> None:
    port, agent = free_ports([8080, 9100]).values()
    script = built.root / "dist/keeper/run.sh"
    environment = {
        **built.environment, "SECRETS": "db-password=password tls.key=key",
        "HOST_8080": str(port), "HOST_9100": str(agent),
    }  # fmt: skip
    log = values / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["sh", script], cwd=values, env=environment, stdin=subprocess.PIPE, stdout=stream, stderr=stream
        )
        wait_for(lambda: b'"event":"healthy"' in log.read_bytes() or process.poll() is not None, 60, "healthy")
        process.communicate(b"stop\n", timeout=60)
    said = log.read_text(errors="replace")
    assert '"event":"halt"' in said, said
    for value in VALUES.values():
        assert f"crc={crc(value)}" in said
