"""The agent's configuration, baked in as `/etc/kiln/agent.conf` (pure). Read by `recipes/agents/kiln/conf.c`.

One directive per line, `key value`; in values `\\n` and `\\\\` stand for a line feed and a backslash.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping

from builder.agent_recipe import Agent
from builder.definition import Definition
from builder.errors import DefinitionError
from builder.paths import SCRATCH, normalise

# What the agent has room for (conf.h), by directive: the key to shorten, how many.
LIMITS = {
    "argument": ("run.command", 255),
    "environment": ("run.environment", 255),
    "mount": ("files.tmpfs", 32),
    "port": ("network.ports", 32),
    "guard": ("protect", 255),
    "rule": ("rule", 64),
    "secret": ("secret", 16),
    "process": ("process", 8),
}
SIZE_LIMIT = 32768
DHCP_WAIT_MS = 15000  # that the application's start waits for an address; servers answer in milliseconds or not at all
Directives = tuple[tuple[str, str], ...]


def render(
    definition: Definition,
    users: Mapping[str, int],
    disk_node: str,
    groups: Mapping[str, int] | None = None,
    *,
    protection: Directives = (),
    agent: Agent | None = None,
) -> str:
    """The configuration for one image; `users` maps names to user ids, `groups` to their groups' (default: the same
    numbers), `disk_node` is the data disk's device node, `protection` the guard's policy and the
    rules (`builder/protection.py`), `agent` the chosen one (default: all parts of `recipes/agents/kiln`).
    Raises DefinitionError for what the agent has no room for."""
    directives = (*_directives(definition, users, groups or users, disk_node, agent), *protection)
    text = "".join(f"{key} {_escaped(value)}\n" for key, value in directives)
    for key, count in Counter(key for key, _ in directives).items():
        where, limit = LIMITS.get(key, ("", count))
        if count > limit:
            raise _wrong(definition, f"{where}: {count} of them, the agent has room for {limit}")
    if len(text.encode()) > SIZE_LIMIT:
        raise _wrong(definition, f"run: {len(text.encode())} bytes of configuration, the agent reads {SIZE_LIMIT}")
    if "\0" in text:
        raise _wrong(definition, "run: a NUL character, which no argument can hold")
    return text


def _wrong(definition: Definition, what: str) -> DefinitionError:
    return DefinitionError(f"images/{definition.name}/image.toml: {what}")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _directives(
    definition: Definition,
    users: Mapping[str, int],
    groups: Mapping[str, int],
    disk_node: str,
    agent: Agent | None,
) -> Iterator[tuple[str, str]]:
    run = definition.run
    yield "hostname", definition.name
    yield from (("argument", argument) for argument in run.command)
    yield from (("environment", f"{name}={value}") for name, value in sorted(run.environment.items()))
    yield from (("directory", run.directory), ("uid", str(users[run.user])), ("gid", str(groups[run.user])))
    yield "restart", run.restart
    yield "stop-signal", str(signal.Signals[f"SIG{run.stop_signal}"].value)
    yield "stop-timeout-ms", str(max(1, round(run.stop_timeout_s * 1000)))
    yield "open-files", str(run.open_files)
    yield "processes", str(run.processes)
    yield "read-only", "yes" if _is_read_only(definition) else "no"
    yield from _mounts(definition, users, groups, disk_node)
    yield from _secrets(definition, users, groups)
    yield "network", "yes" if definition.network.ports else "no"
    yield from (("port", str(port)) for port in definition.network.ports)
    if definition.network.is_lent:
        yield "dhcp", str(DHCP_WAIT_MS)
    serves, monitors = agent is None or agent.own_pages, agent is None or agent.monitors
    yield "agent-port", str(definition.agent.port if definition.network.ports and serves else 0)
    yield from _checks(definition)
    yield from _processes(definition, users, groups)
    yield "heartbeat-ms", str(definition.agent.heartbeat_s * 1000 if monitors else 0)
    yield "verify-ms", str(definition.agent.verify_s * 1000 if monitors else 0)
    yield "verify-first", "yes" if definition.agent.verify_first else "no"
    if definition.agent.watchdog_s:
        yield "watchdog", str(definition.agent.watchdog_s)
    if agent and agent.companion:
        user = agent.companion.user
        yield "companion", f"{agent.name} always 1024 0 {users[user]} {groups[user]}"
        yield from (("process-argument", argument) for argument in agent.command)


def _is_read_only(definition: Definition) -> bool:
    files = definition.files
    wished = definition.protect.read_only_root
    if wished is not None:
        return wished
    owns = "root" in definition.users or any(folder.user != "root" for folder in files.directories)
    return not owns and any(normalise(tmpfs.path) == SCRATCH for tmpfs in files.tmpfs)


def _mounts(
    definition: Definition, users: Mapping[str, int], groups: Mapping[str, int], disk_node: str
) -> Iterator[tuple[str, str]]:
    yield "mount", "proc proc /proc nosuid,nodev,noexec"
    for tmpfs in definition.files.tmpfs:
        owner = f"uid={users[tmpfs.user]},gid={groups[tmpfs.user]}"
        data = f"size={tmpfs.size_mib}m,mode={tmpfs.mode},{owner}"
        yield "mount", f"tmpfs tmpfs {_target(definition, tmpfs.path)} nosuid,nodev,{data}"
    if disk := definition.disk:
        yield "mount", f"ext4 {disk_node} {_target(definition, disk.mount)} nosuid,nodev,noatime"
        yield "own", f"{disk.mount} {users[disk.user]} {groups[disk.user]}"


def _secrets(definition: Definition, users: Mapping[str, int], groups: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for secret in definition.secret:
        user = secret.user or definition.run.user
        yield "secret", f"{secret.name} {secret.place} {users[user]} {groups[user]} {secret.mode}"


def _processes(
    definition: Definition, users: Mapping[str, int], groups: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    for one in definition.process:
        user = one.user or definition.run.user
        yield "process", f"{one.name} {one.restart} {one.open_files} {one.processes} {users[user]} {groups[user]}"
        yield from (("process-argument", argument) for argument in one.command)
        yield from (("process-environment", f"{name}={value}") for name, value in sorted(one.environment.items()))
        yield "process-directory", one.directory


def _checks(definition: Definition) -> Iterator[tuple[str, str]]:
    for kind, check in (("ready", definition.health.ready), ("live", definition.health.live)):
        if check is None:
            continue
        port = check.tcp or check.port or next(iter(definition.network.ports), 0)
        times = " ".join(str(round(time_s * 1000)) for time_s in (check.interval_s, check.timeout_s))
        limits = f"{times} {check.failures} {round(check.start_s * 1000)}"
        yield "check", f"{kind} tcp {port} {limits}" if check.tcp else f"{kind} http {port} {limits} {check.http}"


def _target(definition: Definition, path: str) -> str:
    if " " in path:
        raise _wrong(definition, f"files.tmpfs / disk.mount: {path!r} has a blank in it")
    return path
