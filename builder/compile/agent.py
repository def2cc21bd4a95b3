"""The agent layer's program: static, against musl, from a folder under `recipes/agents/`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import field

from builder.edges.code import code_digest
from builder.edges.process import run, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_bytes, digest_file
from builder.errors import CompileError, DefinitionError, HostError
from builder.model import File, Tree, Value, digest

COMPILE_LIMIT_S = 120.0
TOOL_LIMIT_S = 20.0
COMPILER = "musl-gcc"
PROGRAM = "init"


class AgentRecipe(Value, frozen=True):
    """`agent.toml`: which files are compiled together, and how.

    `network_sources` are added for images with a network, `offline_sources` for those without, `trace_sources` and
    `trace_cflags` where a trace is recorded. `needs` says why the agent asks for what the analysis finds in it: need
    id → reason (`network_needs`: only with a network).
    """

    description: str
    sources: tuple[str, ...]
    network_sources: tuple[str, ...] = ()
    offline_sources: tuple[str, ...] = ()
    trace_sources: tuple[str, ...] = ()
    trace_cflags: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    network_needs: Mapping[str, str] = field(default_factory=dict)


def build(folder: Path, store: Store, *, network: bool = True, trace: bool = False) -> Tree:
    """The agent's files: `/init`, from the store when neither sources, flags nor compiler have changed.

    Without `network` the agent serves no pages and uses no socket, so that its kernel needs no TCP/IP. With `trace` it
    says at the end what the kernel has recorded. Raises DefinitionError for an agent that does not exist, is described
    wrongly or cannot trace, CompileError with the compiler's words, HostError when musl-gcc is missing.
    """
    recipe = _recipe(folder)
    if trace and not recipe.trace_sources:
        hint = "choose another with agent.name, or add trace_sources to its agent.toml"
        raise DefinitionError(f"the agent {folder.name!r} cannot report a trace", hint)
    sources = recipe.sources + (recipe.network_sources if network else recipe.offline_sources)
    sources += recipe.trace_sources if trace else ()
    cflags = recipe.cflags + (recipe.trace_cflags if trace else ())
    files = {name: _read(folder, name) for name in (*sources, *recipe.headers)}
    digests = {name: digest_bytes(content) for name, content in files.items()}
    key = digest([code_digest("compile/agent.py"), recipe, sources, cflags, digests, _compiler()])
    argv = (COMPILER, *cflags, *recipe.ldflags, *sources)
    made = store.make("agent", key, lambda target: _compile(folder.name, argv, files, target))
    program = made / PROGRAM
    size = program.stat().st_size
    init = File("/init", "file", 0o755, sha256=digest_file(program), size_bytes=size, host=str(program), origin="agent")
    return {init.path: init}


def _recipe(folder: Path) -> AgentRecipe:
    path = folder / "agent.toml"
    where = f"recipes/agents/{folder.name}/agent.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), AgentRecipe)
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.parent.name for p in folder.parent.glob("*/agent.toml")))
        raise DefinitionError(f"no agent named {folder.name!r} in recipes/agents/", f"there are: {known}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DefinitionError(f"{where}: {error}", "see recipes/agents/kiln/agent.toml for the keys") from error


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
