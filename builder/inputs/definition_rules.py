"""What a definition may not say although it is well-formed: it could not work (pure)."""

import posixpath
import re
from collections.abc import Iterator
from ipaddress import ip_address

from builder.definition import BuildSource, Check, Definition, ExitCheck, HealthCheck, HttpCheck, LogCheck, TcpCheck
from builder.definition_guard import Protect
from builder.definition_words import LEASE
from builder.inputs import process_rules, secret_rules
from builder.paths import normalise

Problems = Iterator[tuple[str, str]]  # key path, what is wrong
SYSTEM = ("/", "/proc", "/dev", "/etc", "/etc/kiln")  # what the agent itself needs
GUARD_LIST = 64  # KILN_LIST in recipes/agents/kiln/kernel/guard.h


def problems(found: Definition) -> Problems:
    """Key path and words for everything that is well-formed but cannot work."""
    yield from _source(found)
    yield from _run(found)
    yield from process_rules.problems(found)
    yield from _places(found)
    yield from _protect(found)
    yield from secret_rules.problems(found)
    yield from _health("health.ready", found.health.ready, found)
    yield from _health("health.live", found.health.live, found)
    ports = found.network.ports
    yield from ((f"network.ports[{n}]", f"{port} is there twice") for n, port in enumerate(ports) if port in ports[:n])
    if found.network.is_lent and not ports:
        yield "network.address", "the image has no network: it has no network.ports"
    if found.agent.port in ports:
        yield "agent.port", f"{found.agent.port} is one of network.ports; choose another"
    for table, checks in (("smoke", found.smoke.check), ("trace", found.trace.check)):
        for number, check in enumerate(checks):
            yield from _check(f"{table}.check[{number}]", check, found)


def _source(found: Definition) -> Problems:
    source = found.source
    if isinstance(source, BuildSource):
        directory = posixpath.normpath(source.directory)
        if directory.startswith(("/", "..")) or not directory.isprintable():
            yield "source.directory", f"{source.directory!r} is not a folder beside image.toml"
        if source.toolchain == "musl" and source.packages:
            yield "source.packages", 'libraries of Debian are for toolchain = "gnu"; musl links statically without them'


def _run(found: Definition) -> Problems:
    run = found.run
    yield from process_rules.started("run", run)
    if not run.stop_timeout_s > 0:
        yield "run.stop_timeout_s", "is not a number"
    for table, timeout_s in (("smoke", found.smoke.timeout_s), ("trace", found.trace.timeout_s)):
        if not timeout_s > 0:
            yield f"{table}.timeout_s", "is not a number"


def _protect(found: Definition) -> Problems:
    if found.protect.mode == "off" and found.protect != Protect("off"):
        yield "protect.mode", "is off: the other keys would do nothing"
    for key in ("listen", "connect"):
        if getattr(found.protect, key) and not found.network.ports:
            yield f"protect.{key}", "the image has no network: it has no network.ports"
    for number, port in enumerate(found.protect.listen):
        if not 0 < int(port.partition("/")[0]) < 65536:
            yield f"protect.listen[{number}]", f"{port} is no port"
    for number, peer in enumerate(found.protect.connect or ()):
        address, _, port = peer.rpartition(":")
        if not _is_address(address) or (port != "*" and not 0 < int(port) < 65536):
            yield f"protect.connect[{number}]", f"{peer!r} is not address:port"
    entries = {"exec": found.protect.exec or (), "connect": found.protect.connect or ()}
    entries["listen"] = (*map(str, found.network.ports), *found.protect.listen)
    for key, listed in entries.items():
        if len(listed) > GUARD_LIST:
            yield f"protect.{key}", f"{len(listed)} of them, the guard has room for {GUARD_LIST}"


def _health(key: str, check: HealthCheck | None, found: Definition) -> Problems:
    if check is None:
        return
    if not found.network.ports:
        yield key, "the image has no network: it has no network.ports"
    if (check.tcp is None) == (check.http is None):
        yield key, 'asks one thing: tcp = PORT, or http = "/path"'
    if check.port is not None and check.http is None:
        yield f"{key}.port", "belongs to http"
    if found.agent.port in (check.tcp, check.port):
        yield key, f"{found.agent.port} is the agent's own port"


def _is_address(text: str) -> bool:
    try:
        return text == "*" or bool(ip_address(text.strip("[]")))
    except ValueError:
        return False


def _places(found: Definition) -> Problems:
    mounts = [(f"files.tmpfs[{n}].path", normalise(tmpfs.path)) for n, tmpfs in enumerate(found.files.tmpfs)]
    mounts += [("disk.mount", normalise(found.disk.mount))] if found.disk else []
    for number, (key, path) in enumerate(mounts):
        if path in SYSTEM:
            yield key, f"nothing may be mounted on {path}"
        if found.network.is_lent and f"{path}/".startswith(f"{LEASE}/"):
            yield key, f"{LEASE} is where the agent puts what the network says"
        if any(character.isspace() for character in path):
            yield key, f"{path!r} holds white space"
        for other, earlier in mounts[:number]:
            if path == earlier:
                yield key, f"{path} is mounted twice, see {other}"
            elif earlier.startswith(f"{path}/"):
                yield key, f"{path} would hide {earlier} ({other})"
    for number, tmpfs in enumerate(found.files.tmpfs):
        if tmpfs.size_mib > found.machine.memory_mib:
            yield f"files.tmpfs[{number}].size_mib", f"more than machine.memory_mib ({found.machine.memory_mib})"


def _check(key: str, check: Check, found: Definition) -> Problems:
    if isinstance(check, HttpCheck | TcpCheck):
        if not found.network.ports:
            yield key, "the image has no network.ports to ask"
        elif check.port is not None and check.port not in (*found.network.ports, found.agent.port):
            yield f"{key}.port", f"{check.port} is not one of network.ports"
    if isinstance(check, ExitCheck) and found.run.restart == "always":
        yield key, 'never comes true with run.restart = "always"'
    if isinstance(check, LogCheck | TcpCheck):
        try:
            re.compile(check.expect)
        except (re.error, OverflowError, RecursionError) as error:
            yield f"{key}.expect", f"not a regular expression: {error}"
