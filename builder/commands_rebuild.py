"""The commands around patches: `outdated`, `lock`, `rebuild`, `rollback`, `approve`, `ci`."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from invoke.exceptions import Exit

from builder import analysing, growth, outdated, preview, rebuilding, workflows
from builder.cli import emit
from builder.console import Console
from builder.edges.content import write_whole
from builder.edges.store import Store
from builder.errors import DefinitionError, FetchError
from builder.inputs import definition_file, lockfile, renew
from builder.inputs.lockfile import Lock
from builder.pipeline import Place, Wishes
from builder.rebuild_documents import Moved, Plans, RebuildReport
from builder.report import outdated as page
from builder.value import SCHEMA_VERSION

AFFECTED = 3  # the exit code that says: something is to be rebuilt


def show_outdated(root: Path, app: str, *, as_json: bool, verbose: bool) -> None:
    """Print what newer inputs mean for one image or all. Exits with 3 when an image has to be rebuilt."""
    console = Console(quiet=as_json)
    found = outdated.outdated(Place(root), [app] if app else [], Store(), console)
    if as_json:
        emit(found)
    else:
        print(page.render(found, verbose=verbose))  # noqa: T201
    if found.affected:
        raise Exit(code=AFFECTED)


def rebuild(root: Path, app: str, wishes: Wishes, *, newer: bool, security: bool, dry: bool, as_json: bool) -> None:
    """Rebuild one image or all, under their locks or (`newer`, `security`) under what the archives have by now.

    Exits with the code of the first image that was not promoted."""
    place, store, console, started = Place(root), Store(), Console(quiet=as_json), time.monotonic()
    apps = [app] if app else []
    outdated.check_apps(place, apps)
    judge = _judge(place, apps, store) if newer or security else None
    plans = list(rebuilding.plans(place, apps, judge, security=security))
    if dry:
        shown = tuple(plan.planned() for plan in plans)
        found = Plans(shown, round(sum(plan.estimate_s for plan in plans), 1))
        emit(found) if as_json else print(page.render_plan(found))  # noqa: T201
        return
    rows = []
    for plan in plans:
        console.note(f"{plan.app}:")
        rows.append(rebuilding.rebuild(place, plan, wishes, store, console))
    kernels = sum(row.kernel_built for row in rows)
    report = RebuildReport(tuple(rows), kernels, round(time.monotonic() - started, 2))
    place.dist.mkdir(exist_ok=True)
    write_whole(place.dist / "rebuild.json", msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    emit(report) if as_json else print(f"\n{page.render_report(report)}")  # noqa: T201
    if bad := [row for row in rows if row.exit_code]:
        raise Exit(code=bad[0].exit_code)


def _judge(place: Place, apps: Sequence[str], store: Store) -> outdated.Judge:
    names = apps or definition_file.names(place.images)
    locks = [lock for name in names if (lock := outdated.read(place, name))]
    return outdated.Judge(place, store, renew.offers(locks), deep=False)


def rollback(root: Path, app: str) -> None:
    """Make the image before the current one the current one, with its lock."""
    place = Place(root)
    outdated.check_apps(place, [app])
    version = rebuilding.roll_back(place, app)
    if not version:
        raise DefinitionError(f"{app}: there is no earlier image to go back to", "a rebuild keeps the one it replaces")
    print(f"  {app}: current is {version} again, and image.lock is its lock")  # noqa: T201
    print(f"  the other one is kept: ./invoke rollback --app {app} goes back to it")  # noqa: T201


def approve(root: Path, app: str) -> None:
    """Write what an application asks for as approved."""
    place = Place(root)
    subject = analysing.load_app(place, app, Store())
    more, fewer = growth.approve(place, app, subject.needs)
    for sign, names in (("+", more), ("-", fewer)):
        for name in names:
            print(f"  {sign} {name}")  # noqa: T201
    print(f"  images/{app}/{growth.APPROVED}: {len(subject.needs.needs)} needs, {len(more)} new; commit it")  # noqa: T201


def workflow(root: Path, provider: str, branch: str, *, stdout: bool) -> None:
    """Write, or print, a provider's workflow."""
    place = Place(root)
    if stdout:
        print(workflows.render(place, provider, branch=branch), end="")  # noqa: T201
        return
    path = workflows.write(place, provider, branch=branch)
    print(f"  {path.relative_to(root)}: commit it; docs/how-to/rebuild-in-ci.md tells what it needs")  # noqa: T201


# ---- lock ----------------------------------------------------------------------------------------------------------


def lock(root: Path, app: str, update: Iterable[str], *, newest: bool, check: bool, as_json: bool) -> None:
    """Show an image's lock, verify it, or move it to what the archives have."""
    place, store = Place(root), Store()
    definition = definition_file.load(place.images, app)
    known = outdated.need_lock(place, app)
    if check:
        _check(place, app, known, store, as_json=as_json)
        return
    moves: tuple[Moved, ...] = ()
    if newest or update:
        moves = _moves(known, tuple(update))
        packages = outdated.Judge(place, store, {}).packages(known.suite, moves)
        seen = preview.preview(place, definition, renew.renewed(known, packages), store)
        known = msgspec.structs.replace(seen.lock, made=preview.made(seen), image=preview.image(seen))
        lockfile.write_lock(place.images / app / "image.lock", known)
    if as_json:
        emit({"schema": SCHEMA_VERSION, "app": app, "moved": moves, "lock": known})
        return
    for move in moves:
        print(f"  {move.name} {move.old} → {move.new}")  # noqa: T201
    if newest or update:
        print(f"  images/{app}/image.lock: {len(moves)} moved  next: ./invoke build --app {app}")  # noqa: T201
        return
    for group in renew.groups(known):
        for package in group.packages:
            print(f"  {group.role:<12} {package.name:<28} {package.version:<24} {group.source}")  # noqa: T201
    for name, value in known.made.items():
        print(f"  {'made with':<12} {name:<28} {value[:16]}")  # noqa: T201


def _moves(known: Lock, names: Sequence[str]) -> tuple[Moved, ...]:
    """The packages to move: those named (`name` or `name=version`), or all with a newer version."""
    groups = renew.groups(known)
    wanted = dict(name.partition("=")[::2] for name in names)
    there = {package.name for group in groups for package in group.packages}
    if strange := sorted(wanted.keys() - there):
        raise DefinitionError(f"{strange[0]}: not in the lock", f"packages in it: {', '.join(sorted(there))}")
    offers = renew.offers([known])
    found = []
    for group in groups:
        chosen = [p for p in group.packages if p.name in wanted]
        if wanted and not chosen:
            continue
        version = next((wanted[p.name] for p in chosen if wanted[p.name]), "")
        for package in group.packages:  # all of one source move together
            versions = offers.get((known.suite, package.name), ())
            to = next((o for o in versions if o.version == version), None) if version else next(iter(versions), None)
            if to is None:
                have = ", ".join(o.version for o in versions) or "none"
                raise DefinitionError(f"{package.name}={version}: not in the archives", f"there are: {have}")
            if to.version != package.version:
                found.append(Moved(package.name, package.version, to.version, to.suites))
    return tuple(found)


def _check(place: Place, app: str, known: Lock, store: Store, *, as_json: bool) -> None:
    """Raise FetchError where a locked package cannot be had as it is locked, else say what else has changed."""
    definition = definition_file.load(place.images, app)
    seen = preview.preview(place, definition, known, store)  # fetches and verifies every package
    now = preview.made(seen)
    changed = [name for name in sorted(now.keys() | known.made.keys()) if now.get(name) != known.made.get(name)]
    if seen.lock != known.inputs():
        raise FetchError(
            f"images/{app}/image.lock: the definition needs other packages than it holds",
            f"./invoke lock --app {app} --update",
        )
    if as_json:
        emit({"schema": SCHEMA_VERSION, "app": app, "changed": changed})
    else:
        count = sum(len(group.packages) for group in renew.groups(known))
        print(f"  images/{app}/image.lock: {count} packages, digests verified")  # noqa: T201
        if changed:
            print(f"  changed since the last good build: {', '.join(changed)}")  # noqa: T201


__all__ = ["approve", "lock", "rebuild", "rollback", "show_outdated", "workflow"]
