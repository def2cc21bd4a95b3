"""Servers of Debian packages (fetched through Kiln's own edges) and compiled ones, with the loads that show what they
do; their traces are kept in `traces/` and recorded anew where the packages have changed since."""

import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from builder.analyse.configured import Start
from builder.edges import archive
from builder.edges.apt import Archive
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_file
from builder.inputs.gather import SUITE
from builder.model import File, Package, Tree
from builder.traced import Trace
from builder.value import Value
from tests.truth import load_daemons, load_languages, load_more, recorded, small
from tests.truth.judge import Case, Truth, applies
from tests.truth.machine import ENVIRONMENT
from tests.truth.session import CannotRun, Session

EARLIER = Path(__file__).parent / "earlier.toml"
TRACES = Path(__file__).parent / "traces"
OVERLAY = Path(__file__).parent / "overlay"
HTTPD = Path(__file__).parents[1] / "c" / "analyse" / "httpd.c"
# sections of what packages depend on for installing them, not for running
NOT_TO_RUN = ("admin", "perl", "misc", "utils")


class Server(Value, frozen=True):
    """A program, of some packages or compiled from `httpd.c`, what a definition would name as its plugins, its load."""

    kind: str  # language and way of linking
    program: str
    load: Callable[[Session], None]
    packages: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    compile: tuple[str, ...] = ()  # compiler and options
    settings: Mapping[str, str] = {}  # configuration files by guest path, as hints may look at them
    arguments: tuple[str, ...] | None = None  # where they and the settings are all that configures it


def _debian(kind: str, package: str, program: str, load: Callable[[Session], None], *plugins: str) -> Server:
    return Server(kind, program, load, (package,), plugins)


def _configured(server: Server, arguments: tuple[str, ...], settings: Mapping[str, str] | None = None) -> Server:
    return msgspec.structs.replace(server, arguments=arguments, settings=settings or {})


def _httpd(kind: str, *options: str) -> Server:
    return Server(kind, "/bin/httpd", load_languages.httpd, compile=options)


SERVERS: Mapping[str, Server] = {
    "nginx": _configured(
        _debian("C", "nginx-light", "/usr/sbin/nginx", load_daemons.nginx),
        load_daemons.NGINX_ARGUMENTS,
        {load_daemons.NGINX_CONF: load_daemons.NGINX},
    ),
    "redis": _configured(
        _debian("C", "redis-server", "/usr/bin/redis-server", load_daemons.redis),
        (load_daemons.REDIS_CONF,),
        {load_daemons.REDIS_CONF: load_daemons.REDIS},
    ),
    "memcached": _configured(
        _debian("C", "memcached", "/usr/bin/memcached", load_daemons.memcached), load_daemons.MEMCACHED_ARGUMENTS
    ),
    "sqlite3": _debian("C", "sqlite3", "/usr/bin/sqlite3", load_daemons.sqlite3),
    "httpd-musl": _httpd("static musl", "musl-gcc", "-static", "-O2"),
    "httpd-musl-stripped": _httpd("static musl, stripped", "musl-gcc", "-static", "-Os", "-s"),
    "httpd-glibc": _httpd("static glibc", "gcc", "-static", "-O2"),
    "httpd-glibc-stripped": _httpd("static-pie glibc, stripped", "gcc", "-static-pie", "-O2", "-s"),
    "busybox": _debian("static glibc, stripped", "busybox-static", "/bin/busybox", load_languages.busybox),
    "node-exporter": _debian(
        "Go", "prometheus-node-exporter", "/usr/bin/prometheus-node-exporter", load_languages.node_exporter
    ),
    "caddy": _debian("Go", "caddy", "/usr/bin/caddy", load_languages.caddy),
    "sccache": _debian("Rust", "sccache", "/usr/bin/sccache", load_languages.sccache),
    "ripgrep": _debian("Rust", "ripgrep", "/usr/bin/rg", load_languages.ripgrep),
    "fd": _debian("Rust", "fd-find", "/usr/bin/fdfind", load_languages.fd),
    "aria2": _debian("C++", "aria2", "/usr/bin/aria2c", load_languages.aria2),
    "python3.11": _debian(
        "Python", "python3.11", "/usr/bin/python3.11", load_languages.python, "/usr/lib/python3.11/lib-dynload/*.so"
    ),
    "lighttpd": _debian("C", "lighttpd", "/usr/sbin/lighttpd", load_more.lighttpd, "/usr/lib/lighttpd/mod_*.so"),
    "haproxy": _debian("C", "haproxy", "/usr/sbin/haproxy", load_more.haproxy),
    "mosquitto": _debian("C", "mosquitto", "/usr/sbin/mosquitto", load_more.mosquitto),
    "dnsdist": Server("C++ with LuaJIT", "/usr/bin/dnsdist", load_more.dnsdist, ("dnsdist", "libperl5.36")),
    "node": _debian("C++ with V8", "nodejs", "/usr/bin/node", load_more.node),
    "php": _debian("C", "php8.2-cli", "/usr/bin/php8.2", load_more.php),
}
NAMES = tuple(SERVERS)


def case(name: str, store: Store) -> Case:
    """The server's program among the files of its packages."""
    server = SERVERS[name]
    start = None if server.arguments is None else Start((server.program, *server.arguments), ENVIRONMENT)
    return Case(name, server.program, _files(server, store), server.plugins, start)


def truth(name: str, store: Store, *, live: bool = False) -> Truth:
    """The server and its trace: the kept one if it is of the same files, else (or if `live`) recorded now."""
    found = case(name, store)
    kept = TRACES / f"{name}.json"
    if not live and kept.exists():
        trace = recorded.load(kept)
        if applies(trace, found.tree, digest_file):
            return Truth(found, trace)
    return Truth(found, record(found))


@cache
def earlier() -> Mapping[str, tuple[str, ...]]:
    """Names of calls that servers were seen to make in an earlier study, of other versions and under other loads."""
    return {name: tuple(calls.split()) for name, calls in tomllib.loads(EARLIER.read_text()).items()}


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
    tree = dict(archive.folder_tree(OVERLAY, "overlay"))
    if server.compile:
        return tree | {server.program: File(server.program, "file", 0o755, host=str(_compiled(server.compile)))}
    packages = [p for p in Archive(SUITE).candidates(server.packages) if _runs(p, server)]
    for package, deb in zip(packages, Archive(SUITE).fetch(packages, store), strict=True):
        tree.update(archive.unpacked(package, deb, store))
    return tree | {path: File(path, "file", host=str(_written(text))) for path, text in server.settings.items()}


@cache
def _written(text: str) -> Path:
    out = Path(tempfile.mkdtemp(prefix="settings")) / "settings"
    out.write_text(text)
    return out


@cache
def _compiled(command: tuple[str, ...]) -> Path:
    out = Path(tempfile.mkdtemp(prefix="httpd")) / "httpd"
    subprocess.run([*command, "-o", str(out), str(HTTPD)], check=True, timeout=60)
    return out


def _runs(package: Package, server: Server) -> bool:
    needless = package.section in NOT_TO_RUN or package.name.startswith(("perl", "libperl"))
    return package.name in server.packages or not needless


__all__ = ["NAMES", "SERVERS", "CannotRun", "case", "earlier", "record", "truth"]
