"""Running an image in the foreground: its output on ours, Ctrl-C stops it cleanly."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from builder.boot import serial
from builder.boot.command import command
from builder.boot.serial import Event
from builder.console import Console
from builder.edges import disk as disks
from builder.edges import net
from builder.edges.qemu import Machine
from builder.edges.scratch import scratch_folder
from builder.errors import BuilderError, HostError, SmokeError
from builder.model import Accelerator, Image, Platform

POLL_S = 0.05
FORGET_BYTES = 16 << 20  # of the log, once they are shown
KILLED = 137


def run(
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    *,
    publish: Mapping[int, int],
    disk: Path | None,
    keep: Callable[[str], None] = lambda _line: None,
    quiet: bool = False,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Boot an image and stay until it ends; returns the machine's exit code (the application's). Every line of its
    console is also given to `keep`; with `quiet` nothing is shown. `secrets` maps the image's secrets to files.

    Ctrl-C or SIGTERM asks it to stop, as soon as the agent listens; a second one ends it at once. Raises HostError for
    a port that is taken and where QEMU fails, SmokeError for a machine that ends without the agent's last word.
    """
    net.need_free(publish.values())
    data = str(disks.make(disk, image.disk_mib)) if disk else ""
    console = Console(quiet=quiet)
    console.note(f"{image.name} under {accelerator.name} ({accelerator.why}); Ctrl-C stops it")
    for guest, host in publish.items():
        console.note(f"  127.0.0.1:{host} → port {guest}{' (agent)' if guest == image.agent_port else ''}")
    with scratch_folder("run") as folder, Machine(folder) as machine:
        argv = command(image, platform, accelerator, ports=publish, qmp=machine.qmp, disk=data, secrets=secrets)
        with _stops_on_signal() as asked:
            machine.start(argv)
            printer = Printer(console, keep)
            _stay(machine, printer, asked)
        if printer.code is None and not asked:
            raise _broken_down(image, machine, printer)
        return KILLED if printer.code is None else printer.code


def _stay(machine: Machine, printer: "Printer", asked: Sequence[int]) -> None:
    """Show what the machine says until it ends or was asked twice to."""
    told, forgotten = False, 0
    while machine.exit_code() is None and len(asked) < 2:
        printer.show(machine.serial(printer.size))
        if asked and printer.heard and not told:  # before the agent is there, nobody would hear it
            machine.say("stop")
            told = True
        if printer.size - forgotten > FORGET_BYTES:
            forgotten = printer.size
            machine.forget(forgotten)
        time.sleep(POLL_S)
    printer.show(machine.serial(printer.size))


def _broken_down(image: Image, machine: Machine, printer: "Printer") -> BuilderError:
    """What to say of a machine that ended without the agent's last word."""
    if code := machine.exit_code():
        said = machine.words().splitlines()
        return HostError(f"QEMU ended with exit code {code}: {said[-1] if said else 'silently'}")
    silent = "it ended without the agent's last word"
    seen = printer.panic or (f"{silent}: it hung and its watchdog reset it" if image.watchdog else silent)
    return SmokeError(f"{image.name} broke down: {seen}", f"./invoke smoke --app {image.name} checks it")


@contextlib.contextmanager
def _stops_on_signal() -> Iterator[list[int]]:
    """While this lasts, SIGINT and SIGTERM do nothing but to be in the list."""
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        asked.append(number)

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Printer:
    """Shows the serial log as it grows: the application's lines plainly, everything else on stderr."""

    def __init__(self, console: Console, keep: Callable[[str], None] = lambda _line: None) -> None:
        self.code: int | None = None
        self.heard = False  # the agent
        self.panic = ""
        self._console, self._keep = console, keep
        self._reader = serial.Reader()

    @property
    def size(self) -> int:
        """How many bytes of the log were seen."""
        return self._reader.size

    def show(self, data: bytes) -> None:
        """Print the lines that these next bytes of the log complete."""
        for line in self._reader.feed(data):
            self._keep(line)
            event = serial.event_of(line)
            if event is None:
                self._other(line)
            else:
                self._event(event)

    def _other(self, line: str) -> None:
        if line.strip() not in ("", "stop"):
            self._console.note(f"  kernel: {line}")
        if not self.panic and serial.panicked([line]):
            self.panic = line.strip()

    def _event(self, event: Event) -> None:
        self.heard = True
        if event.name == "output" and not self._console.quiet:
            stream = sys.stderr if event.facts.get("stream") == "stderr" else sys.stdout
            print(event.facts.get("line", ""), file=stream, flush=True)
            return
        if event.name == "halt":
            self.code = serial.number(event, "code", 1)
        if event.name not in (*serial.QUIET, "output"):
            self._console.note(f"  {serial.shown(event)}")
