"""The agent's configuration, baked in as `/etc/kiln/agent.conf` (pure). Read by `recipes/agents/kiln/`.

One directive per line, `key value`; in values `\\n` and `\\\\` stand for a line feed and a backslash.
"""

import signal
from collections.abc import Iterator, Mapping

from builder.definition import Definition


def render(definition: Definition, users: Mapping[str, int], disk_node: str) -> str:
    """The configuration for one image; `users` maps names to ids, `disk_node` is the data disk's device node."""
    return "".join(f"{key} {_escaped(value)}\n" for key, value in _directives(definition, users, disk_node))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _directives(definition: Definition, users: Mapping[str, int], disk_node: str) -> Iterator[tuple[str, str]]:
    run, number = definition.run, str(users[definition.run.user])
    yield "hostname", definition.name
    yield from (("argument", argument) for argument in run.command)
    yield from (("environment", f"{name}={value}") for name, value in sorted(run.environment.items()))
    yield from (("directory", run.directory), ("uid", number), ("gid", number), ("restart", run.restart))
    yield "stop-signal", str(signal.Signals[f"SIG{run.stop_signal}"].value)
    yield "stop-timeout-ms", str(round(run.stop_timeout_s * 1000))
    yield "open-files", str(run.open_files)
    yield "mount", "proc proc /proc nosuid,nodev,noexec"
    for tmpfs in definition.files.tmpfs:
        owner = users[tmpfs.user]
        data = f"size={tmpfs.size_mib}m,mode={tmpfs.mode},uid={owner},gid={owner}"
        yield "mount", f"tmpfs tmpfs {tmpfs.path} nosuid,nodev,{data}"
    if definition.disk:
        owner = users[definition.disk.user]
        yield "mount", f"ext4 {disk_node} {definition.disk.mount} nosuid,nodev,noatime"
        yield "own", f"{definition.disk.mount} {owner} {owner}"
    yield "network", "yes" if definition.network.ports else "no"
    yield from (("port", str(port)) for port in definition.network.ports)
    yield "agent-port", str(definition.agent.port if definition.network.ports else 0)
