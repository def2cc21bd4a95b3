"""False alarms: images under their own workload for minutes, and what their guards said meanwhile. Expected: nothing.

The workload is that of the definition, its smoke checks and its trace's, over and over, by several clients at once.
Figures: checks passed and failed (a client sees what others leave behind), and events that a healthy machine never has.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from builder.boot import accelerator as accelerators
from builder.boot import checks
from builder.boot.session import Session, Setup
from builder.console import Console
from builder.definition import Check, ExitCheck, LogCheck, RebootCheck
from builder.edges import disk
from builder.edges.qemu import Machine
from builder.edges.store import Store
from builder.inputs import definition_file
from builder.ledger import Ledger
from builder.pipeline import Place, Wishes, build

REPOSITORY = Path(__file__).parent.parent.parent
ALARMS = ("alert", "guard", "refused", "crash", "restart", "changed", "kernel", "error", "freeze", "rule")
NO_LOAD = (ExitCheck, LogCheck, RebootCheck)
READY_S = 60.0


def load(session: Session, wanted: list[Check], until: float, found: Counter[str]) -> None:
    """One client: every check in turn until the time is over."""
    while time.monotonic() < until:
        for check in wanted:
            found["passed" if checks.perform(check, session).passed else "failed"] += 1


def run(app: str, minutes: float, clients: int) -> tuple[Counter[str], Counter[str]]:
    """Outcomes of checks, and alarms by event."""
    place, store, console = Place(REPOSITORY), Store(), Console(quiet=True)
    built = build(app, place, Wishes(smoke="never"), store, Ledger(store, console, ()), console)
    definition = definition_file.load(place.images, app)
    wanted = [c for c in (*definition.smoke.check, *definition.trace.check) if not isinstance(c, NO_LOAD)]
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch, Machine(Path(scratch)) as machine:
        until = time.monotonic() + minutes * 60
        chosen = accelerators.choose(built.platform, "")
        size = built.image.disk_mib
        data = str(disk.make(Path(scratch) / "data.img", size)) if size else ""
        session = Session(Setup(built.image, built.platform, chosen, Path(scratch), until + READY_S, data), machine)
        session.boot()
        assert session.wait(lambda s: bool(s.named("healthy")), READY_S), session.last_lines()
        threads = [threading.Thread(target=load, args=(session, wanted, until, found)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.update()
        alarms = Counter(event.name for event in session.events if event.name in ALARMS)
    return found, alarms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="+")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=4)
    wishes = parser.parse_args()
    for app in wishes.apps:
        found, alarms = run(app, wishes.minutes, wishes.clients)
        said = ", ".join(f"{count} {name}" for name, count in alarms.items()) or "none"
        figures = f"{found['passed']:,} checks passed, {found['failed']:,} failed"
        print(f"{app}: {wishes.minutes:g} min, {figures}; alarms: {said}", flush=True)


if __name__ == "__main__":
    main()
