"""What watching costs: an image with agent and guard, without the guard, and without an agent, in turn in one run.

The others are the same definition with `protect.mode = "off"`, and with `agent.name = "none"` besides (process 1 only
supervises), built in folders of their own. Requests go one after the other over one connection, so that every one is a
handful of system calls. Before each round of requests the machine is booted anew.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from builder.boot.command import command
from builder.console import Console
from builder.definition import HttpCheck
from builder.edges import http, net
from builder.edges.qemu import Machine
from builder.edges.store import Store
from builder.inputs import definition_file
from builder.ledger import Ledger
from builder.model import Accelerator
from builder.pipeline import Built, Place, Wishes, build

REPOSITORY = Path(__file__).parent.parent.parent
WARM, LIMIT_S = 50, 60.0
VARIANTS = {
    "agent and guard": "",
    "agent": '\n[protect]\nmode = "off"\n',
    "neither": '\n[agent]\nname = "none"\n[protect]\nmode = "off"\n',
}


@dataclass(frozen=True)
class Round:
    """One boot: seconds to the first answer, requests a second, QEMU's CPU time for one (its noise is the smaller), the
    slowest of a hundred in ms, the agent's bytes."""

    boot_s: float
    rate: float
    cpu_ms: float
    p99_ms: float
    agent_bytes: float


def made(place: Place, app: str) -> Built:
    store, console = Store(), Console(quiet=True)
    return build(app, place, Wishes(smoke="never"), store, Ledger(store, console, ()), console)


def variant(folder: Path, app: str, text: str) -> Place:
    """A checkout with this image alone, its definition with more lines."""
    folder.mkdir()
    (folder / "recipes").symlink_to(REPOSITORY / "recipes")
    shutil.copytree(REPOSITORY / "images" / app, folder / "images" / app)
    file = folder / "images" / app / "image.toml"
    file.write_text(file.read_text() + text)
    return Place(folder)


def cpu_ms() -> float:
    """CPU time of the machine that runs, the one child of this process that is a QEMU (proc(5), stat)."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for child in children for pid in child.read_text().split()]
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")") for pid in pids]
    (ticks,) = (rest.split() for name, _, rest in stats if "qemu" in name)
    return (int(ticks[11]) + int(ticks[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(built: Built, path: str, requests: int, folder: Path) -> Round:
    image = built.image
    ports = net.free_ports((*image.ports, *((image.agent_port,) if image.agent_port else ())))
    where = f"http://127.0.0.1:{ports[image.ports[0]]}{path}"
    with Machine(folder) as machine:
        started = time.monotonic()
        machine.start(command(image, built.platform, Accelerator("tcg", "chosen"), ports=ports))
        while (answer := http.ask("GET", where, limit_s=0.03)) is None or answer.status != 200:
            if time.monotonic() > started + LIMIT_S:
                raise SystemExit(f"{image.name} does not serve")
        boot_s = time.monotonic() - started
        connection, took = HTTPConnection("127.0.0.1", ports[image.ports[0]], timeout=LIMIT_S), []
        for number in range(WARM + requests):
            if number == WARM:
                used_ms = cpu_ms()
            began = time.monotonic()
            connection.request("GET", path)
            connection.getresponse().read()
            took.append(time.monotonic() - began)
        used_ms = cpu_ms() - used_ms
        page = (
            http.ask("GET", f"http://127.0.0.1:{ports[image.agent_port]}/metrics", limit_s=LIMIT_S)
            if image.agent_port
            else None
        )
    lines = dict(line.rsplit(" ", 1) for line in (page.text if page else "").splitlines() if not line.startswith("#"))
    measured = sorted(took[WARM:])
    agent_bytes = float(lines.get("kiln_agent_resident_memory_bytes", 0))
    return Round(
        boot_s, requests / sum(measured), used_ms / requests, measured[int(len(measured) * 0.99)] * 1000, agent_bytes
    )


def compared(app: str, runs: int, requests: int) -> None:
    checks = definition_file.load(REPOSITORY / "images", app).smoke.check
    path = next(check.path for check in checks if isinstance(check, HttpCheck))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = {
            name: made(variant(folder / str(n), app, text), app) for n, (name, text) in enumerate(VARIANTS.items())
        }
        found: dict[str, list[Round]] = {name: [] for name in images}
        for _ in range(runs):  # in turn, so that a machine that slows down slows all
            for name, built in images.items():
                found[name].append(measure(built, path, requests, folder))
    for name, rounds in found.items():
        boot, rate, cpu, p99 = (
            statistics.median(
                getattr(one, what) / getattr(base, what) for one, base in zip(rounds, found["neither"], strict=True)
            )
            for what in ("boot_s", "rate", "cpu_ms", "p99_ms")
        )
        added_ms = statistics.median(
            (one.boot_s - base.boot_s) * 1000 for one, base in zip(rounds, found["neither"], strict=True)
        )
        image = images[name].image
        root, kernel = Path(image.rootfs).stat().st_size, images[name].kernel.size_bytes
        print(
            f"{app}, {name}: {statistics.median(r.rate for r in rounds):.0f} requests/s ({rate:.3f}), "
            f"CPU {statistics.median(r.cpu_ms for r in rounds):.3f} ms each ({cpu:.3f}), "
            f"p99 {statistics.median(r.p99_ms for r in rounds):.2f} ms ({p99:.3f}), "
            f"boot {statistics.median(r.boot_s for r in rounds):.3f} s ({boot:.3f}, {added_ms:+.0f} ms), "
            f"kernel {kernel:,} B, root {root:,} B, process 1 {rounds[0].agent_bytes:,.0f} B"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="+")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--requests", type=int, default=1000)
    wanted = parser.parse_args()
    for app in wanted.apps:
        compared(app, wanted.runs, wanted.requests)
    print(f"medians of {wanted.runs} rounds of {wanted.requests} requests, TCG; in brackets of the ratios to `neither`")


if __name__ == "__main__":
    main()
