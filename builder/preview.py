"""What an image would be made of under a lock: every stage but compiling the kernel, archiving and booting."""

from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from builder import agents, analysing, pipeline
from builder.agent_recipe import Agent
from builder.analyse import implied
from builder.analysing import Subject
from builder.compile import kernel as kernel_compiler
from builder.compile import source as kernel_source
from builder.compile import toolchain as kernel_toolchain
from builder.configure import recipes
from builder.configure import resolve as kconfig
from builder.definition import BuildSource, Definition
from builder.edges.code import code_digest
from builder.edges.store import Store
from builder.inputs import build, gather, toolchain
from builder.inputs.gather import Gathered
from builder.inputs.lockfile import Lock
from builder.model import Kernel, KernelConfig, KernelSource, Need, Needs, Option, Platform, Profile, Tree, digest_tree
from builder.paths import DIGESTS
from builder.pipeline import Built, Place
from builder.value import digest

COMPILERS = ("compiler", "application compiler")  # of the kernel, and of an application from source
STAGES = ("inputs", "analyse", "configure", "compile", "assemble")  # of Kiln, whose code is recorded


@dataclass
class Preview:
    """An image under a lock; what takes longer is worked out when it is asked for."""

    place: Place
    definition: Definition
    gathered: Gathered
    subject: Subject
    chosen: Agent
    agent: Tree  # process 1
    platform: Platform
    profile: Profile
    store: Store

    @property
    def lock(self) -> Lock:
        """The inputs that are really used."""
        return self.gathered.lock

    @cached_property
    def agent_needs(self) -> Needs:
        """The needs of the agent."""
        return agents.analyse(self.chosen, self.agent, self.gathered, self.place.recipes, self.store)

    @cached_property
    def wanted(self) -> tuple[Need, ...]:
        """The needs of the application, the agent and the definition."""
        return implied.merge(self.subject.needs.needs, self.agent_needs.needs, implied.by_definition(self.definition))

    @cached_property
    def syscalls(self) -> tuple[str, ...]:
        """The system calls the kernel would keep."""
        return implied.kept(self.wanted)

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """The kernel options asked for."""
        return pipeline.options_of(self.wanted, self.platform, self.profile, self.definition, self.place)

    @cached_property
    def layers(self) -> tuple[tuple[str, Tree], ...]:
        """The layers of its root file system."""
        return agents.layers_of(
            self.definition,
            self.gathered,
            self.subject.needs,
            self.chosen,
            self.agent,
            self.agent_needs,
            recipes.load_responses(self.place.recipes, self.chosen.base),
            self.syscalls,
            self.place.recipes,
            self.store,
        )

    @property
    def files(self) -> Tree:
        """Every file of its root file system, but for the list of their digests."""
        return {path: entry for _, tree in self.layers for path, entry in tree.items() if path != DIGESTS}

    @cached_property
    def source(self) -> KernelSource:
        """The source of its kernel, fetched and unpacked where the store lacks it."""
        package, fetch = gather.kernel_package(self.lock, self.store)
        return kernel_source.prepare(package, fetch, self.place.recipes / "patches", self.store)

    @cached_property
    def config(self) -> KernelConfig:
        """The configuration of its kernel."""
        return kconfig.resolve(self.options, self.syscalls, self.source, self.store)

    def kernel(self) -> Kernel | None:
        """Its kernel, if it was built on this machine."""
        return kernel_compiler.find(self.source, self.config, self.profile, self.store)


def preview(place: Place, definition: Definition, lock: Lock, store: Store) -> Preview:
    """An image under a lock, its packages fetched and its application analysed. Errors as those of a build."""
    gathered = analysing.gathered(place, definition, store, lock)
    chosen = agents.choose(definition, place.recipes)
    return Preview(
        place,
        definition,
        gathered,
        analysing.subject(place, definition, gathered, store),
        chosen,
        agents.build(definition, place.recipes, store),
        recipes.load_platform(place.recipes, definition.machine.platform),
        recipes.load_profile(place.recipes, definition.profile),
        store,
    )


def with_kernel(seen: Preview, lock: Lock) -> Preview:
    """The same image under a lock that differs in the kernel alone."""
    return replace(seen, gathered=msgspec.structs.replace(seen.gathered, lock=lock))


def of(built: Built, place: Place, store: Store) -> Preview:
    """A finished build, seen in the same way."""
    subject = analysing.subject(place, built.definition, built.gathered, store)
    return Preview(
        place,
        built.definition,
        built.gathered,
        subject,
        built.chosen,
        built.agent,
        built.platform,
        built.profile,
        store,
    )


def made(seen: Preview) -> dict[str, str]:
    """What goes into an image besides packages, as digests by name: what the lock records of a good build."""
    source = seen.definition.source
    folder = seen.place.images / seen.definition.name
    found = {
        "definition": digest(seen.definition),
        "files": digest_tree(seen.gathered.overlay),
        "agent": digest_tree(seen.agent),
        "recipes": digest(recipes.load_rules(seen.place.recipes)),
        "hints": digest(seen.subject.hints),
        "platform": digest(seen.platform),
        "profile": digest(seen.profile),
        "compiler": digest(kernel_toolchain.identity()),
        **{f"kiln {stage}": code_digest(stage) for stage in STAGES},
    }
    if isinstance(source, BuildSource):
        found["source"] = digest_tree(build.source_tree(folder, source, seen.definition.name))
        found["application compiler"] = toolchain.identity(source.toolchain)
    return found


def image(seen: Preview) -> dict[str, str]:
    """What comes out, as digests: the needs, the options with the system calls, the files."""
    return {
        "needs": digest(sorted(need.id for need in seen.subject.needs.needs)),
        "options": digest([[(o.name, o.value) for o in seen.options], seen.syscalls]),
        "files": digest([(name, digest_tree(tree)) for name, tree in seen.layers]),
    }
