"""The commands behind the tasks: call the pipeline, print what a person (or `--json`) wants to know."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from builder import growth, results
from builder.boot import accelerator as accelerators
from builder.cli import emit
from builder.configure import recipes
from builder.console import Console
from builder.definition import Definition
from builder.documents import ImageFiles, ImageNeeds, ImageOptions, Report
from builder.edges import promotion, secret_files
from builder.edges.store import Store, WouldMake, cache_root
from builder.errors import DefinitionError, HostError, SmokeError
from builder.inputs import definition_file
from builder.ledger import Ledger
from builder.model import Image, Platform, Verdict
from builder.pipeline import STAGES, Place, Wishes
from builder.pipeline import build as build_image
from builder.report import explain as explanations
from builder.report import summary
from builder.value import SCHEMA_VERSION


def wishes(platform: str, profile: str, accelerator: str, smoke: bool, no_smoke: bool, jobs: int) -> Wishes:
    """The command line's wishes as a value. Raises DefinitionError where they contradict each other."""
    if smoke and no_smoke:
        raise DefinitionError("--smoke and --no-smoke exclude each other")
    if jobs < 0:
        raise DefinitionError(f"--jobs {jobs}: must be 1 or more")
    how: Literal["cached", "forced", "never"] = "never" if no_smoke else "forced" if smoke else "cached"
    return Wishes(platform, profile, accelerator, how, jobs or len(os.sched_getaffinity(0)))


def build(root: Path, app: str, wanted: Wishes, *, as_json: bool, dry: bool) -> None:
    """Build one image and print its table, or with `dry` what would be done."""
    place, store, console = Place(root), Store(dry=dry), Console(quiet=dry)
    ledger = Ledger(store, console, results.last_records(place, app))
    try:
        built = build_image(app, place, wanted, store, ledger, console, inspect=growth.inspector(place, app, console))
    except WouldMake:
        _plan(app, ledger, as_json)
        return
    if dry:
        _plan(app, ledger, as_json)
        return
    document, folder = results.save(built, ledger, place, store)
    if built.verdict is not None and not built.verdict.passed:
        raise _failure(app, built.verdict, folder)
    results.save_lock(built, place, store)
    if as_json:
        emit(document)
        return
    print(f"\n{app}: {built.definition.description}\n{summary.render(document)}")  # noqa: T201
    print(f"\n  results in {_short(folder)}/  next: ./invoke run --app {app}")  # noqa: T201


def _plan(app: str, ledger: Ledger, as_json: bool) -> None:
    """What a dry run found: the stages whose result is known, the first that would run and why, those after it."""
    done = [record.name for record in ledger.records]
    rows = [{"stage": name, "run": False, "why": "in the store"} for name in done]
    if ledger.pending:
        first, why = ledger.pending
        rows.append({"stage": first, "run": True, "why": why})
        after = [name for name in STAGES if name not in done and name != first]
        rows.extend({"stage": name, "run": True, "why": f"depends on {first}"} for name in after)
    if as_json:
        emit({"schema": SCHEMA_VERSION, "app": app, "stages": rows})
        return
    for row in rows:
        print(f"  {'would run' if row['run'] else 'kept':<10} {row['stage']:<10} {row['why']}")  # noqa: T201


def _failure(app: str, verdict: Verdict, folder: Path) -> SmokeError:
    failed = [f"{check.name}: {check.detail}"[:400] for check in verdict.checks if not check.passed]
    what = "; ".join(failed)
    log = folder / "serial.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
    return SmokeError(
        f"{app} failed its smoke test: {what}",
        f"everything about it is in {_short(folder)}/ (verdict.json, serial.log, run.sh)",
        log=str(log),
        tail=tail,
    )


def smoke(root: Path, app: str, accelerator: str, *, as_json: bool, least: bool) -> None:
    """Boot a built image, run its checks, print the verdict."""
    from builder.analyse.table import names  # noqa: PLC0415
    from builder.boot import smoke as smoke_test  # noqa: PLC0415

    place = Place(root)
    image, platform = built(place, app)
    definition = definition_file.load(place.images, app)
    chosen = accelerators.choose(platform, accelerator)
    scratch = cache_root() / "smoke" / f"{app}-asked"
    scratch.mkdir(parents=True, exist_ok=True)
    secrets = secret_files.of_tests(definition, place.images / app)
    if least:
        found = smoke_test.least_memory(
            definition, image, platform, chosen, scratch=scratch, syscall_names=names(), secrets=secrets
        )
        emit({"schema": SCHEMA_VERSION, "app": app, "least_memory_mib": found}) if as_json else print(  # noqa: T201
            f"{app}: every check passes with {found} MiB, not with less"
        )
        return
    verdict = smoke_test.smoke(
        definition, image, platform, chosen, scratch=scratch, syscall_names=names(), secrets=secrets
    )
    if as_json:
        emit(verdict)
    else:
        for check in verdict.checks:
            print(f"  {'passed' if check.passed else 'FAILED'}  {check.seconds:6.3f} s  {check.name} {check.detail}")  # noqa: T201
    if not verdict.passed:
        raise _failure(app, verdict, scratch)


def trace(root: Path, app: str, wanted: Wishes, *, as_json: bool) -> None:
    """Record a trace, write it beside the definition and print what it holds."""
    from builder import tracing  # noqa: PLC0415 - other commands need not load it
    from builder.report import traced  # noqa: PLC0415

    store, console = Store(), Console()
    found = tracing.record(app, Place(root), wanted, store, Ledger(store, console), console)
    if as_json:
        emit(found.trace)
        return
    print(f"\n{app}: {len(found.verdict.checks)} checks passed while it was recorded\n{traced.render(found.trace)}")  # noqa: T201
    print(f"\n  trace in {_short(found.path)}  next: ./invoke analyse --app {app} --with-trace")  # noqa: T201


def built(place: Place, app: str) -> tuple[Image, Platform]:
    """The image in `dist/` as a value to boot, and its platform. Raises DefinitionError when it is not built."""
    definition_file.load(place.images, app)  # names what is near when there is no such image
    known = results.load(place, app, Report)
    folder = place.dist / app / promotion.CURRENT
    image = Image(
        name=app,
        kernel=str(folder / "kernel"),
        kernel_sha256=known.kernel.sha256,
        rootfs=str(folder / "rootfs.cpio"),
        memory_mib=known.memory_mib,
        platform=known.platform,
        ports=known.ports,
        dhcp=known.dhcp,
        agent_port=known.agent_port,
        agent_pages=known.agent_pages,
        disk_mib=known.disk_mib,
        layers=known.layers,
        secrets=known.secrets,
        watchdog=known.watchdog,
    )
    return image, recipes.load_platform(place.recipes, known.platform)


def list_images(root: Path, *, as_json: bool) -> None:
    """Every definition, and whether `dist/` holds a checked image of it."""
    place = Place(root)
    rows = []
    for name in definition_file.names(place.images):
        definition: Definition = definition_file.load(place.images, name)
        try:
            known = results.load(place, name, Report)
            checked = known.verdict is not None and known.verdict.passed
            state = f"built, {'checked' if checked else 'not checked'}, Linux {known.kernel_version}"
        except DefinitionError:
            state = "not built"
        rows.append({"name": name, "description": definition.description, "state": state})
    if as_json:
        emit({"schema": SCHEMA_VERSION, "images": rows})
        return
    for row in rows:
        print(f"  {row['name']:<12} {row['state']:<34} {row['description']}")  # noqa: T201


def explain(root: Path, app: str, wish: Mapping[str, str], *, as_json: bool) -> None:
    """Print why an option, a file or a package is in an image; needs are `explaining.need`'s part."""
    asked = {kind: value for kind, value in wish.items() if value}
    if len(asked) != 1:
        raise DefinitionError(
            "explain wants one of --syscall, --need, --option, --file, --package", "see ./invoke --help explain"
        )
    place = Place(root)
    (kind, value), options = next(iter(asked.items())), results.load(place, app, ImageOptions)
    needs, files = results.load(place, app, ImageNeeds), results.load(place, app, ImageFiles)
    match kind:
        case "option":
            text = explanations.option(value, options, (place.dist / app / "kernel.config").read_text())
        case "file":
            text = explanations.file(value, needs, files)
        case _:
            text = explanations.package(value, files)
    if as_json:
        emit({"schema": SCHEMA_VERSION, "app": app, kind: value, "explanation": text.splitlines()})
    else:
        print(text)  # noqa: T201


def doctor(root: Path, *, as_json: bool) -> None:
    """Print every host tool with its version, and the accelerator's verdict. Exit 4 when something is missing."""
    from builder.edges.tools import check_tools  # noqa: PLC0415

    place = Place(root)
    tools = check_tools(place.recipes / "host" / "tools.tsv")
    missing = sorted({tool.package for tool in tools if not tool.found})
    accelerator = None
    if not missing:
        accelerator = accelerators.choose(recipes.load_platform(place.recipes, "microvm"))
    if as_json:
        emit({"schema": SCHEMA_VERSION, "tools": tools, "accelerator": accelerator, "cache": str(cache_root())})
    else:
        for tool in tools:
            print(f"  {'found  ' if tool.found else 'MISSING'}  {tool.name:<36} {tool.version or '-':<20} {tool.why}")  # noqa: T201
        if accelerator:
            print(f"  accelerator: {accelerator.name} ({accelerator.why})")  # noqa: T201
        print(f"  cache: {cache_root()}")  # noqa: T201
    if missing:
        raise HostError(
            f"missing: {', '.join(missing)}", f"sudo apt-get install --no-install-recommends {' '.join(missing)}"
        )


def clean(root: Path, app: str, *, cache: bool) -> None:
    """Remove `dist/` (or one image of it), and on request the whole cache."""
    place = Place(root)
    doomed = [place.dist / app, place.dist / f"{app}.failed"] if app else [place.dist]
    if app:
        definition_file.load(place.images, app)
    for folder in [*doomed, *([cache_root()] if cache else [])]:
        if folder.exists():
            shutil.rmtree(folder)
            print(f"  removed {_short(folder)}")  # noqa: T201


def _short(path: Path) -> str:
    """A path as a person would type it from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
