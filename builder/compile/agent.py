"""The agent layer's program: static, against musl, from a folder under `recipes/agents/`."""

import tomllib
from pathlib import Path

import msgspec

from builder.edges.code import code_digest
from builder.edges.process import run, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_bytes, digest_file
from builder.errors import CompileError, DefinitionError
from builder.model import File, Tree, Value, digest

COMPILE_LIMIT_S = 120.0
PROGRAM = "init"


class AgentRecipe(Value, frozen=True):
    """`agent.toml`: which files are compiled together, and how."""

    description: str
    sources: tuple[str, ...]
    headers: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()


def build(folder: Path, store: Store) -> Tree:
    """The agent's files: `/init`, from the store when neither sources, flags nor compiler have changed.

    Raises DefinitionError for an agent that does not exist, CompileError with the compiler's words, HostError without
    musl-gcc.
    """
    recipe = _recipe(folder)
    files = {name: digest_bytes(_read(folder, name)) for name in (*recipe.sources, *recipe.headers)}
    key = digest([code_digest("compile/agent.py"), recipe, files, _compiler()])
    made = store.make("agent", key, lambda scratch: _compile(folder, recipe, scratch))
    program = made / PROGRAM
    size = program.stat().st_size
    init = File("/init", "file", 0o755, sha256=digest_file(program), size_bytes=size, host=str(program), origin="agent")
    return {init.path: init}


def _recipe(folder: Path) -> AgentRecipe:
    path = folder / "agent.toml"
    where = f"recipes/agents/{folder.name}/agent.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), AgentRecipe)
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.parent.name for p in folder.parent.glob("*/agent.toml")))
        raise DefinitionError(f"no agent named {folder.name!r} in recipes/agents/", f"there are: {known}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DefinitionError(f"{where}: {error}") from error


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise DefinitionError(f"recipes/agents/{folder.name}/agent.toml: {name} is not there") from error


def _compiler() -> str:
    """musl-gcc is gcc with musl's paths: the version of gcc, and musl's own library, make the program."""
    done = run(["musl-gcc", "-print-file-name=libc.a"], timeout_s=20)
    libc = Path(done.stdout.decode().strip())
    version = run(["gcc", "-dumpfullversion"], timeout_s=20).stdout.decode().strip()
    return f"{version} {digest_file(libc) if libc.is_file() else ''}"


def _compile(folder: Path, recipe: AgentRecipe, target: Path) -> None:
    with scratch_folder("agent") as scratch:
        for name in (*recipe.sources, *recipe.headers):
            (scratch / name).write_bytes((folder / name).read_bytes())
        argv = ["musl-gcc", *recipe.cflags, *recipe.ldflags, "-o", str(target / PROGRAM), *recipe.sources]
        done = run(argv, timeout_s=COMPILE_LIMIT_S, cwd=scratch)
        if done.exit_code:
            raise CompileError(
                f"agent {folder.name} does not compile", "the compiler's words are above", tail=tail(done.stderr, 20)
            )
    (target / PROGRAM).chmod(0o755)
