"""Kernels: built out of tree from a shared source, kept whole by key; a changed system-call table is only a relink."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder.compile import compiled, table, toolchain, trees
from builder.edges import code, make, process
from builder.edges.store import Store, cache_root, digest_file
from builder.errors import CompileError, StorageError
from builder.model import Kernel, KernelConfig, KernelSource, Profile
from builder.value import Value, digest

STAGE = "kernel"
TABLE = "kiln-syscalls.tbl"  # in the object tree; Kbuild keeps the path in its commands, so it is the same everywhere
CODE = tuple(f"compile/{name}.py" for name in ("compiled", "kernel", "table", "toolchain", "trees"))
BUILD_LIMIT_S = 7200.0
TOOL_LIMIT_S = 60.0
COMPILED = ("  CC ", "  AS ", "  HOSTCC ")  # how Kbuild's short log starts the line of a compiled file


READ, APART, SYMBOLS = "compiled-files.txt", "apart-files.txt", "System.map"


class Traces(Value, frozen=True):
    """What a build leaves to tell later what a change of the source means for it: the files of the source tree it
    read, those of them whose code the kernel's symbols do not tell (`compiled.Read`), and these symbols."""

    read: tuple[str, ...]
    apart: tuple[str, ...]
    symbols: tuple[str, ...]


class Facts(Value, frozen=True):
    """What is known of a built kernel besides its files."""

    sha256: str
    size_bytes: int
    syscalls_total: int
    text_bytes: int


@dataclass(frozen=True)
class Job:
    """What is to be built, and where its log goes. `table` is the trimmed system-call table."""

    source: KernelSource
    config: str
    flags: tuple[str, ...]
    table: str
    jobs: int
    log: Path
    progress: Callable[[str], None]


def build(
    source: KernelSource,
    config: KernelConfig,
    profile: Profile,
    store: Store,
    *,
    jobs: int,
    progress: Callable[[str], None],
) -> Kernel:
    """The kernel of a configuration that dispatches only `config.syscalls`, from the store if it was built before.

    Beside `vmlinux` the artifact holds what `traces` gives. Raises ConfigurationError for a system call this kernel
    does not implement, CompileError with the end of the log when the build fails, StorageError when the disk is full.
    """
    whole, trimmed, key = _identity(source, config, profile)
    log = cache_root() / "logs" / f"kernel-{key[:16]}.log"
    job = Job(source, config.text, profile.kcflags, trimmed, jobs, log, progress)
    folder = store.make(STAGE, key, lambda scratch: _fill(scratch, job, len(table.implemented(whole))))
    return _kernel(folder)


def find(source: KernelSource, config: KernelConfig, profile: Profile, store: Store) -> Kernel | None:
    """The kernel of a configuration if the store has it."""
    folder = store.find(STAGE, _identity(source, config, profile)[2])
    return _kernel(folder) if folder else None


def _identity(source: KernelSource, config: KernelConfig, profile: Profile) -> tuple[str, str, str]:
    """The system-call table of the source, the trimmed one, and the key of the kernel."""
    whole = (Path(source.path) / table.PATH).read_text(encoding="utf-8")
    trimmed = table.trim(whole, config.syscalls)
    versions = code.code_digest(*CODE)
    key = digest([versions, source.key, config.text, trimmed, profile.kcflags, toolchain.identity()])
    return whole, trimmed, key


def _kernel(folder: Path) -> Kernel:
    facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=Facts)
    return Kernel(str(folder / "vmlinux"), facts.sha256, facts.size_bytes, facts.syscalls_total, facts.text_bytes)


def traces(kernel: Kernel) -> Traces:
    """What the build of a kernel left (it lies beside it in the store)."""
    folder = Path(kernel.vmlinux).parent
    symbols = (line.split()[2] for line in (folder / SYMBOLS).read_text(encoding="utf-8").splitlines())
    read, apart = ((folder / name).read_text(encoding="utf-8").splitlines() for name in (READ, APART))
    return Traces(tuple(read), tuple(apart), tuple(symbols))


def _fill(folder: Path, job: Job, syscalls_total: int) -> None:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    family = trees.Family(job.source.key, toolchain.identity(), job.flags)
    with trees.opened(family, job.config, job.progress) as tree:
        expected = next((record.files for record in trees.records().values() if record.family == family), 0)
        _make(tree, job, 0 if tree.is_started else expected)
        tree.finish(tree.record or trees.record(tree.objects, family, job.config))
        _take(tree.objects, folder, job, syscalls_total)


def _make(tree: trees.Tree, job: Job, expected: int) -> None:
    """Build `vmlinux` in the tree; a build that a killed one may have spoilt is tried once more from nothing."""
    was_killed = tree.was_killed
    meter = Meter(job.progress, expected)
    with tree.building():
        failed = _run_make(tree, job, meter)
        if failed and was_killed:
            tree.clear()
            failed = _run_make(tree, job, meter)
    if failed:
        raise _failure(job.log)
    if trees.settings((tree.objects / ".config").read_text(encoding="utf-8")) != trees.settings(job.config):
        raise CompileError(
            "the kernel's build changed the configuration it was given",
            "was it made by another compiler? run ./invoke clean, then build again",
            log=str(job.log),
        )


def _run_make(tree: trees.Tree, job: Job, meter: "Meter") -> bool:
    """Whether make failed."""
    _write_if_changed(tree.objects / ".config", job.config)
    _write_if_changed(tree.objects / TABLE, job.table)
    environment = toolchain.environment()
    return bool(
        make.build(
            command(job.source.path, tree.objects, job.flags, job.jobs),
            env=environment,
            log=job.log,
            lock=tree.lock,
            on_line=meter,
            limit_s=BUILD_LIMIT_S,
        )
    )


def command(source: str, objects: Path, flags: tuple[str, ...], jobs: int) -> tuple[str, ...]:
    """The make command of a kernel."""
    tools = (f"{name}={value}" for name, value in toolchain.UNUSED_TOOLS.items())
    variables = (f"O={objects}", f"KILN_SYSCALL_TABLE={TABLE}", f"KCFLAGS={' '.join(flags)}", *tools)
    return ("make", "--no-print-directory", "-C", source, f"-j{jobs}", "V=0", *variables, "vmlinux")


class Meter:
    """Counts compiled files in the output of a build and says how far it is."""

    def __init__(self, progress: Callable[[str], None], expected: int) -> None:
        self.count = 0
        self._progress = progress
        self._of = f" of about {expected}" if expected else ""

    def __call__(self, line: str) -> None:
        if line.startswith(COMPILED):
            self.count += 1
            self._progress(f"files compiled: {self.count}{self._of}")
        elif line.startswith("  LD      vmlinux"):
            self._progress("linking")


def _write_if_changed(path: Path, text: str) -> None:
    """make goes by times: an unchanged file must keep its own."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _failure(log: Path) -> CompileError | StorageError:
    text = log.read_bytes()
    if process.NO_SPACE in text:
        hint = "free some space, or point KILN_CACHE to another disk"
        return StorageError("the disk is full: the kernel could not be built", hint, log=str(log))
    marks = (b"rror:", b"*** ", b"undefined reference", b"No such file")
    errors = b"\n".join(line for line in text.splitlines() if any(mark in line for mark in marks))
    return CompileError(
        "the kernel's build failed",
        "read the log; ./invoke doctor tells whether a host tool is missing",
        log=str(log),
        tail=process.tail(errors or text),
    )


def _take(objects: Path, folder: Path, job: Job, syscalls_total: int) -> None:
    """Put the stripped kernel and what is known about it into the artifact's folder."""
    job.progress("listing what was compiled")
    vmlinux = folder / "vmlinux"
    strip = ["strip", "--strip-all", "--remove-section=.comment", "-o", str(vmlinux), str(objects / "vmlinux")]
    done = process.run(strip, timeout_s=TOOL_LIMIT_S)
    if done.exit_code:
        raise CompileError("the kernel cannot be stripped", log=str(job.log), tail=process.tail(done.stderr))
    (folder / SYMBOLS).write_bytes((objects / "System.map").read_bytes())
    read = compiled.files(objects, job.source.path)
    for name, paths in ((READ, read.files), (APART, read.apart)):
        (folder / name).write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    facts = Facts(digest_file(vmlinux), vmlinux.stat().st_size, syscalls_total, text_bytes(vmlinux))
    (folder / "facts.json").write_bytes(msgspec.json.encode(facts))


def text_bytes(vmlinux: Path) -> int:
    """Size of the `.text` section of an ELF file."""
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - slow to import, and only needed after a build

    with vmlinux.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".text")
        return int(section["sh_size"]) if section else 0
