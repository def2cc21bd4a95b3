"""The stages in order, on one page: application in, booted and checked image out.

definition → inputs → needs → configuration → kernel → root file system → smoke verdict → `dist/`. Every stage takes
its result from the store when the digest of all that goes in is known there; what is left to do here is to hand the
values on and to record what went in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder import agents, application
from builder.agent_recipe import Agent
from builder.analyse import hints as hinting
from builder.analyse import implied, witness
from builder.analyse import needs as analysis
from builder.analyse import table as syscall_table
from builder.assemble import rootfs as root_file_system
from builder.boot import accelerator as accelerators
from builder.boot import checked
from builder.bootable import image_of
from builder.compile import kernel as kernel_compiler
from builder.compile import source as kernel_source
from builder.configure import recipes, request
from builder.configure import resolve as kconfig
from builder.console import Console
from builder.definition import Definition
from builder.edges import secret_files
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.inputs import definition_file, gather, lockfile
from builder.ledger import Ledger
from builder.model import (
    Image,
    Kernel,
    KernelConfig,
    KernelSource,
    Need,
    Needs,
    Option,
    Platform,
    Profile,
    Tree,
    Verdict,
    digest_tree,
)
from builder.trace import document
from builder.value import digest

STAGES = ("inputs", "agent", "needs", "source", "configure", "kernel", "assemble", "smoke")


@dataclass(frozen=True)
class Place:
    """Where a checkout keeps its things."""

    root: Path

    @property
    def images(self) -> Path:
        """Image definitions."""
        return self.root / "images"

    @property
    def recipes(self) -> Path:
        """Recipes, platforms, profiles, agents, patches."""
        return self.root / "recipes"

    @property
    def dist(self) -> Path:
        """Results, one folder per image."""
        return self.root / "dist"


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for beyond the definition; empty means: as the definition says."""

    platform: str = ""
    profile: str = ""
    accelerator: str = ""
    smoke: Literal["cached", "forced", "never"] = "cached"
    jobs: int = 2


@dataclass(frozen=True)
class Built:
    """Everything a finished build knows; `verdict` is None when no smoke test was asked for."""

    definition: Definition
    platform: Platform
    profile: Profile
    gathered: gather.Gathered
    needs: Needs  # of the application
    chosen: Agent
    agent: Tree  # process 1
    agent_needs: Needs
    config: KernelConfig
    source: KernelSource
    kernel: Kernel
    layers: tuple[tuple[str, Tree], ...]
    image: Image
    verdict: Verdict | None

    @property
    def lock(self) -> lockfile.Lock:
        """The packages it was really made from."""
        return self.gathered.lock


Inspect = Callable[[Definition, Needs], None]  # told what was found, before anything is made of it; may refuse


def build(
    app: str,
    place: Place,
    wishes: Wishes,
    store: Store,
    ledger: Ledger,
    console: Console,
    *,
    lock: lockfile.Lock | None = None,
    inspect: Inspect | None = None,
) -> Built:
    """Build, boot and check one image, under its own lock or another one. Raises the error of the stage that failed; a
    failed smoke test is no error here: it is the verdict."""
    definition = definition_file.load(place.images, app)
    platform = recipes.load_platform(place.recipes, wishes.platform or definition.machine.platform)
    profile = recipes.load_profile(place.recipes, wishes.profile or definition.profile)
    chosen = agents.choose(definition, place.recipes)
    folder = place.images / app

    with ledger.stage("inputs", {"definition": digest(definition)}) as stage:
        lock = lock or lockfile.read_lock(folder / "image.lock")
        gathered = agents.gathered(definition, chosen, folder, lock, store)
        stage.say(f"{len(gathered.lock.packages)} packages, digests verified")

    with ledger.stage("agent", {"agent": definition.agent.name}) as stage:
        agent = agents.build(definition, place.recipes, store)
        stage.say(f"{chosen.name}, {sum(f.size_bytes for f in agent.values()) / 1000:.0f} kB")

    with ledger.stage("needs", {"application": gathered.key, "agent": digest_tree(agent)}) as stage:
        tree = application.whole_tree(gathered.available, gathered.overlay)
        hints = application.hints_for(tree, definition, place.recipes)
        needs = application.analyse(tree, definition, hints, store)
        _witnessed(app, folder, tree, needs, hints, store)
        agent_needs = agents.analyse(chosen, agent, gathered, place.recipes, store)
        wanted = implied.merge(needs.needs, agent_needs.needs, implied.by_definition(definition))
        syscalls = implied.kept(wanted)
        _known_features(definition, place)
        stage.say(_found(needs, syscalls))
    if inspect:
        inspect(definition, needs)

    with ledger.stage("source", {"kernel": digest(gathered.lock.kernel)}) as stage:
        package, fetch = gather.kernel_package(gathered.lock, store)
        source = kernel_source.prepare(package, fetch, place.recipes / "patches", store)
        stage.say(f"Linux {source.version}, {len(source.patches)} patches")

    with ledger.stage("configure", _configuration_inputs(wanted, platform, profile, source, place)) as stage:
        options = options_of(wanted, platform, profile, definition, place)
        config = kconfig.resolve(options, syscalls, source, store)
        stage.say(f"{config.enabled_count} options on, {len(options)} asked for")

    inputs = {"source": source.key, "configuration": digest(config.text), "system calls": digest(syscalls)}
    with ledger.stage("kernel", inputs | {"profile": digest(profile)}) as stage:
        kernel = kernel_compiler.build(source, config, profile, store, jobs=wishes.jobs, progress=console.progress)
        stage.say(f"{kernel.size_bytes / 1e6:.2f} MB, {len(syscalls)} of {kernel.syscalls_total} system calls")

    with ledger.stage("assemble", {"application": gathered.key, "agent": digest_tree(agent)}) as stage:
        rules = recipes.load_responses(place.recipes, chosen.base)
        parts = agents.layers_of(
            definition, gathered, needs, chosen, agent, agent_needs, rules, syscalls, place.recipes, store
        )
        rootfs, layers = root_file_system.assemble(parts, store)
        stage.say(f"{rootfs.stat().st_size / 1e6:.2f} MB, {sum(layer.files for layer in layers)} files")

    image = image_of(definition, platform, kernel, rootfs, layers, chosen)
    verdict = _smoke(definition, image, platform, wishes, store, ledger, folder)
    return Built(
        definition,
        platform,
        profile,
        gathered,
        needs,
        chosen,
        agent,
        agent_needs,
        config,
        source,
        kernel,
        parts,
        image,
        verdict,
    )


def _witnessed(app: str, folder: Path, tree: Tree, needs: Needs, hints: tuple[hinting.Hint, ...], store: Store) -> None:
    """Raise AnalysisError where the image's trace shows what the analysis has not expected."""
    if (trace := document.read(folder)) is not None:
        expected = frozenset(need.id for need in needs.needs)
        witness.check(app, trace.calls, expected, lambda: analysis.reached(tree, needs.closure, hints, store))


def _known_features(definition: Definition, place: Place) -> None:
    """Raise DefinitionError for a declared need that no recipe knows: it would silently bring nothing."""
    declared = tuple(Need(feature, ()) for feature in definition.needs.features)
    for name, near in request.unknown_needs(declared, recipes.load_rules(place.recipes)):
        hint = f"did you mean {near}?" if near else "recipes/options/ has all that are known"
        raise DefinitionError(f"images/{definition.name}/image.toml: needs.features: {name}: no recipe knows it", hint)


def _found(needs: Needs, syscalls: tuple[str, ...]) -> str:
    text = f"{len(needs.closure)} files, {len(needs.syscalls())} system calls, {len(syscalls)} with the agent's"
    if open_sites := [place for place in needs.unresolved if "syscall:*" in place.assumed]:
        first = open_sites[0]
        text += f"; every call is kept, since {first.file}+{first.address:#x} ({first.function}) could make any"
    return text


def options_of(
    wanted: tuple[Need, ...], platform: Platform, profile: Profile, definition: Definition, place: Place
) -> tuple[Option, ...]:
    """The kernel options that needs, platform and profile ask for."""
    rules = recipes.load_rules(place.recipes)
    network, disk = bool(definition.network.ports), definition.disk is not None
    return request.request(wanted, rules, platform, profile, network=network, disk=disk)


def _configuration_inputs(
    wanted: tuple[Need, ...], platform: Platform, profile: Profile, source: KernelSource, place: Place
) -> dict[str, str]:
    return {
        "needs": digest(tuple(need.id for need in wanted)),
        "platform": digest(platform),
        "profile": digest(profile),
        "recipes": digest(recipes.load_rules(place.recipes)),
        "source": source.key,
    }


def _smoke(
    definition: Definition,
    image: Image,
    platform: Platform,
    wishes: Wishes,
    store: Store,
    ledger: Ledger,
    folder: Path,
) -> Verdict | None:
    if wishes.smoke == "never":
        return None
    accelerator = accelerators.choose(platform, wishes.accelerator)
    inputs = {
        "kernel": image.kernel_sha256,
        "root file system": digest([layer.sha256 for layer in image.layers]),
        "checks": digest(definition.smoke),
        "platform": digest(platform),
        "accelerator": accelerator.name,
    }
    with ledger.stage("smoke", inputs) as stage:
        verdict = checked.verdict(
            definition,
            image,
            platform,
            accelerator,
            store,
            syscall_names=syscall_table.names(),
            forced=wishes.smoke == "forced",
            secrets=secret_files.of_tests(definition, folder),
        )
        passed = sum(check.passed for check in verdict.checks)
        stage.say(f"{passed} of {len(verdict.checks)} checks passed under {accelerator.name}")
    return verdict
