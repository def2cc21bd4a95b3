"""What a definition may not say although it is well-formed: it could not work (pure)."""

import posixpath
import re
from collections.abc import Iterator

from builder.definition import BuildSource, Check, Definition, ExitCheck, HttpCheck, LogCheck, TcpCheck
from builder.paths import normalise

Problems = Iterator[tuple[str, str]]  # key path, what is wrong
SYSTEM = ("/", "/proc", "/dev", "/etc", "/etc/kiln")  # what the agent itself needs


def problems(found: Definition) -> Problems:
    """Key path and words for everything that is well-formed but cannot work."""
    yield from _source(found)
    yield from _run(found)
    yield from _places(found)
    ports = found.network.ports
    yield from ((f"network.ports[{n}]", f"{port} is there twice") for n, port in enumerate(ports) if port in ports[:n])
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
    if not run.command[0].startswith("/"):
        yield "run.command", f"{run.command[0]!r} is not an absolute path in the guest"
    if any("\0" in word for word in run.command):
        yield "run.command", "an argument cannot hold a NUL"
    for name, value in run.environment.items():
        if not name or "=" in name or "\0" in name + value:
            yield f"run.environment.{name!r}", "a name is not empty and has no =, and neither has a NUL character"
    if not run.stop_timeout_s > 0:
        yield "run.stop_timeout_s", "is not a number"
    for table, timeout_s in (("smoke", found.smoke.timeout_s), ("trace", found.trace.timeout_s)):
        if not timeout_s > 0:
            yield f"{table}.timeout_s", "is not a number"


def _places(found: Definition) -> Problems:
    mounts = [(f"files.tmpfs[{n}].path", normalise(tmpfs.path)) for n, tmpfs in enumerate(found.files.tmpfs)]
    mounts += [("disk.mount", normalise(found.disk.mount))] if found.disk else []
    for number, (key, path) in enumerate(mounts):
        if path in SYSTEM:
            yield key, f"nothing may be mounted on {path}"
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
