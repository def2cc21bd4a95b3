"""The attack suite: the vulnerable image is built and booted, every step tried, and what came of it written down."""

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder import pipeline
from builder.boot import accelerator as accelerators
from builder.boot.serial import Event
from builder.boot.session import Session, Setup
from builder.console import Console
from builder.edges.qemu import Machine
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store
from builder.ledger import Ledger
from builder.pipeline import Built, Place, Wishes
from builder.value import Value
from tests.attack.attacker import Attacker, EndedError, numbers
from tests.attack.steps import Step, steps

APP = "victim"
WHOLE_LIMIT_S = 900.0
EVENT_LIMIT_S = 30.0
HERE = Path(__file__).parent
HOSTS = b"127.0.0.1 localhost\n"  # in the archive, which is not compressed


class Outcome(Value, frozen=True):
    """What came of one step. `event` is what told of it, `rule` the rule that gave the alert."""

    name: str
    does: str
    result: str
    blocked: bool
    detected: bool
    event: str
    rule: str


class Suite(Value, frozen=True):
    """All steps, and whether the service answered to the end. `unseen`: steps that nothing told of."""

    steps: tuple[Outcome, ...]
    unseen: tuple[str, ...]
    serves: bool
    accelerator: str


@dataclass(frozen=True)
class Target:
    """The machine under attack."""

    session: Session
    number: Callable[[str], int]

    @property
    def port(self) -> int:
        return self.session.ports[8080]


def build(root: Path, store: Store, console: Console) -> Built:
    """The vulnerable image, from the store where nothing has changed. Raises as a build does."""

    class _Place(Place):
        @property
        def images(self) -> Path:
            return HERE / "images"

    ledger = Ledger(store, console, ())
    return pipeline.build(APP, _Place(root), Wishes(smoke="never"), store, ledger, console)


def run(root: Path, store: Store, console: Console, told: Callable[[Outcome], None]) -> Suite:
    """Try everything; `told` hears of each outcome."""
    built = build(root, store, console)
    accelerator = accelerators.choose(built.platform, "")
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        told(outcome)

    with scratch_folder("attack") as folder:
        setup = Setup(built.image, built.platform, accelerator, folder, time.monotonic() + WHOLE_LIMIT_S)
        with _machine(setup) as session:
            assert session.wait(lambda s: bool(s.named("healthy"))), session.last_lines()
            target = Target(session, numbers())
            for step in steps():
                note(attempt(step, target))
            serves = answers(target.port)
        note(_tampered(setup, folder))
    unseen = tuple(outcome.name for outcome in outcomes if not outcome.detected)
    return Suite(tuple(outcomes), unseen, serves, accelerator.name)


@contextmanager
def _machine(setup: Setup) -> Iterator[Session]:
    with Machine(setup.folder) as machine:
        session = Session(setup, machine)
        session.boot()
        yield session


def attempt(step: Step, target: Target) -> Outcome:
    """Try one step on a connection of its own."""
    session = target.session
    session.update()
    before = len(session.events)
    result, ended = 0, False
    attacker = Attacker(target.port, target.number)
    try:
        result = step.attempt(attacker)
    except EndedError:
        ended = True
    attacker.close()
    session.wait(lambda s: _telling(step, s.events[before:], target) is not None, EVENT_LIMIT_S)
    found = _telling(step, session.events[before:], target)
    serves = answers(target.port)
    return Outcome(
        name=step.name,
        does=step.does,
        result="ended" if ended else _words(result),
        blocked=serves and step.blocked(result, ended),
        detected=found is not None,
        event=found or "",
        rule=step.rule if found else "",
    )


def _telling(step: Step, events: list[Event], target: Target) -> str | None:
    """What told of a step, once the alert of its rule has come too."""
    name, kind, what = step.event
    alerts = [e for e in events if e.name == "alert" and e.facts.get("rule") == step.rule]
    if name == "alert":
        return f"alert: {step.rule}" if alerts else None
    for event in events:
        facts = event.facts
        if event.name == "guard" and (facts["kind"], str(facts["what"])[: len(what)]) == (kind, what) and alerts:
            return f"guard: {kind} {facts['verdict']}, {facts['what']}"
        if event.name == "refused" and name == "refused" and facts["nr"] == target.number(kind) and alerts:
            return f"refused: {kind}"
        if event.name == "kernel" and name == "kernel" and str(facts["line"]).startswith(what) and alerts:
            return f"kernel: {what}"
    return None


def answers(port: int) -> bool:
    """Whether the service still does what it is for."""
    until = time.monotonic() + EVENT_LIMIT_S
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                peer.sendall(b"echo alive\n")
                if peer.makefile("rb").readline() == b"alive\n":
                    return True
        except OSError:
            time.sleep(0.2)
    return False


def _words(result: int) -> str:
    return errno.errorcode.get(-result, str(result)) if result < 0 else str(result)


def _tampered(setup: Setup, folder: Path) -> Outcome:
    """A file of the image is changed on its way to the machine."""
    whole = Path(setup.image.rootfs).read_bytes()
    assert whole.count(HOSTS) == 1
    changed = folder / "tampered.cpio"
    changed.write_bytes(whole.replace(HOSTS, HOSTS.replace(b"1 ", b"9 ")))
    path = "/etc/hosts"
    image = msgspec.structs.replace(setup.image, rootfs=str(changed))
    again = Setup(image, setup.platform, setup.accelerator, folder, time.monotonic() + EVENT_LIMIT_S)
    with _machine(again) as session:
        session.wait(lambda s: s.halt_code is not None)
        told = [e for e in session.named("changed") if e.facts.get("path") == path]
        alerts = [e for e in session.named("alert") if e.facts.get("rule") == "changed-file"]
        started = session.named("start")
        code = session.halt_code
    return Outcome(
        name="tampered image",
        does="changes a file of the image before it is booted",
        result=f"exit code {code}",
        blocked=not started and code == 125,
        detected=bool(told and alerts),
        event=f"changed: {path}" if told else "",
        rule="changed-file" if alerts else "",
    )
