"""Rebuild what a patch touches: new locks, builds, smoke tests; only what passes becomes current."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from builder import growth, outdated, results
from builder.console import Console
from builder.documents import StageRecord
from builder.edges import promotion
from builder.edges.store import Store
from builder.errors import BuilderError
from builder.inputs import definition_file, lockfile, renew
from builder.inputs.lockfile import Lock
from builder.ledger import Ledger
from builder.pipeline import Place, Wishes
from builder.pipeline import build as build_image
from builder.rebuild_documents import Change, ImageState, Moved, Planned, Rebuilt

KERNEL_S = 400.0  # a kernel from nothing, where no build of this machine tells better
RELINK_S = 60.0  # what took less was no kernel from nothing
COSTLY = ("needs change", "kernel affected", "toolchain", "unknown")  # may bring another kernel


@dataclass(frozen=True)
class Plan:
    """What to do with one image: its new lock, and why. `moves` are the packages that change in the lock."""

    app: str
    lock: Lock | None
    state: ImageState | None
    moves: tuple[Moved, ...] = ()
    estimate_s: float = 0.0

    def planned(self) -> Planned:
        """The plan as it is printed."""
        verdict = self.state.verdict if self.state else "unaffected"
        why = tuple(f"{c.input}: {c.verdict}" for c in self.state.changes) if self.state else ("asked for",)
        return Planned(self.app, verdict, why, self.moves, round(self.estimate_s, 1))


def plans(place: Place, apps: Sequence[str], judge: outdated.Judge | None, *, security: bool) -> Iterator[Plan]:
    """What there is to do, images that share a kernel next to each other. With a judge, images that are affected by
    newer inputs (with `security`: by security fixes); without one all that are named, under their own lock."""
    found = []
    for app in apps or definition_file.names(place.images):
        lock = outdated.read(place, app)
        if judge is None:
            found.append(Plan(app, lock, None, estimate_s=_estimate(place, app, None)))
        elif lock is not None:
            found += _moved(place, app, lock, judge, security=security)
    yield from sorted(found, key=lambda plan: (judge.kernels.get(plan.app, "") if judge else "", plan.app))


def _moved(place: Place, app: str, lock: Lock, judge: outdated.Judge, *, security: bool) -> Iterator[Plan]:
    state = judge.image(definition_file.load(place.images, app), lock)
    changes = [c for c in state.changes if c.security or not security]
    if not any(change.verdict != "unaffected" for change in changes):
        return
    # a kernel of which nothing changed but its version is not worth a build of its own
    moves = tuple(m for c in changes for m in c.packages if c.role != "kernel" or c.verdict != "unaffected")
    new = renew.renewed(lock, judge.packages(lock.suite, moves)) if moves else lock
    yield Plan(app, new, state, moves, _estimate(place, app, changes))


def _estimate(place: Place, app: str, changes: Sequence[Change] | None) -> float:
    """Seconds, from what the stages of the last build took when they had something to do. A new source means a kernel
    from nothing, other options or calls often only a relink: as long as the longest kernel that was built here."""
    took = {record.name: record.made_s or record.seconds for record in results.last_records(place, app)}
    if changes is None or not any(change.verdict in COSTLY for change in changes):
        return sum(seconds for name, seconds in took.items() if name not in ("kernel", "source", "configure"))
    known = [r.made_s for name in _built(place) for r in results.last_records(place, name) if r.name == "kernel"]
    longest = max(known, default=0.0)
    return sum(took.values()) - took.get("kernel", 0.0) + (longest if longest > RELINK_S else KERNEL_S)


def _built(place: Place) -> list[str]:
    return [folder.name for folder in place.dist.iterdir()] if place.dist.is_dir() else []


def rebuild(place: Place, plan: Plan, wishes: Wishes, store: Store, console: Console) -> Rebuilt:
    """Build one image under its plan's lock and promote it if it passes. An error is told in the result: the last good
    image and its lock stay as they are."""
    started = time.monotonic()
    before = promotion.current(place.dist / plan.app)
    ledger = Ledger(store, console, results.last_records(place, plan.app))
    row = Rebuilt(plan.app, "failed", plan.state.verdict if plan.state else "unaffected", moves=plan.moves)
    made = len(store.made)
    try:
        inspect = growth.inspector(place, plan.app, console)
        built = build_image(plan.app, place, wishes, store, ledger, console, lock=plan.lock, inspect=inspect)
        _, folder = results.save(built, ledger, place, store)
        passed = built.verdict is not None and built.verdict.passed
        if built.verdict is not None and not passed:
            failed = [f"{check.name}: {check.detail}"[:200] for check in built.verdict.checks if not check.passed]
            row = msgspec.structs.replace(row, why="; ".join(failed), evidence=str(folder), exit_code=9)
        else:
            lockfile.write_lock(place.images / plan.app / "image.lock", results.lock_of(built, place, store))
            same = before == promotion.current(place.dist / plan.app)
            outcome = "the same" if same else "promoted" if passed else "not checked"
            row = msgspec.structs.replace(row, outcome=outcome, kernel_sha256=built.kernel.sha256)
    except BuilderError as error:
        console.error(error)
        outcome = "refused" if error.exit_code == 12 else "failed"
        row = msgspec.structs.replace(row, outcome=outcome, why=error.message, exit_code=error.exit_code)
    kernels = sum(stage == "kernel" for stage, _ in store.made[made:])
    return msgspec.structs.replace(
        row, seconds=round(time.monotonic() - started, 2), kernel_built=bool(kernels), stages=_seconds(ledger.records)
    )


def _seconds(records: Sequence[StageRecord]) -> Mapping[str, float]:
    return {record.name: record.seconds for record in records}


def roll_back(place: Place, app: str) -> str:
    """Make the image before the current one current again, with its lock. Returns the version, empty without one."""
    version = promotion.roll_back(place.dist / app)
    kept = place.dist / app / promotion.CURRENT / "image.lock"
    if version and kept.is_file():
        lock = lockfile.read_lock(kept)
        assert lock is not None
        lockfile.write_lock(place.images / app / "image.lock", lock)
    return version
