"""The agent layer's program: static, against musl, from a folder under `recipes/agents/`."""

import tomllib
from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec.structs import replace

from builder.agent_recipe import PAGES, AgentRecipe, Further, wrong
from builder.definition import Definition
from builder.edges.code import code_digest
from builder.edges.process import run, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_bytes, digest_file
from builder.errors import CompileError, DefinitionError, HostError
from builder.model import File, Tree
from builder.value import digest

COMPILE_LIMIT_S = 120.0
TOOL_LIMIT_S = 20.0
COMPILER = "musl-gcc"
PROGRAM = "init"


def of(definition: Definition, agents: Path, store: Store, *, trace: bool = False) -> Tree:
    """The agent of an image, with what its definition asks for and no more."""
    asked = {
        "trace": trace,
        "secrets": bool(definition.secret),
        "health": definition.health.is_asked,
        "watchdog": bool(definition.agent.watchdog_s),
        "companion": bool(definition.process),
        "dhcp": definition.network.is_lent,
    }
    further = [name for name, wanted in asked.items() if wanted]
    return build(agents / definition.agent.name, store, network=bool(definition.network.ports), further=further)


def build(folder: Path, store: Store, *, network: bool = True, further: Collection[str] = ()) -> Tree:
    """The agent's files: `/init`, from the store when neither sources, flags nor compiler have changed.

    Without `network` the agent serves no pages and uses no socket, so that its kernel needs no TCP/IP. `further` names
    the parts of `agent.toml` that it is to have besides. Raises DefinitionError for an agent that does not exist, is
    described wrongly or lacks a part, CompileError with the compiler's words, HostError when musl-gcc is missing.
    """
    recipe = load(folder)
    sources, cflags = recipe.sources + (recipe.network_sources if network else recipe.offline_sources), recipe.cflags
    for part in _chosen(recipe, folder.name, further):
        sources, cflags = sources + part.sources, cflags + part.cflags
    sources = recipe.left(sources)
    place = folder.parent / (recipe.base or folder.name)
    files = {name: _read(place, name) for name in (*sources, *recipe.headers)}
    digests = {name: digest_bytes(content) for name, content in files.items()}
    argv = (COMPILER, *cflags, *recipe.ldflags, *sources)
    key = digest([code_digest("compile/agent.py", "agent_recipe.py"), argv, digests, _compiler()])
    made = store.make("agent", key, lambda target: _compile(place.name, argv, files, target))
    program = made / PROGRAM
    size = program.stat().st_size
    init = File("/init", "file", 0o755, sha256=digest_file(program), size_bytes=size, host=str(program), origin="agent")
    return {init.path: init}


def _chosen(recipe: AgentRecipe, name: str, further: Collection[str]) -> list[Further]:
    """The parts that not every agent has, in the recipe's order."""
    asked = {*further, *(["companion"] if recipe.companion else [])}
    for part in sorted(asked - recipe.further.keys()):
        hint = f"choose another with agent.name, or add [further.{part}] to its agent.toml"
        raise DefinitionError(f"the agent {name!r} has no part {part!r}", hint)
    return [part for key, part in recipe.further.items() if key in asked]


def load(folder: Path) -> AgentRecipe:
    """An agent's recipe, with the sources of its base. Raises DefinitionError where there is none, or a wrong one."""
    own = _recipe(folder)
    if not own.base:
        if not own.sources:
            raise wrong(folder.name, "neither sources nor a base: there is no process 1")
        return own
    base = _recipe(folder.parent / own.base)
    if own.sources or base.base:
        raise wrong(folder.name, "base: an agent has sources of its own or those of a base that has its own")
    if unknown := set(own.leave_out) - set(base.parts):
        known = ", ".join(base.parts)
        raise wrong(folder.name, f"leave_out: {own.base} has no part {sorted(unknown)[0]!r}", f"there are: {known}")
    inherited = {} if PAGES in own.leave_out else base.pages
    return replace(
        base,
        description=own.description,
        base=own.base,
        leave_out=own.leave_out,
        companion=own.companion,
        pages=own.pages or inherited,
        needs=own.needs or base.needs,
        network_needs=own.network_needs or base.network_needs,
    )


def _recipe(folder: Path) -> AgentRecipe:
    try:
        return msgspec.convert(tomllib.loads((folder / "agent.toml").read_text(encoding="utf-8")), AgentRecipe)
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.parent.name for p in folder.parent.glob("*/agent.toml")))
        raise DefinitionError(f"no agent named {folder.name!r} in recipes/agents/", f"there are: {known}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise wrong(folder.name, str(error)) from error


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        where = f"recipes/agents/{folder.name}"
        raise DefinitionError(
            f"{where}/agent.toml: {name} is not there", f"add {where}/{name}, or take it out of the list"
        ) from error


def _compiler() -> str:
    """What makes the program besides its sources: musl-gcc is gcc with the headers and the library of musl."""
    try:
        library = run([COMPILER, "-print-file-name=libc.a"], timeout_s=TOOL_LIMIT_S)
        version = run([COMPILER, "-dumpfullversion"], timeout_s=TOOL_LIMIT_S)
    except HostError as error:
        raise HostError(f"{COMPILER} is missing: the agent is compiled with it", "apt install musl-tools") from error
    libc = Path(library.stdout.decode().strip())
    return f"{version.stdout.decode().strip()} {digest_file(libc) if libc.is_file() else ''}"


def _compile(name: str, argv: tuple[str, ...], files: dict[str, bytes], target: Path) -> None:
    with scratch_folder("agent") as scratch:
        for file, content in files.items():
            (scratch / file).write_bytes(content)
        program = scratch / PROGRAM
        done = run([*argv, "-o", PROGRAM], timeout_s=COMPILE_LIMIT_S, cwd=scratch)
        if done.exit_code:
            hint = f"the compiler's words are above; the sources are in recipes/agents/{name}/"
            raise CompileError(f"the agent {name!r} does not compile", hint, tail=tail(done.stderr, 20))
        (target / PROGRAM).write_bytes(program.read_bytes())
    (target / PROGRAM).chmod(0o755)
