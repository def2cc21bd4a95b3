"""Running an image in the foreground: its output on ours, Ctrl-C stops it cleanly."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.boot import serial
from builder.boot.command import command
from builder.boot.serial import Event
from builder.console import Console
from builder.edges import disk as disks
from builder.edges import net
from builder.edges.qemu import Machine
from builder.edges.scratch import scratch_folder
from builder.errors import HostError
from builder.model import Accelerator, Image, Platform

POLL_S = 0.05
KILLED = 137


def run(
    image: Image, platform: Platform, accelerator: Accelerator, *, publish: Mapping[int, int], disk: Path | None
) -> int:
    """Boot an image and stay until it ends; returns the machine's exit code (the application's).

    Ctrl-C or SIGTERM asks it to stop; a second one ends it at once. Raises HostError for a port that is taken.
    """
    net.need_free(publish.values())
    data = str(disks.make(disk, image.disk_mib)) if disk else ""
    console = Console()
    console.note(f"{image.name} under {accelerator.name} ({accelerator.why}); Ctrl-C stops it")
    for guest, host in publish.items():
        console.note(f"  127.0.0.1:{host} → port {guest}{' (agent)' if guest == image.agent_port else ''}")
    with scratch_folder("run") as folder, Machine(folder) as machine:
        argv = command(image, platform, accelerator, ports=publish, qmp=machine.qmp, disk=data)
        with _stops_on_signal(machine) as asked:
            machine.start(argv)
            printer = Printer(console)
            while machine.exit_code() is None and len(asked) < 2:
                printer.show(machine.serial())
                time.sleep(POLL_S)
            printer.show(machine.serial())
        if printer.code is None and not asked:
            said = (folder / "qemu.log").read_text(errors="replace").strip()
            raise HostError(
                f"QEMU ended without the agent's last word: {said.splitlines()[-1] if said else 'silently'}"
            )
        return KILLED if printer.code is None else printer.code


@contextlib.contextmanager
def _stops_on_signal(machine: Machine) -> Iterator[list[int]]:
    """While this lasts, SIGINT and SIGTERM ask the machine to stop; the list holds the signals that came."""
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        asked.append(number)
        machine.say("stop")

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Printer:
    """Shows the serial log as it grows: the application's lines plainly, everything else on stderr."""

    def __init__(self, console: Console) -> None:
        self.code: int | None = None
        self._console = console
        self._shown = 0

    def show(self, log: bytes) -> None:
        """Print the lines that are complete and new."""
        lines = serial.lines_of(log[: log.rfind(b"\n") + 1])[:-1]
        for line in lines[self._shown :]:
            event = serial.event_of(line)
            if event is None:
                if line.strip() and line.strip() != "stop":
                    self._console.note(f"  kernel: {line}")
            else:
                self._event(event)
        self._shown = len(lines)

    def _event(self, event: Event) -> None:
        if event.name == "output":
            stream = sys.stderr if event.facts.get("stream") == "stderr" else sys.stdout
            print(event.facts.get("line", ""), file=stream, flush=True)
            return
        if event.name == "halt":
            self.code = serial.number(event, "code", 1)
        facts = " ".join(f"{key}={value}" for key, value in event.facts.items())
        self._console.note(f"  {event.mono_s:9.3f} {event.name} {facts}")
