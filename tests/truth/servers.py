"""Servers of Debian packages (fetched through Kiln's own edges) and compiled ones, with the loads that show what they
do; their traces are kept in `traces/` and recorded anew where the packages have changed since."""

from collections.abc import Callable, Mapping
from pathlib import Path

from builder.edges import archive
from builder.edges.apt import Archive
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_file
from builder.inputs.gather import SUITE
from builder.model import Package, Tree, Value
from builder.traced import Trace
from tests.truth import recorded, small, workloads
from tests.truth.judge import Case, Truth, applies
from tests.truth.session import CannotRun, Session

TRACES = Path(__file__).parent / "traces"
OVERLAY = Path(__file__).parent / "overlay"
# sections of what packages depend on for installing them, not for running
NOT_TO_RUN = ("admin", "perl", "misc", "utils")


class Server(Value, frozen=True):
    """A program of some packages, what a definition would name as its plugins, and the load."""

    packages: tuple[str, ...]
    program: str
    load: Callable[[Session], None]
    plugins: tuple[str, ...] = ()


SERVERS: Mapping[str, Server] = {
    "nginx": Server(("nginx-light",), "/usr/sbin/nginx", workloads.nginx),
    "redis": Server(("redis-server",), "/usr/bin/redis-server", workloads.redis),
    "memcached": Server(("memcached",), "/usr/bin/memcached", workloads.memcached),
}
NAMES = tuple(SERVERS)


def case(name: str, store: Store) -> Case:
    """The server's program among the files of its packages."""
    server = SERVERS[name]
    return Case(name, server.program, _files(server, store), server.plugins)


def truth(name: str, store: Store, *, live: bool = False) -> Truth:
    """The server and its trace: the kept one if it is of the same files, else (or if `live`) recorded now."""
    found = case(name, store)
    kept = TRACES / f"{name}.json"
    if not live and kept.exists():
        trace = recorded.load(kept)
        if applies(trace, found.tree, digest_file):
            return Truth(found, trace)
    return Truth(found, record(found))


def record(found: Case) -> Trace:
    """Run the server with its load below a root folder of its own. Raises CannotRun."""
    with scratch_folder("truth") as scratch:
        root = scratch / "root"
        archive.lay_out((found.tree,), root)
        for name in ("tmp", "run", "var/log", "var/lib", "root"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "tmp").chmod(0o1777)
        session = Session(root, found.name, found.program)
        SERVERS[found.name].load(session)
        return small.join(found.name, session.traces)


def _files(server: Server, store: Store) -> Tree:
    packages = [p for p in Archive(SUITE).candidates(server.packages) if _runs(p, server)]
    files = Archive(SUITE).fetch(packages, store)
    tree = dict(archive.folder_tree(OVERLAY, "overlay"))
    for package, deb in zip(packages, files, strict=True):
        tree.update(archive.unpacked(package, deb, store))
    return tree


def _runs(package: Package, server: Server) -> bool:
    needless = package.section in NOT_TO_RUN or package.name.startswith(("perl", "libperl"))
    return package.name in server.packages or not needless


__all__ = ["NAMES", "SERVERS", "CannotRun", "case", "record", "truth"]
