"""The images of this repository build, boot, pass, and answer real clients."""

import functools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from prometheus_client.openmetrics import parser

from tests.conftest import Checkout, make_checkout, wait_for

openmetrics: Callable[[str], Any] = parser.text_string_to_metric_families
pytestmark = [pytest.mark.vm, pytest.mark.slow]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout in which every image of this module is built."""
    return make_checkout(tmp_path_factory.mktemp("images"))


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A machine started by `invoke run`, with its guest ports published on loopback."""

    def __init__(self, process: "subprocess.Popen[str]", ports: dict[int, int]) -> None:
        self.process = process
        self.ports = ports
        self.lines: list[str] = []
        for stream in (process.stdout, process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: "Iterator[str]") -> None:
        self.lines.extend(stream)

    def url(self, guest_port: int, path: str) -> str:
        return f"http://127.0.0.1:{self.ports[guest_port]}{path}"

    def answers(self, guest_port: int, path: str) -> bool:
        try:
            return requests.get(self.url(guest_port, path), timeout=1).ok
        except requests.RequestException:
            return False

    def stop(self, number: int = signal.SIGINT) -> int:
        os.killpg(self.process.pid, number)
        return self.process.wait(timeout=30)


@contextmanager
def running(checkout: Checkout, app: str, *guest_ports: int) -> Iterator[Running]:
    ports = {guest: free_port() for guest in guest_ports}
    wishes = [word for guest, host in ports.items() for word in ("--publish", f"{host}:{guest}")]
    process = checkout.start("run", "--app", app, *wishes)
    try:
        yield Running(process, ports)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("app", ["hello", "myservice", "nginx", "redis"])
def test_every_image_builds_boots_and_passes_its_checks(built: Checkout, app: str) -> None:
    outcome = built.run("build", "--app", app, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    report = outcome.document
    assert report["verdict"]["passed"]
    assert report["verdict"]["refused"] == []
    assert report["syscalls_kept"] < report["syscalls_total"]
    left = {path.name for path in (built.root / "dist" / app).iterdir()}
    assert {"kernel", "rootfs.cpio", "image.json", "needs.json", "kernel.config", "serial.log", "run.sh"} <= left


def test_nginx_passes_on_a_pci_machine_too(built: Checkout) -> None:
    outcome = built.run("build", "--app", "nginx", "--platform", "q35", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["platform"] == "q35"
    assert outcome.document["verdict"]["passed"]


def test_nothing_is_made_twice(built: Checkout) -> None:
    assert built.run("build", "--app", "hello").exit_code == 0
    again = built.run("build", "--app", "hello", "--json").document
    assert all(stage["cached"] for stage in again["stages"])
    plan = built.run("build", "--app", "hello", "--dry-run", "--json").document
    assert not any(stage["run"] for stage in plan["stages"])


def test_hello_passes_its_exit_code_out_of_the_machine(built: Checkout) -> None:
    assert built.run("build", "--app", "hello").exit_code == 0
    outcome = built.run("run", "--app", "hello")
    assert outcome.exit_code == 0
    assert "hello" in outcome.stdout.lower()


def test_myservice_keeps_what_it_is_given(built: Checkout) -> None:
    assert built.run("build", "--app", "myservice").exit_code == 0
    with running(built, "myservice", 8080, 9100) as machine:
        wait_for(lambda: machine.answers(8080, "/health"), 30, "myservice")
        stored = requests.put(machine.url(8080, "/items/one"), json={"colour": "blue"}, timeout=5)
        assert stored.ok
        assert requests.get(machine.url(8080, "/items/one"), timeout=5).json()["value"] == {"colour": "blue"}
        assert requests.delete(machine.url(8080, "/items/one"), timeout=5).ok
        assert requests.get(machine.url(8080, "/items/one"), timeout=5).status_code == 404
        metrics = requests.get(machine.url(9100, "/metrics"), timeout=5)
        families = {family.name for family in openmetrics(metrics.text)}
        assert "kiln_application_up" in families
        assert requests.get(machine.url(9100, "/healthz"), timeout=5).json()["status"] == "healthy"
        assert machine.stop() == 0


def test_redis_data_outlives_the_machine(built: Checkout) -> None:
    assert built.run("build", "--app", "redis").exit_code == 0
    for expected, value in ((None, "first"), (b"first", "second")):
        with running(built, "redis", 6379) as machine:
            client = redis.Redis(port=machine.ports[6379], socket_timeout=5)
            wait_for(functools.partial(_pings, client), 30, "redis")
            assert client.get("kiln") == expected
            client.set("kiln", value)
            assert machine.stop(signal.SIGTERM) == 0


def _pings(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def test_a_port_in_use_is_named_before_anything_boots(built: Checkout) -> None:
    assert built.run("build", "--app", "nginx").exit_code == 0
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        outcome = built.run("run", "--app", "nginx", "--publish", f"{port}:8080")
    assert outcome.exit_code == 4
    assert str(port) in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_explain_gives_the_evidence(built: Checkout) -> None:
    assert built.run("build", "--app", "nginx").exit_code == 0
    evidence = built.run("explain", "--app", "nginx", "--syscall", "epoll_wait").stdout
    assert "/libc.so.6+0x" in evidence
    assert "_start@nginx → main →" in evidence
    assert "syscall:epoll" in built.run("explain", "--app", "nginx", "--option", "EPOLL").stdout
    assert "not kept" in built.run("explain", "--app", "nginx", "--syscall", "bpf").stdout
    assert "deb:libc6" in built.run("explain", "--app", "nginx", "--file", "/lib/x86_64-linux-gnu/libc.so.6").stdout


def test_the_image_boots_by_hand(built: Checkout) -> None:
    assert built.run("build", "--app", "hello").exit_code == 0
    script = Path(built.root, "dist", "hello", "run.sh")
    done = subprocess.run([str(script)], capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert b'"event":"halt"' in done.stdout.replace(b" ", b"")
