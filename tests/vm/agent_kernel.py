"""A kernel made by Kiln for the agent and the test application: exactly what the analysis says they need."""

import os
from pathlib import Path

from builder.analyse import closure, implied, needs
from builder.compile import agent, kernel, source
from builder.configure import recipes, request, resolve
from builder.edges.store import Store, digest_file
from builder.inputs import gather, lockfile
from builder.model import Evidence, File, Need, Needs

# what the configurations in the tests ask for, as an image definition would
DECLARED = ("mount:proc", "mount:tmpfs", "socket:AF_INET", "capabilities")


def build(program: Path, recipes_folder: Path, images: Path, further: tuple[str, ...] = (), **parts: bool) -> Path:
    """The kernel's file, with `further` needs, for an agent with these parts. The kernel source is that of the first
    image's lock."""
    store = Store()
    declared = tuple(Need(name, (Evidence(how="a test's agent.conf"),)) for name in (*DECLARED, *further))
    wanted = implied.merge(_of_guest(program, store).needs, _of_agent(recipes_folder, store, **parts).needs, declared)
    locks = [lock for path in sorted(images.glob("*/image.lock")) if (lock := lockfile.read_lock(path))]
    package, deb = gather.kernel_package(locks[0], store)
    tree = source.prepare(package, deb, recipes_folder / "patches", store)
    platform = recipes.load_platform(recipes_folder, "microvm")
    profile = recipes.load_profile(recipes_folder, "lean")
    rules = recipes.load_rules(recipes_folder)
    options = request.request(wanted, rules, platform, profile, network=True, disk=False)
    config = resolve.resolve(options, implied.kept(wanted), tree, store)
    made = kernel.build(tree, config, profile, store, jobs=os.cpu_count() or 1, progress=print)
    return Path(made.vmlinux)


def _of_guest(program: Path, store: Store) -> Needs:
    size = program.stat().st_size
    entry = File("/bin/guest", "file", 0o755, sha256=digest_file(program), size_bytes=size, host=str(program))
    tree = {entry.path: entry}
    return needs.analyse(tree, closure.resolve(tree, [entry.path]), store)


def _of_agent(recipes_folder: Path, store: Store, **parts: bool) -> Needs:
    tree = agent.build(recipes_folder / "agents" / "kiln", store, **parts)
    return needs.analyse(tree, closure.resolve(tree, ["/init"]), store, by="agent")
