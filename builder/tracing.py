"""Recording a trace: the stages in order. The image is the definition's own, the kernel refuses nothing and records.

definition → inputs → agent → source → configuration → kernel → root file system → boot and workload → `trace.json`.
The kernel is the same for all applications of a platform: it is compiled once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from builder import agents
from builder.analyse import closure as loader
from builder.analyse import table as syscall_table
from builder.application import programs_of, whole_tree
from builder.assemble import layers as layering
from builder.assemble import rootfs as root_file_system
from builder.boot import accelerator as accelerators
from builder.boot import smoke
from builder.boot.serial import Event
from builder.boot.session import Session
from builder.bootable import image_of
from builder.compile import kernel as kernel_compiler
from builder.compile import source as kernel_source
from builder.compile import table as kernel_table
from builder.configure import permissive, recipes
from builder.configure import resolve as kconfig
from builder.console import Console
from builder.definition import Definition
from builder.edges import secret_files
from builder.edges.scratch import kept_folder
from builder.edges.store import Store
from builder.errors import SmokeError
from builder.inputs import definition_file, gather, lockfile
from builder.ledger import Ledger
from builder.model import Accelerator, Image, Kernel, Platform, Verdict, digest_tree
from builder.pipeline import Place, Wishes
from builder.trace import document, merge, recorded
from builder.traced import Trace
from builder.value import digest

FURTHER_MIB = 64  # of memory, for a kernel with everything in it and its records
REPORT_LIMIT_S = 120.0  # for the records to come over the serial console, after the application's own end


@dataclass(frozen=True)
class Traced:
    """A recorded trace, where it was written, and the verdict on the workload (which passed)."""

    trace: Trace
    path: Path
    verdict: Verdict
    kernel: Kernel


def record(app: str, place: Place, wishes: Wishes, store: Store, ledger: Ledger, console: Console) -> Traced:
    """Run a definition's workload under the permissive kernel and write down what the application did.

    Raises the error of the stage that failed; SmokeError when a check failed or the records are not whole: then the
    trace that is there stays as it is.
    """
    definition = definition_file.load(place.images, app)
    platform = recipes.load_platform(place.recipes, wishes.platform or definition.machine.platform)
    chosen = agents.choose(definition, place.recipes)
    folder = place.images / app

    with ledger.stage("inputs", {"definition": digest(definition)}) as stage:
        lock = lockfile.read_lock(folder / "image.lock")
        gathered = agents.gathered(definition, chosen, folder, lock, store)
        tree = whole_tree(gathered.available, gathered.overlay)
        stage.say(f"{len(gathered.lock.packages)} packages, digests verified")

    with ledger.stage("agent", {"agent": definition.agent.name}) as stage:
        agent = agents.build(definition, place.recipes, store, trace=True)
        stage.say(f"{definition.agent.name}, made for traces")

    kernel = _kernel(gathered.lock, platform, place, wishes, store, ledger, console)

    with ledger.stage("assemble", {"application": gathered.key, "agent": digest_tree(agent)}) as stage:
        programs, plugins = programs_of(tree, definition)
        closure = loader.resolve(tree, programs, plugins)
        own = agents.files(agent, gathered, agents.of_companion(chosen, gathered, place.recipes, store))
        parts = layering.layers(definition, gathered.available, gathered.overlay, closure, own, store, chosen=chosen)
        rootfs, layers = root_file_system.assemble(parts, store)
        stage.say(f"{rootfs.stat().st_size / 1e6:.2f} MB, {sum(layer.files for layer in layers)} files")

    image = image_of(definition, platform, kernel, rootfs, layers, chosen)
    image = replace(image, memory_mib=image.memory_mib + FURTHER_MIB)
    names = syscall_table.names()
    with ledger.stage("trace", {"kernel": kernel.sha256, "workload": digest(workload(definition))}) as stage:
        accelerator = accelerators.choose(platform, wishes.accelerator)
        secrets = secret_files.of_tests(definition, folder)
        verdict, boots = _play(definition, image, platform, accelerator, names, secrets)
        trace = merge.trace(app, boots, {path: entry for _, part in parts for path, entry in part.items()}, names)
        path = document.write(folder, trace)
        passed = len(verdict.checks)
        stage.say(f"{passed} checks passed under {accelerator.name}, {len(trace.calls)} records")
    return Traced(trace, path, verdict, kernel)


def _kernel(
    lock: lockfile.Lock,
    platform: Platform,
    place: Place,
    wishes: Wishes,
    store: Store,
    ledger: Ledger,
    console: Console,
) -> Kernel:
    """The permissive kernel of a platform, with every system call it implements."""
    with ledger.stage("source", {"kernel": digest(lock.kernel)}) as stage:
        package, fetch = gather.kernel_package(lock, store)
        further = place.recipes / "trace" / "patches"
        source = kernel_source.prepare(package, fetch, place.recipes / "patches", store, further=further)
        stage.say(f"Linux {source.version}, {len(source.patches)} patches")

    with ledger.stage("configure", {"source": source.key, "platform": digest(platform)}) as stage:
        wanted = permissive.load(place.recipes)
        options = permissive.options(wanted, recipes.load_rules(place.recipes), platform)
        table = (Path(source.path) / kernel_table.PATH).read_text(encoding="utf-8")
        config = kconfig.resolve(options, kernel_table.implemented(table), source, store)
        stage.say(f"{config.enabled_count} options on, every need of the recipes but {len(wanted.left_out)} groups")

    with ledger.stage("kernel", {"source": source.key, "configuration": digest(config.text)}) as stage:
        jobs = wishes.jobs
        kernel = kernel_compiler.build(source, config, wanted.profile, store, jobs=jobs, progress=console.progress)
        stage.say(f"{kernel.size_bytes / 1e6:.2f} MB, all {len(config.syscalls)} system calls")
    return kernel


def workload(definition: Definition) -> Definition:
    """The definition as it is played for a trace (pure): its smoke checks and then the trace's, with more time."""
    checks = (*definition.smoke.check, *definition.trace.check)
    patience = definition.run.stop_timeout_s + REPORT_LIMIT_S
    return replace(
        definition,
        smoke=replace(definition.smoke, check=checks, timeout_s=definition.trace.timeout_s),
        run=replace(definition.run, stop_timeout_s=patience),
    )


def _play(
    definition: Definition,
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    names: Mapping[int, str],
    secrets: Mapping[str, str],
) -> tuple[Verdict, Sequence[recorded.Recorded]]:
    """Boot the image and run the workload: the passing verdict, and what each boot has recorded."""
    scratch = kept_folder("trace", image.name)
    verdict, sessions = smoke.play(
        workload(definition), image, platform, accelerator, scratch=scratch, syscall_names=names, secrets=secrets
    )
    if not verdict.passed:
        raise _failure(image.name, verdict, sessions[-1])
    return verdict, [recorded.parse(lines(session.events)) for session in sessions]


def _failure(app: str, verdict: Verdict, last: Session) -> SmokeError:
    failed = "; ".join(f"{check.name}: {check.detail}"[:400] for check in verdict.checks if not check.passed)
    said = [line for line in last.lines if line.strip() and '"event":"trace"' not in line]
    return SmokeError(
        f"{app}: the workload failed, so there is no trace: {failed}",
        f"smoke.check and trace.check in images/{app}/image.toml are the workload",
        log=verdict.serial_log,
        tail="\n".join(said[-15:]),
    )


def lines(events: Iterable[Event]) -> list[str]:
    """The recorder's lines among the events of a boot (pure); long ones come in pieces."""
    found, is_whole = [], True
    for event in events:
        if event.name == "trace":
            piece = str(event.facts.get("line", ""))
            if is_whole:
                found.append(piece)
            else:
                found[-1] += piece
            is_whole = not event.facts.get("more")
    return found
