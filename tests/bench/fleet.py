"""How long `outdated` takes for a fleet: generated variants of the real images, all under older locks.

    .venv/bin/python -m tests.bench.fleet [--images 1000] [--vary]

Every variant has its own name, ports and memory; with `--vary` its own environment too, which changes what hints and
analysis have to look at. The locks are the real ones with one library, and the kernel, at an older version. The first
run of a machine also analyses both versions of the library and compares the kernels' sources: run it twice.
"""

import argparse
import os
import resource
import shutil
import time
from pathlib import Path

import msgspec

from builder import outdated
from builder.console import Console
from builder.edges.apt import Archive
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store
from builder.inputs import lockfile, renew
from builder.pipeline import Place

ROOT = Path(__file__).parents[2]
OLDER = {"libssl3": "3.0.20-1~deb12u2", "linux-source-6.12": "6.12.115-2~deb12u1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--vary", action="store_true")
    parser.add_argument("--processes", type=int, default=0)
    wanted = parser.parse_args()
    with scratch_folder("fleet") as root:
        made(root, wanted.images, vary=wanted.vary)
        started, used = time.monotonic(), time.process_time()
        found = outdated.outdated(Place(root), [], Store(), Console(quiet=True))
        verdicts: dict[str, int] = {}
        for state in found.images:
            verdicts[state.verdict] = verdicts.get(state.verdict, 0) + 1
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{len(found.images)} images: {time.monotonic() - started:.2f} s on {len(os.sched_getaffinity(0))} cores"
            f" ({time.process_time() - used:.2f} s of one), {memory:.0f} MiB at most; {verdicts};"
            f" {len(found.affected)} to rebuild, {found.kernels} kernels to build"
        )


def made(root: Path, count: int, *, vary: bool) -> None:
    """A checkout with generated images."""
    shutil.copytree(ROOT / "recipes", root / "recipes")
    archive = Archive("bookworm")
    older = archive.describe([f"{name}={version}" for name, version in OLDER.items()])
    real = sorted(path.parent for path in (ROOT / "images").glob("*/image.toml"))
    for number in range(count):
        folder = real[number % len(real)]
        target = root / "images" / f"{folder.name}-{number}"
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("trace.json"))
        text = (folder / "image.toml").read_text().replace("8080", str(8000 + number % 900))
        if "memory_mib" in text:
            text = text.replace("memory_mib = 48", f"memory_mib = {48 + number % 16}")
        if vary:
            text = text.replace("[run]", f'[run]\nenvironment = {{ NUMBER = "{number}" }}', 1)
        (target / "image.toml").write_text(text)
        lock = lockfile.read_lock(folder / "image.lock")
        assert lock is not None
        lock = renew.renewed(lock, older)
        lockfile.write_lock(target / "image.lock", msgspec.structs.replace(lock, made={}, image={}))


if __name__ == "__main__":
    main()
