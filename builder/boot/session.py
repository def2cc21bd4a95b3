"""One boot of an image: what has happened so far, read from its serial log."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.boot import serial
from builder.boot.command import command
from builder.boot.serial import Event
from builder.edges.net import free_ports
from builder.edges.qemu import Machine
from builder.model import Accelerator, Image, Moment, Platform

END_LIMIT_S = 5.0  # for a machine's end after its last word
MOMENTS = {"boot": "agent", "start": "application", "healthy": "healthy"}  # event → moment of the timeline


@dataclass(frozen=True)
class Setup:
    """What all boots of one smoke test share."""

    image: Image
    platform: Platform
    accelerator: Accelerator
    folder: Path
    until: float  # of the monotonic clock
    disk: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)  # name → file


class Session:
    """A running machine and what it said. Host ports are chosen freely on loopback."""

    def __init__(self, setup: Setup, machine: Machine) -> None:
        served = (*setup.image.ports, *((setup.image.agent_port,) if setup.image.agent_port else ()))
        self.setup = setup
        self.machine = machine
        self.ports: Mapping[int, int] = free_ports(served)
        self.lines = [""]  # the last one may not be complete
        self.events: list[Event] = []
        self.moments: list[Moment] = []
        self._reader = serial.Reader()

    def boot(self) -> None:
        """Start the machine."""
        setup = self.setup
        argv = command(
            setup.image,
            setup.platform,
            setup.accelerator,
            ports=self.ports,
            qmp=self.machine.qmp,
            disk=setup.disk,
            secrets=setup.secrets,
        )
        self.machine.start(argv, setup.until + END_LIMIT_S)

    def update(self) -> None:
        """Read what is new on the serial console."""
        data = self.machine.serial(self._reader.size)
        if not data:
            return
        self._note("kernel")
        ended = self._reader.feed(data)
        self.lines[-1:] = (*ended, self._reader.rest)
        for event in serial.events(ended):
            self.events.append(event)
            if event.name in MOMENTS:
                self._note(MOMENTS[event.name])

    def _note(self, name: str) -> None:
        if all(moment.name != name for moment in self.moments):
            self.moments.append(Moment(name, round(time.monotonic() - self.machine.started_at, 4)))

    def answered(self) -> None:
        """The service has answered a client for the first time."""
        self._note("first answer")

    def wait(self, done: Callable[["Session"], bool], limit_s: float | None = None) -> bool:
        """Wait until `done(self)`, the machine's end, or the time limit; whether `done`."""

        def updated() -> bool:
            self.update()
            return done(self)

        until = self.setup.until if limit_s is None else min(self.setup.until, time.monotonic() + limit_s)
        return self.machine.wait(updated, until)

    def ended(self, limit_s: float) -> bool:
        """Wait for the machine's end; whether it came."""
        return self.machine.wait(lambda: self.machine.exit_code() is not None, time.monotonic() + limit_s)

    def named(self, *names: str) -> tuple[Event, ...]:
        """The events with one of these names."""
        return tuple(event for event in self.events if event.name in names)

    @property
    def halt_code(self) -> int | None:
        """The machine's exit code once the agent has said its last word."""
        halts = self.named("halt")
        return serial.number(halts[-1], "code", 1) if halts else None

    def output(self) -> tuple[str, ...]:
        """The lines that the application and the processes declared beside it printed; not the agent's companion's."""
        companions = [event.facts.get("name", "") for event in self.named("companion")]
        own = (event for event in self.named("output") if event.facts.get("stream", "stdout") not in companions)
        return tuple(str(event.facts.get("line", "")) for event in own)

    def last_lines(self, count: int = 6) -> str:
        """The end of the log, for showing; where a machine ended without a word, QEMU's."""
        said = " | ".join(line for line in self.lines[-count - 1 :] if line.strip())[-900:]
        if not said and self.machine.exit_code() is not None:
            said = self.machine.words()[-300:]
        return said or "nothing on the serial console"
