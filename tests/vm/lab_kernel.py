"""One kernel for all tests of the agent, made by Kiln: what its test applications and its parts need together. A kernel
for each would say little more, and compile for minutes."""

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from builder.analyse import closure, implied, needs
from builder.compile import agent, kernel, source
from builder.configure import recipes, request, resolve
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_file
from builder.inputs import gather, lockfile
from builder.model import Evidence, File, Kernel, KernelConfig, KernelSource, Need, Needs, Profile

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
SOURCES = ROOT / "tests" / "c" / "agent"
APPLICATIONS = ("guest", "attacker", "keeper")
# what the configurations in the tests ask for, as an image definition would
DECLARED = ("mount:proc", "mount:tmpfs", "socket:AF_INET", "socket:AF_PACKET", "syscall:ptrace", "capabilities")
PARTS = ("guard", "secrets", "watchdog")


def build() -> Path:
    """The kernel's file; `KILN_TEST_KERNEL` names another one."""
    chosen = os.environ.get("KILN_TEST_KERNEL")
    return Path(chosen or made(implied.kept(_wanted())).vmlinux)


def made(calls: Sequence[str]) -> Kernel:
    """The kernel with these system calls."""
    store = Store()
    options = config(calls, store)
    return kernel.build(kernel_source(), options, _profile(), store, jobs=os.cpu_count() or 1, progress=lambda _: None)


@cache
def kernel_source() -> KernelSource:
    """The patched source that the first image's lock names: the one that the other tests compile."""
    store = Store()
    locks = [lock for path in sorted(ROOT.glob("images/*/image.lock")) if (lock := lockfile.read_lock(path))]
    package, deb = gather.kernel_package(locks[0], store)
    return source.prepare(package, deb, RECIPES / "patches", store)


def config(calls: Sequence[str], store: Store) -> KernelConfig:
    platform = recipes.load_platform(RECIPES, "microvm")
    options = request.request(_wanted(), recipes.load_rules(RECIPES), platform, _profile(), network=True, disk=False)
    return resolve.resolve(options, calls, kernel_source(), store)


def _profile() -> Profile:
    return recipes.load_profile(RECIPES, "common")


@cache
def _wanted() -> tuple[Need, ...]:
    store = Store()
    declared = tuple(Need(name, (Evidence(how="a test's agent.conf"),)) for name in (*DECLARED, *PARTS))
    with scratch_folder("lab") as folder:
        applications = [_of_application(compiled(each, folder), store).needs for each in APPLICATIONS]
    return implied.merge(*applications, _of_agent(store).needs, declared)


def compiled(application: str, folder: Path) -> Path:
    """A test application's program."""
    program = folder / application
    words = ["musl-gcc", "-static", "-Os", "-Wall", "-o", str(program), str(SOURCES / f"{application}.c")]
    subprocess.run(words, check=True)
    return program


def _of_application(program: Path, store: Store) -> Needs:
    size = program.stat().st_size
    entry = File("/bin/guest", "file", 0o755, sha256=digest_file(program), size_bytes=size, host=str(program))
    tree = {entry.path: entry}
    return needs.analyse(tree, closure.resolve(tree, [entry.path]), store)


def _of_agent(store: Store) -> Needs:
    tree = agent.build(RECIPES / "agents" / "kiln", store, further=("secrets", "health", "watchdog", "dhcp"))
    return needs.analyse(tree, closure.resolve(tree, ["/init"]), store, by="agent")
