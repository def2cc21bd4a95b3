"""What Debian's patches touch: real old and new versions, judged and rebuilt; the tables of docs/reference/patches.md.

    .venv/bin/python -m tests.bench.patches [packages] [kernels]

`packages` pins one source package at a time to its old version, builds, judges and rebuilds, in a cache that has the
kernels and the fetched packages but no analysis, root file system or verdict of the new version. `kernels` does so for
every step of linux-source, with the image's kernel built from the old source first (minutes each, once).
"""

import sys
import time
from itertools import pairwise
from pathlib import Path

import msgspec

from builder import affected, outdated, preview
from builder.compile import kernel as kernel_compiler
from builder.console import Console
from builder.edges.apt import Archive
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, cache_root
from builder.inputs import definition_file, lockfile, renew
from builder.pipeline import Place
from builder.rebuild_documents import Change, Outdated
from tests.conftest import make_checkout

SUITE = "bookworm"
# image, old versions of the packages of one source, as the archives still have them
PACKAGES = (
    ("nginx", ("libssl3=3.0.20-1~deb12u2",)),
    ("nginx", ("nginx=1.22.1-9+deb12u9", "nginx-common=1.22.1-9+deb12u9")),
    ("nginx", ("libc6=2.36-9+deb12u7",)),
    ("redis", ("redis-server=5:7.0.15-1~deb12u7", "redis-tools=5:7.0.15-1~deb12u7")),
    ("redis", ("libssl3=3.0.20-1~deb12u2",)),
    ("redis", ("libc6=2.36-9+deb12u7",)),
    ("myservice", ("libc6=2.36-9+deb12u7", "libc6-dev=2.36-9+deb12u7", "libc-dev-bin=2.36-9+deb12u7")),
)
KERNELS = ("6.12.107-1~deb12u1", "6.12.111-1~deb12u1", "6.12.113-1~deb12u1", "6.12.115-2~deb12u1", "6.12.117-1~deb12u1")
KEPT = ("apt", "trees", *(f"store/{stage}" for stage in ("kernel", "source", "kconfig", "fragment", "agent", "deb")))
KERNEL_IMAGE = "nginx"


def main() -> None:
    wanted = sys.argv[1:] or ["packages", "kernels"]
    if "packages" in wanted:
        print("| image | patch | files of it | functions changed | of them reachable | verdict | rebuilt in |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for app, pins in PACKAGES:
            print(packages(app, pins), flush=True)
    if "kernels" in wanted:
        print("\n| from | to | files changed | read by the build | present | filtered by file | by function |"
              " functions in the kernel | verdict |")  # fmt: skip
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for old, new in pairwise(KERNELS):
            print(step(old, new), flush=True)


def packages(app: str, pins: tuple[str, ...]) -> str:
    """One row: an image whose packages of one source are old, judged and rebuilt."""
    with scratch_folder("patch") as root:
        checkout = make_checkout(root, KILN_CACHE=str(emptied(root / "cache")))
        lock = root / "images" / app / "image.lock"
        before = lockfile.read_lock(lock)
        assert before is not None
        known = {package.name for group in renew.groups(before) for package in group.packages}
        pins = tuple(pin for pin in pins if pin.partition("=")[0] in known)
        lockfile.write_lock(lock, renew.renewed(before, Archive(SUITE).describe(pins)))
        assert checkout.run("build", "--app", app).exit_code == 0
        started = time.monotonic()
        done = checkout.run("rebuild", "--outdated", "--app", app)
        took = time.monotonic() - started
        assert done.exit_code == 0, done.stderr
        lockfile.write_lock(lock, renew.renewed(before, Archive(SUITE).describe(pins)))
        found = msgspec.json.decode(checkout.run("outdated", "--app", app, "--json").stdout, type=Outdated)
        change = next(c for c in found.images[0].changes if c.packages)
        numbers = f"{len(change.files)} | {_functions(change)}"
        return f"| {app} | {_moved(change)} | {numbers} | {change.verdict} | {took:.1f} s |"


def emptied(cache: Path) -> Path:
    """A cache that has what does not depend on the version of a package: links into the real one."""
    (cache / "store").mkdir(parents=True)
    for part in KEPT:
        (cache / part).symlink_to(cache_root() / part)
    return cache


def _moved(change: Change) -> str:
    return f"{change.input} {change.packages[0].old} → {change.packages[0].new}"


def _functions(change: Change) -> str:
    changed = sum(len(file.functions) + file.unnamed for file in change.files)
    reachable = sum(sum(f.reachable for f in file.functions) + file.unnamed_reachable for file in change.files)
    return f"{changed} | {reachable}"


def step(old: str, new: str) -> str:
    """One row: a kernel of the old source, held against the new one."""
    root = Path(__file__).parents[2]
    place, store = Place(root), Store()
    definition = definition_file.load(place.images, KERNEL_IMAGE)
    lock = outdated.need_lock(place, KERNEL_IMAGE)
    before, after = Archive(SUITE).describe([f"linux-source-6.12={old}", f"linux-source-6.12={new}"])
    seen = preview.preview(place, definition, renew.renewed(lock, [before]), store)
    kernel_compiler.build(seen.source, seen.config, seen.profile, store, jobs=2, progress=Console().progress)
    then = preview.preview(place, definition, renew.renewed(lock, [after]), store)
    change = affected.kernel(Change("linux-6.12", "kernel", "unknown", ""), seen, then, None)
    found = change.kernel
    assert found is not None
    functions = sum(len(file.functions) for file in found.changes if file.present)
    share = [f"{1 - count / found.changed:.1%}" for count in (found.read, found.present)]
    numbers = f"{found.changed} | {found.read} | {found.present} | {share[0]} | {share[1]} | {functions}"
    return f"| {old} | {new} | {numbers} | {change.verdict} |"


if __name__ == "__main__":
    main()
