"""What the kernel's guard costs: requests a second, size of the kernel, memory; with it and without, in turn.

The image without it is the same definition with `protect.mode = "off"`, built in a folder of its own. Requests go one
after the other over one connection, so that every one is a handful of system calls.
"""

import argparse
import shutil
import statistics
import tempfile
import time
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


def made(place: Place, app: str) -> Built:
    store, console = Store(), Console(quiet=True)
    return build(app, place, Wishes(smoke="never"), store, Ledger(store, console, ()), console)


def unguarded(folder: Path, app: str) -> Place:
    """A checkout with this image alone, its guard off."""
    (folder / "recipes").symlink_to(REPOSITORY / "recipes")
    shutil.copytree(REPOSITORY / "images" / app, folder / "images" / app)
    file = folder / "images" / app / "image.toml"
    file.write_text(file.read_text() + '\n[protect]\nmode = "off"\n')
    return Place(folder)


def measure(built: Built, path: str, requests: int, folder: Path) -> tuple[float, float, float]:
    """Requests a second, free memory and the agent's in bytes."""
    image = built.image
    ports = net.free_ports((*image.ports, image.agent_port))
    with Machine(folder) as machine:
        machine.start(command(image, built.platform, Accelerator("tcg", "chosen"), ports=ports))
        until = time.monotonic() + LIMIT_S
        while (
            answer := http.ask("GET", f"http://127.0.0.1:{ports[image.agent_port]}/healthz", limit_s=1.0)
        ) is None or (answer.status != 200 and time.monotonic() < until):
            time.sleep(0.1)
        connection = HTTPConnection("127.0.0.1", ports[image.ports[0]], timeout=LIMIT_S)
        for number in range(WARM + requests):
            if number == WARM:
                started = time.monotonic()
            connection.request("GET", path)
            connection.getresponse().read()
        rate = requests / (time.monotonic() - started)
        page = http.ask("GET", f"http://127.0.0.1:{ports[image.agent_port]}/metrics", limit_s=LIMIT_S)
    lines = dict(line.rsplit(" ", 1) for line in (page.text if page else "").splitlines() if not line.startswith("#"))
    return rate, float(lines["kiln_memory_free_bytes"]), float(lines["kiln_agent_resident_memory_bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="+")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    wanted = parser.parse_args()
    for app in wanted.apps:
        checks = definition_file.load(REPOSITORY / "images", app).smoke.check
        path = next(check.path for check in checks if isinstance(check, HttpCheck))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            images = {"with": made(Place(REPOSITORY), app), "without": made(unguarded(folder, app), app)}
            found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in images}
            for _ in range(wanted.runs):  # in turn, so that a machine that slows down slows both
                for name, built in images.items():
                    found[name].append(measure(built, path, wanted.requests, folder))
        medians = {
            name: [statistics.median(figures) for figures in zip(*rows, strict=True)] for name, rows in found.items()
        }
        for name, (rate, free, agent) in medians.items():
            kernel = images[name].kernel.size_bytes
            print(
                f"{app} {name:<8} {rate:8.1f} requests/s  kernel {kernel:,} B  free {free:,.0f} B  agent {agent:,.0f} B"
            )
        ratios = [one[0] / other[0] for one, other in zip(found["with"], found["without"], strict=True)]
        print(f"{app} ratio of requests/s, median of {len(ratios)}: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
