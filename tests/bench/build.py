"""How long a user waits: `./invoke build` unchanged, with a forced smoke test, and after a change of the source.

Each figure is the whole command (bootstrap included), the median of the runs. `--cold` measures the first build too,
with an empty cache.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


def measured(root: Path, environment: Mapping[str, str], *arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command, its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(["./invoke", *arguments], cwd=root, env=dict(environment), check=True, capture_output=True)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(what: str, runs: list[tuple[float, float]]) -> None:
    walls, cpus = ([run[i] for run in runs] for i in (0, 1))
    print(
        f"{what:<34} wall {statistics.median(walls):8.2f} s ({min(walls):.2f}-{max(walls):.2f})"
        f"  cpu {statistics.median(cpus):8.2f} s  runs {len(runs)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="also the first build, in a clone with an empty cache")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root, environment = REPOSITORY, dict(os.environ)
        if wanted.cold:
            root = Path(scratch, "clone")
            subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(root)], check=True)
            environment["KILN_CACHE"] = str(Path(scratch, "cache"))
            show("cold, clean clone, empty cache", [measured(root, environment, "build", "--app", wanted.app)])
        else:
            measured(root, environment, "build", "--app", wanted.app)
        again = [measured(root, environment, "build", "--app", wanted.app) for _ in range(wanted.runs)]
        show("unchanged", again)
        forced = [measured(root, environment, "build", "--app", wanted.app, "--smoke") for _ in range(wanted.runs)]
        show("unchanged, smoke test forced", forced)
        source = next((root / "images" / wanted.app / "src").glob("*.c"), None)
        if source is not None:
            show(
                "application's source changed",
                [touched(root, environment, wanted.app, source) for _ in range(wanted.runs)],
            )


def touched(root: Path, environment: Mapping[str, str], app: str, source: Path) -> tuple[float, float]:
    """A build after a new line of code in one source file, which is put back afterwards."""
    backup = source.with_suffix(".backup")
    shutil.copy2(source, backup)
    try:
        with source.open("a") as stream:
            stream.write(f'\nconst char kiln_bench_{time.monotonic_ns()}[] = "changed";\n')
        return measured(root, environment, "build", "--app", app)
    finally:
        shutil.move(backup, source)


if __name__ == "__main__":
    main()
