"""The command `run`: boots a built image, here or in the background."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from builder import commands
from builder.boot import accelerator as accelerators
from builder.boot import run as keeping
from builder.boot import serial, state
from builder.boot.command import own_ports
from builder.console import Console
from builder.documents import Running
from builder.edges import detached, machines, secret_files
from builder.edges.net import need_free
from builder.edges.store import data_root
from builder.errors import DefinitionError
from builder.model import Accelerator, Image, Platform
from builder.pipeline import Place
from builder.value import Value, digest

HEALTHY_LIMIT_S = 60.0


class _Wanted(Value, frozen=True):
    """A machine that is to run."""

    image: Image
    platform: Platform
    accelerator: Accelerator
    ports: Mapping[int, int]
    disk: Path | None
    secrets: Mapping[str, str]  # name → file


class Asked(Value, frozen=True):
    """What the command line says about the machine; empty means: as the image says."""

    publish: Sequence[str] = ()
    accelerator: str = ""
    memory_mib: int = 0
    disk_file: str = ""
    secrets: Sequence[str] = ()


def run(root: Path, app: str, asked: Asked) -> int:
    """Boot a built image in the foreground and return its exit code."""
    wanted = _wanted(root, app, asked)
    need_free(wanted.ports.values())
    return _keep(wanted, machines.claim(app), quiet=False)


def run_detached(root: Path, app: str, asked: Asked) -> None:
    """Boot a built image in the background and return when it is healthy. Raises what the foreground would."""
    wanted = _wanted(root, app, asked)
    need_free(wanted.ports.values())
    folder = machines.claim(app)
    pid = detached.detach(folder, lambda: _keep(wanted, folder, quiet=True))
    follower, now = machines.Follower(folder), state.State()
    until = time.monotonic() + HEALTHY_LIMIT_S
    while now.state != "healthy" and time.monotonic() < until:
        if (code := detached.exit_code(pid)) is not None:
            raise detached.failure(folder, code)
        time.sleep(0.02)
        now = state.after(now, serial.events(follower.lines()))
    print(folder.name)  # noqa: T201
    console = Console()
    for guest, host in wanted.ports.items():
        console.note(f"  127.0.0.1:{host} → port {guest}{' (agent)' if guest == wanted.image.agent_port else ''}")
    console.note(f"  {now.state} after {now.mono_s:.2f} s  next: ./invoke logs --machine {folder.name} --follow")


def _wanted(root: Path, app: str, asked: Asked) -> _Wanted:
    image, platform = commands.built(Place(root), app)
    if asked.memory_mib:
        image = msgspec.structs.replace(image, memory_mib=asked.memory_mib)
    disk = Path(asked.disk_file or data_root() / "disks" / f"{app}.img").absolute() if image.disk_mib else None
    secrets = secret_files.handed(app, image.secrets, asked.secrets)
    accelerator = accelerators.choose(platform, asked.accelerator)
    return _Wanted(image, platform, accelerator, published(asked.publish, image), disk, secrets)


def _keep(wanted: _Wanted, folder: Path, *, quiet: bool) -> int:
    """Run a machine until it ends, on record; returns its exit code."""
    image = wanted.image
    running = Running(
        id=folder.name,
        app=image.name,
        pid=os.getpid(),
        started=time.time(),
        accelerator=wanted.accelerator.name,
        memory_mib=image.memory_mib,
        ports=wanted.ports,
        agent_port=wanted.ports.get(image.agent_port, 0),
        version=digest([image.kernel_sha256, [layer.sha256 for layer in image.layers]])[:12],
    )
    with machines.kept(folder, running) as keeper:
        code = keeping.run(
            image,
            wanted.platform,
            wanted.accelerator,
            publish=wanted.ports,
            disk=wanted.disk,
            keep=keeper.write,
            quiet=quiet,
            secrets=wanted.secrets,
        )
        keeper.ended(code)
    return code


def published(wanted: Sequence[str], image: Image) -> Mapping[int, int]:
    """Guest port → host port. Without a wish each guest port is published as itself, low ones from 8000 up.

    Raises DefinitionError for a wish that is not two port numbers, and for a port that is given twice.
    """
    if not wanted:
        return own_ports(image)
    pairs: dict[int, int] = {}
    for wish in wanted:
        host, _, guest = wish.partition(":")
        if not (_is_port(host) and _is_port(guest)):
            raise DefinitionError(f"--publish {wish}: not HOST:GUEST", "for example --publish 8080:80")
        if int(guest) in pairs or int(host) in pairs.values():
            raise DefinitionError(f"--publish {wish}: a port of it is published already")
        pairs[int(guest)] = int(host)
    return pairs


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535
