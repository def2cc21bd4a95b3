"""Boot to the first HTTP 200, from QEMU's start, beside QEMU's own floor in the same run; medians.

Connections are short (30 ms): QEMU's user network accepts a connection before the guest answers, so that a longer wait
would round every figure up. The floor is a PVH program that exits at once on the same machine.
"""

import argparse
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from builder.boot import probe
from builder.boot.command import command
from builder.commands import built
from builder.definition import HttpCheck
from builder.edges import net
from builder.edges.qemu import Machine
from builder.inputs import definition_file
from builder.model import Accelerator, Image, Platform
from builder.pipeline import Place

REPOSITORY = Path(__file__).parent.parent.parent
PATIENCE_S, PAUSE_S, LIMIT_S = 0.03, 0.005, 20.0


def first_answer(image: Image, platform: Platform, accelerator: Accelerator, path: str, folder: Path) -> float:
    """Seconds from QEMU's start to the first HTTP 200."""
    ports = net.free_ports(image.ports)
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()
    with Machine(folder) as machine:
        machine.start(command(image, platform, accelerator, ports=ports))
        while (now := time.monotonic() - machine.started_at) < LIMIT_S:
            try:
                answer = net.converse(ports[image.ports[0]], request, lambda got: len(got) > 15, PATIENCE_S)
            except OSError:
                time.sleep(PAUSE_S)  # a refused connection returns at once: a tight loop would only load the guest
                continue
            if answer.startswith(b"HTTP/1.1 200"):
                return time.monotonic() - machine.started_at
        sys.exit(f"{image.name}: no answer within {now:.0f} s")


def floor(platform: Platform, accelerator: Accelerator, folder: Path) -> float:
    """Seconds QEMU takes for a guest that exits at once."""
    guest = folder / "guest"
    guest.write_bytes(probe.guest().replace(struct.pack("<I", probe.COUNT), struct.pack("<I", 1)))
    settings = platform.accelerators[accelerator.name]
    argv = [platform.qemu_binary, "-machine", platform.machine, *platform.qemu, *settings.qemu, "-m", "32M"]
    started = time.monotonic()
    subprocess.run([*argv, "-kernel", str(guest), "-device", probe.DEVICE], check=False, capture_output=True)
    return time.monotonic() - started


def first_path(place: Place, app: str) -> str:
    """The path of an image's first HTTP check."""
    found = definition_file.load(place.images, app).smoke.check
    return next(check.path for check in found if isinstance(check, HttpCheck))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="+")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--path", default="", help="default: the path of the image's first HTTP check")
    wanted = parser.parse_args()
    place = Place(REPOSITORY)
    accelerator = Accelerator("tcg", "chosen")
    paths = {app: wanted.path or first_path(place, app) for app in wanted.apps}
    images = {app: built(place, app) for app in wanted.apps}
    with tempfile.TemporaryDirectory() as scratch:
        folder, platform = Path(scratch), next(iter(images.values()))[1]
        figures: dict[str, list[float]] = {"QEMU's floor": [], **{app: [] for app in wanted.apps}}
        for _ in range(wanted.runs):  # in turn, so that a machine that slows down slows all of them
            figures["QEMU's floor"].append(floor(platform, accelerator, folder))
            for app, (image, its) in images.items():
                figures[app].append(first_answer(image, its, accelerator, paths[app], folder))
    base = statistics.median(figures["QEMU's floor"])
    for name, seconds in figures.items():
        median = statistics.median(seconds)
        spread = f"{min(seconds):.3f}-{max(seconds):.3f}"
        print(f"{name:<14} median {median:.3f} s  ({spread})  {median / base:5.1f} x floor  runs {len(seconds)}")


if __name__ == "__main__":
    main()
