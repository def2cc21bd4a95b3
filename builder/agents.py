"""What of an image is its agent: its recipe, its packages' files, what it asks of a kernel, and what it costs."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from builder import application, protection
from builder.agent_recipe import Agent
from builder.analyse import closure as loader
from builder.analyse import hints as hinting
from builder.analyse import implied
from builder.analyse import needs as analysis
from builder.analyse import plugins as opened
from builder.analyse.configured import Start
from builder.analysis_documents import AgentCost
from builder.assemble.layers import Layers, layers, with_links
from builder.compile import agent as compiler
from builder.definition import AgentChoice, Check, Definition, HttpCheck, TcpCheck
from builder.definition_guard import RuleEntry
from builder.edges.content import read
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.inputs import gather
from builder.inputs.gather import Gathered
from builder.inputs.lockfile import Lock
from builder.model import Need, Needs, Option, Tree, digest_tree

INIT = "/init"
CONNECT = "syscall:connect"
AREA = "recipes/options/agent/"  # options that every image has for its agent


def choose(definition: Definition, recipes: Path) -> Agent:
    """The agent that a definition chooses. Raises DefinitionError for one that is not there, and where the definition
    asks for what it does not do."""
    name = definition.agent.name
    recipe = compiler.load(recipes / "agents" / name)
    served = bool(definition.network.ports) and bool(recipe.pages)
    agent = Agent(name, recipe, definition.agent.port if served else 0)
    for key, problem in _problems(definition, agent):
        hint = "take the key out, or choose another agent (docs/how-to/choose-an-agent.md)"
        raise DefinitionError(f"images/{definition.name}/image.toml: {key}: {problem}", hint)
    return agent


def _problems(definition: Definition, agent: Agent) -> Iterator[tuple[str, str]]:
    """Key path and words for what a definition asks and its agent does not do: nothing is passed over silently."""
    if agent.companion and not definition.network.ports:
        yield "agent.name", f"{agent.name!r} serves pages, and the image has no network.ports"
    for number, process in enumerate(definition.process):
        if agent.companion and process.name == agent.name:
            yield f"process[{number}].name", f"the agent's own program is called {agent.name}"
    if not agent.monitors:
        plain = AgentChoice(agent.name)
        for key in ("heartbeat_s", "verify_s", "verify_first", "port"):
            if getattr(definition.agent, key) != getattr(plain, key):
                yield f"agent.{key}", f"the agent {agent.name!r} does not do that"
        if definition.protect.mode != "off":
            yield "protect.mode", f'the agent {agent.name!r} seals no policy: say mode = "off"'
    for table, checks in (("smoke", definition.smoke.check), ("trace", definition.trace.check)):
        for number, check in enumerate(checks):
            if not agent.port and _asks(check, definition.agent.port):
                yield f"{table}.check[{number}].port", f"the agent {agent.name!r} serves no pages"


def _asks(check: Check, port: int) -> bool:
    return isinstance(check, HttpCheck | TcpCheck) and check.port == port


def gathered(definition: Definition, agent: Agent, folder: Path, lock: Lock | None, store: Store) -> Gathered:
    """The inputs of an image under a lock: its application's and its agent's. Errors as those of `gather.gather`."""
    of_application = application.missing_libraries(definition)

    def missing(tree: Tree) -> tuple[str, ...]:
        lacking = of_application(tree)
        if agent.companion:
            lacking += opened.missing(tree, agent.command[:1])
        return tuple(dict.fromkeys(lacking))

    return gather.gather(definition, folder, lock, store, missing, agent.companion)


def build(definition: Definition, recipes: Path, store: Store, *, trace: bool = False) -> Tree:
    """Process 1, compiled for an image."""
    return compiler.of(definition, recipes / "agents", store, trace=trace)


def analyse(agent: Agent, init: Tree, found: Gathered, recipes: Path, store: Store) -> Needs:
    """What the agent asks of the kernel: process 1, and its companion."""
    own = analysis.analyse(init, loader.resolve(init, [INIT]), store, by="agent")
    theirs = of_companion(agent, found, recipes, store)
    return Needs(
        own.closure + theirs.closure,
        implied.merge(own.needs, theirs.needs),
        own.unresolved + theirs.unresolved,
        theirs.hinted,
        theirs.hints,
    )


def of_companion(agent: Agent, found: Gathered, recipes: Path, store: Store) -> Needs:
    """What the companion asks of the kernel, analysed as any application: by its closure, with the hints that hold."""
    if agent.companion is None:
        return Needs((), ())
    tree = {**found.available, **found.agent}
    hints = hinting.applicable(hinting.load(recipes), tree, Start(agent.command, {}))
    files = opened.complete(tree, agent.command[:1]).files
    return analysis.analyse(tree, files, store, by="agent", hints=hints)


def policed(definition: Definition, needs: Needs, agent: Agent, theirs: Needs) -> tuple[Definition, Needs]:
    """What the guard's policy is worked out from (pure): it holds every process but the first to what application and
    companion may do together. A companion starts no programs, whatever its code could, and connects as it declares."""
    companion = agent.companion
    if companion is None:
        return definition, needs
    protect = definition.protect
    if protect.mode != "off":
        protect = replace(protect, listen=(*protect.listen, f"{agent.port}/tcp"))
    if companion.connect and (protect.connect is not None or CONNECT not in {need.id for need in needs.needs}):
        protect = replace(protect, connect=(*(protect.connect or ()), *companion.connect))
    left_out = {*protection.STARTS, *([] if companion.connect is None else [CONNECT])}
    further = tuple(need for need in theirs.needs if need.id not in left_out)
    return replace(definition, protect=protect), replace(needs, needs=implied.merge(needs.needs, further))


def files(init: Tree, found: Gathered, needs: Needs) -> Tree:
    """All files of the agent: process 1, and its companion's closure with the links that lead there."""
    tree = {**found.available, **found.agent}
    loaded = (file.path for file in needs.closure if file.path not in init)
    return {**init, **{path: entry for wanted in loaded for path, entry in with_links(tree, wanted)}}


def layers_of(
    definition: Definition,
    gathered: Gathered,
    needs: Needs,
    chosen: Agent,
    agent: Tree,
    agent_needs: Needs,
    rules: Sequence[RuleEntry],
    kept: Sequence[str],
    recipes: Path,
    store: Store,
) -> Layers:
    """The layers of an image, with the policy of its guard."""
    tree = application.whole_tree(gathered.available, gathered.overlay)
    theirs = of_companion(chosen, gathered, recipes, store)
    programs = application.programs_of(tree, definition)[0]
    # what the companion may reach is the guard's to say, not the wall's: its C library asks for a name service's socket
    spared = {need.id for need in theirs.needs} - {*protection.STARTS}
    walled = tuple(call for call in kept if f"syscall:{call}" not in spared)
    held = protection.directives(*policed(definition, needs, chosen, theirs), programs, rules, walled)
    own = files(agent, gathered, agent_needs)
    available, overlay = gathered.available, gathered.overlay
    return layers(definition, available, overlay, needs.closure, own, store, held, chosen)


def cost(
    agent: Agent,
    own: Tree,
    others: Sequence[Need],
    needs: Needs,
    options: Sequence[Option],
    store: Store,
    metrics: Mapping[str, float] | None = None,
) -> AgentCost:
    """What an image has for its agent alone. `own` are the files that only the agent brings, `others` the needs of
    the application and the definition, `options` all that are asked for, `metrics` what a smoke test has read."""
    theirs = {need.id for need in others} - ({"guard"} if agent.monitors else set())
    alone = ({need.id for need in needs.needs} | {"guard"}) - theirs
    program = sum(entry.size_bytes for entry in own.values() if entry.kind == "file")
    return AgentCost(
        name=agent.name,
        syscalls=tuple(sorted(n.removeprefix("syscall:") for n in alone if n.startswith("syscall:"))),
        options=tuple(option.name for option in options if _is_for(option, alone)),
        files=sum(entry.kind == "file" for entry in own.values()),
        program_bytes=program,
        gzip_bytes=_packed_bytes(own, store),
        resident_bytes=int(_resident(agent, metrics or {})),
    )


def _is_for(option: Option, alone: set[str]) -> bool:
    """Whether everything that asks for an option is the agent's."""
    return all(r.recipe.startswith(AREA) or (r.needs and alone.issuperset(r.needs)) for r in option.reasons)


def _resident(agent: Agent, metrics: Mapping[str, float]) -> float:
    """Memory that the agent has in use, where its page tells; 0: it does not."""
    sample = "process_resident_memory_bytes" if agent.companion else "kiln_agent_resident_memory_bytes"
    return metrics.get(sample, 0.0)


def _packed_bytes(own: Tree, store: Store) -> int:
    """The size of the files' contents with gzip, worked out once."""

    def fill(folder: Path) -> None:
        packer, size = zlib.compressobj(9), 0
        for path in sorted(own):
            if own[path].kind == "file":
                size += sum(len(packer.compress(piece)) for piece in read(own[path]))
        (folder / "bytes").write_text(str(size + len(packer.flush())))

    return int((store.make("packed", digest_tree(own), fill) / "bytes").read_text())
