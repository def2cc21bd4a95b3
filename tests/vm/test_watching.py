"""Running machines from the host: in the background, listed, read, watched by Prometheus, stopped; with and without a
network."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from builder.edges.net import free_ports
from tests import debian
from tests.conftest import REPOSITORY, Checkout, Outcome, make_checkout, wait_for

pytestmark = [pytest.mark.vm, pytest.mark.slow]

LIMIT_S = 60.0
IDLE = """
description = "waits, without a network"
[source]
kind = "build"
toolchain = "musl"
[run]
command = ["/bin/idle"]
[agent]
heartbeat_s = 1
"""
PROGRAM = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"
MAKEFILE = "install:\n\tmkdir -p $(DESTDIR)/bin\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $(DESTDIR)/bin/idle idle.c\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with two images: a server, and one without a network."""
    checkout = make_checkout(tmp_path_factory.mktemp("watching"))
    folder = checkout.define("idle", IDLE)
    shutil.copy(REPOSITORY / "images/hello/image.lock", folder)  # the kernel that the other tests compile
    (folder / "src").mkdir()
    (folder / "src/idle.c").write_text(PROGRAM)
    (folder / "src/Makefile").write_text(MAKEFILE)
    for app in ("myservice", "idle"):
        outcome = checkout.run("build", "--app", app)
        assert outcome.exit_code == 0, outcome.stderr
    return checkout


@pytest.fixture
def ports() -> Mapping[int, int]:
    return free_ports((8080, 9100))


@pytest.fixture
def running(built: Checkout, ports: Mapping[int, int]) -> Iterator[Checkout]:
    """Both run in the background, as new as the test."""
    published = [word for guest, host in ports.items() for word in ("--publish", f"{host}:{guest}")]
    for arguments in (["--app", "myservice", *published], ["--app", "idle"]):
        started = built.run("run", "--detach", *arguments)
        assert started.exit_code == 0, started.stderr
    yield built
    built.run("stop")


def said(outcome: Outcome) -> Any:
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.document


def machines(checkout: Checkout, *arguments: str) -> dict[str, dict[str, Any]]:
    return {row["machine"]["app"]: row for row in said(checkout.run("ps", "--json", *arguments))["machines"]}


def folder_of(checkout: Checkout, name: str) -> Path:
    return checkout.root / "data" / "machines" / name


def test_from_the_start_to_the_end(running: Checkout, ports: Mapping[int, int]) -> None:
    found = machines(running)
    assert {app: row["state"] for app, row in found.items()} == {"myservice": "healthy", "idle": "healthy"}
    assert found["myservice"]["machine"]["ports"] == {str(guest): host for guest, host in ports.items()}
    assert requests.get(f"http://127.0.0.1:{ports[8080]}/health", timeout=10).ok

    assert "listening on port 8080" in running.run("logs", "--app", "myservice").stdout
    lines = [json.loads(line) for line in running.run("events", "--app", "idle", "--json").stdout.splitlines()]
    assert [line["event"] for line in lines][:3] == ["boot", "start", "healthy"]
    assert abs(lines[0]["time"] - time.time()) < LIMIT_S
    assert "heartbeat" not in running.run("events", "--app", "idle").stdout

    name = found["idle"]["machine"]["id"]
    stopped = running.run("stop", "--machine", name)
    assert (stopped.exit_code, stopped.stdout) == (0, f"  {name} ended with exit code 0\n")
    assert machines(running).keys() == {"myservice"}
    assert machines(running, "--all")["idle"]["state"] == "exited 0"
    assert "halt code=0" in running.run("events", "--machine", name).stdout  # its log outlives it


def test_top_asks_the_page_and_where_there_is_none_the_heartbeat(running: Checkout) -> None:
    wait_for(lambda: "heartbeat" in running.run("events", "--app", "idle", "--json").stdout, LIMIT_S, "a heartbeat")
    rows = {row["machine"]["app"]: row for row in said(running.run("top", "--json"))["machines"]}
    assert {app: row["source"] for app, row in rows.items()} == {"myservice": "page", "idle": "heartbeat"}
    for row in rows.values():
        assert row["figures"]["healthy"]
        assert 0 < row["figures"]["resident"] < row["figures"]["memory"]
    assert rows["myservice"]["received"] > 0
    table = running.run("top", "--once").stdout.splitlines()
    assert len(table) == 3
    assert table[0].startswith("MACHINE")


def test_following_ends_with_the_machine(running: Checkout) -> None:
    following = running.start("events", "--app", "myservice", "--follow")
    assert following.stdout
    assert "boot" in following.stdout.readline()
    assert running.run("stop", "--app", "myservice").exit_code == 0
    rest, _ = following.communicate(timeout=LIMIT_S)
    assert rest.splitlines()[-1].endswith("halt code=0")
    assert following.returncode == 0


def test_a_keeper_that_is_killed_takes_its_machine_along(running: Checkout) -> None:
    one = machines(running)["idle"]["machine"]
    os.kill(one["pid"], signal.SIGKILL)
    wait_for(lambda: "idle" not in machines(running), LIMIT_S, "its end")
    assert machines(running, "--all")["idle"]["state"] == "gone"
    wait_for(lambda: not _processes_of(folder_of(running, one["id"])), LIMIT_S, "QEMU's end")


def _processes_of(folder: Path) -> str:
    return subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False).stdout


def test_a_port_that_is_taken_is_told_before_anything_starts(running: Checkout, ports: Mapping[int, int]) -> None:
    outcome = running.run("run", "--app", "myservice", "--detach", "--publish", f"{ports[8080]}:8080")
    assert outcome.exit_code == 4
    assert f"port {ports[8080]} on 127.0.0.1" in outcome.stderr
    assert len(machines(running)) == 2


def test_nobody_there(built: Checkout) -> None:
    assert built.run("ps").stdout.startswith("MACHINE")
    for command in (
        ["stop"],
        ["stop", "--machine", "other-1"],
        ["logs", "--machine", "../x"],
        ["events", "--app", "no"],
    ):
        outcome = built.run(*command)
        assert outcome.exit_code == 2, command
        assert outcome.stderr.startswith("error: no machine"), outcome.stderr
    for listen in ("9464x", "127.0.0.1:", "127.0.0.1:70000"):
        assert built.run("monitor", "--listen", listen).exit_code == 2


@contextmanager
def monitoring(checkout: Checkout) -> Iterator[str]:
    """`monitor` on a free port: its address."""
    process = checkout.start("monitor", "--listen", "127.0.0.1:0")
    assert process.stderr
    try:
        yield process.stderr.readline().split("//")[1].split("/")[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0


def test_prometheus_watches_all_of_them(running: Checkout, ports: Mapping[int, int], tmp_path: Path) -> None:
    with monitoring(running) as address:
        wait_for(lambda: "heartbeat" in running.run("events", "--app", "idle", "--json").stdout, LIMIT_S, "a heartbeat")
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        text = requests.get(f"http://{address}/metrics", headers=accept, timeout=10).text
        families = {one.name: one for one in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
        for name in ("kiln_machine_up", "kiln_application_healthy", "process_resident_memory_bytes"):
            assert {sample.labels["image"] for sample in families[name].samples} == {"myservice", "idle"}
            assert all(sample.value for sample in families[name].samples)

        with prometheus(tmp_path, [address], [f"127.0.0.1:{ports[9100]}"]) as ask:
            wait_for(lambda: ask('up{job="monitor"}') == [1], LIMIT_S, "the first scrape")
            wait_for(lambda: ask('up{job="kiln"}') == [1], LIMIT_S, "the first scrape of the agent itself")
            assert ask('kiln_application_up{job="monitor"}') == [1, 1]
            assert ask('kiln_application_up{job="kiln"}') == [1]
            running.run("stop", "--app", "idle")
            wait_for(lambda: ask('kiln_application_up{job="monitor"}') == [1], LIMIT_S, "it to be gone")
            assert ask("kiln_machine_up") == [1]
            os.kill(machines(running)["myservice"]["machine"]["pid"], signal.SIGKILL)
            wait_for(lambda: ask("kiln_machine_up") == [0], LIMIT_S, "it to be told of")


@contextmanager
def prometheus(folder: Path, monitors: list[str], agents: list[str]) -> Iterator[Any]:
    """Debian's Prometheus, scraping; yields what answers a query with the values found."""
    jobs = [
        {"job_name": name, "static_configs": [{"targets": targets}]}
        for name, targets in (("monitor", monitors), ("kiln", agents))
    ]
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))  # JSON is YAML
    (port,) = free_ports((9090,)).values()
    argv = [str(debian.program("prometheus", "/usr/bin/prometheus")), f"--config.file={config}"]
    argv += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder) as process:
        url = f"http://127.0.0.1:{port}/api/v1/query"

        def ask(query: str) -> list[float]:
            try:
                answer = requests.get(url, {"query": query}, timeout=10).json()
            except requests.RequestException:
                assert process.poll() is None, (folder / "log").read_text()
                return []
            return [float(one["value"][1]) for one in answer.get("data", {}).get("result", [])]

        try:
            yield ask
        finally:
            process.terminate()
