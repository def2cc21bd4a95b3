"""Object trees: what one kernel configuration compiled to, kept so that the next build compiles only what changed.

`<cache>/trees/<key>/` holds `objects/` (the kernel's output folder), `tree.json` (present once a build succeeded;
its time is that of the last use) and `building` (present while a build runs, and after one that was killed).
A tree belongs to one source, toolchain, set of compiler flags and configuration; the system-call table may change.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from builder.edges import make
from builder.edges.store import cache_root
from builder.errors import BuilderError
from builder.value import Value, digest

KEPT = 12  # trees, about 90 MB each
MENTIONED = re.compile(rb"\$\(wildcard include/config/(\w+)\)")
LAYOUT = 1  # to be raised when trees of older code must not be used again


class Family(Value, frozen=True):
    """What trees must have in common for objects to be worth sharing between them."""

    source: str
    toolchain: str
    flags: tuple[str, ...]


class Record(Value, frozen=True):
    """A tree that was built: its family, its `.config`, how many files a build from nothing compiles, and for each
    option the objects that Kbuild makes again when it changes: a set of bits, one an object, in hexadecimal."""

    family: Family
    config: str
    files: int
    readers: Mapping[str, str] = {}


class Tree:
    """One object tree while its lock is held. `lock` is the descriptor that a build's processes inherit."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.objects = folder / "objects"
        self.lock = lock
        self._record = folder / "tree.json"
        self._building = folder / "building"

    @property
    def was_killed(self) -> bool:
        """Whether the last build in this tree did not come to an end."""
        return self._building.exists()

    @property
    def record(self) -> Record | None:
        """What is known of it from its last build: another system-call table changes none of it."""
        known = _read(self._record)
        return known if known and known.readers else None  # older code wrote none

    @property
    def is_started(self) -> bool:
        """Whether there is anything in the tree yet."""
        return any(self.objects.iterdir())

    @contextmanager
    def building(self) -> Iterator[None]:
        """Mark the tree while it is written to: a mark that is found later tells of a build that was killed."""
        if self._building.exists():
            mend(self.objects)
        self._building.touch()
        yield
        self._building.unlink()

    def finish(self, record: Record) -> None:
        """Record that the tree is complete and was used now."""
        self._record.write_bytes(msgspec.json.encode(record))

    def clear(self) -> None:
        """Forget all objects."""
        self._record.unlink(missing_ok=True)
        make.remove_tree(self.objects)
        self.objects.mkdir()


def root() -> Path:
    """Where object trees are kept."""
    return cache_root() / "trees"


@contextmanager
def opened(family: Family, config: str, say: Callable[[str], None]) -> Iterator[Tree]:
    """The tree of a configuration, locked: an existing one, a copy of the nearest one, or an empty one."""
    key = digest([LAYOUT, family, config])
    folder = root() / key
    with make.held(_lock(folder), wait_s=0.0) as lock:
        if lock is not None:
            yield _ready(folder, family, config, lock)
            return
    say("waiting for another build of this configuration")
    with make.held(_lock(folder)) as lock:
        if lock is None:
            raise BuilderError(f"another build holds {folder}", "wait for it, or end it and try again")
        yield _ready(folder, family, config, lock)


def _ready(folder: Path, family: Family, config: str, lock: int) -> Tree:
    objects = folder / "objects"
    if not objects.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _start(objects, family, config)
    prune(spare=folder)
    return Tree(folder, lock)


def _start(objects: Path, family: Family, config: str) -> None:
    """A new tree's objects: those of the nearest finished tree that nobody is building in, else none."""
    relatives = {name: record for name, record in records().items() if record.family == family}
    for name in nearest(config, relatives):
        folder = root() / name
        with make.held(_lock(folder), wait_s=0.0) as lock:
            if lock is not None and (folder / "tree.json").exists() and not (folder / "building").exists():
                make.copy_tree(folder / "objects", objects)
                relocate(objects, folder / "objects")
                return
    objects.mkdir()


def records() -> Mapping[str, Record]:
    """The finished trees by name, the one used last first."""
    folders = sorted((path.parent for path in root().glob("*/tree.json")), key=_last_use, reverse=True)
    found = {folder.name: _read(folder / "tree.json") for folder in folders}
    return {name: known for name, known in found.items() if known}


def _read(path: Path) -> Record | None:
    """A record, or None where there is none that this code can read: other versions of Kiln share the cache."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def nearest(config: str, candidates: Mapping[str, Record]) -> tuple[str, ...]:
    """The candidates' names, the one first of which most objects can stay as they are, then the one whose settings
    differ least."""

    def distance(name: str) -> tuple[int, int, str]:
        record, stale = candidates[name], 0
        differing = {line.partition("=")[0] for line in wanted ^ settings(record.config)}
        for option in differing:
            stale |= int(record.readers.get(option, "0"), 16)
        return stale.bit_count() - record.files, len(differing), name

    wanted = settings(config)
    return tuple(sorted(candidates, key=distance))


def settings(config: str) -> frozenset[str]:
    """The options of a `.config` with their values, wherever they stand in it."""
    return frozenset(line for line in config.splitlines() if line.startswith("CONFIG_"))


def record(objects: Path, family: Family, config: str) -> Record:
    """What is to be known of a finished tree. Kbuild notes for each object the options that its sources mention
    (scripts/basic/fixdep.c)."""
    commands = sorted(objects.rglob(".*.o.cmd"))
    readers: dict[str, int] = {}
    for number, command in enumerate(commands):
        for option in set(MENTIONED.findall(command.read_bytes())):
            name = f"CONFIG_{option.decode()}"
            readers[name] = readers.get(name, 0) | 1 << number
    return Record(family, config, len(commands), {option: f"{found:x}" for option, found in readers.items()})


def relocate(objects: Path, origin: Path) -> None:
    """Correct the command files of a copied tree: those of the host tools name their folder by its absolute path."""
    old, new = f"{origin}/".encode(), f"{objects}/".encode()
    for path in (objects / "tools").rglob(".*.cmd"):
        content = path.read_bytes()
        if old in content:
            path.write_bytes(content.replace(old, new))


def mend(objects: Path) -> None:
    """Remove what a killed build left half-made, so that make makes it again.

    Kbuild writes a target's command file `.<target>.cmd` last: a target newer than its command file, or a command
    file that breaks off (scripts/basic/fixdep.c ends it with the rule `$(deps_<target>):`), was not finished.
    """
    for command in list(objects.rglob(".*.cmd")):
        target = command.with_name(command.name[1:].removesuffix(".cmd"))
        newer = target.exists() and target.stat().st_mtime_ns > command.stat().st_mtime_ns
        if newer or not is_whole(command.read_bytes()):
            command.unlink()
            if target.is_file():
                target.unlink()


def is_whole(command: bytes) -> bool:
    """Whether a command file was written to its end: for a compiled file that includes its dependencies."""
    return command.endswith(b"\n") and (b"-MMD" not in command or b"\n$(deps_" in command)


def prune(*, spare: Path, kept: int = KEPT) -> None:
    """Remove the trees that were not used for longest, beyond the number kept; trees in use and `spare` stay."""
    for folder in sorted(_folders(), key=_last_use, reverse=True)[kept:]:
        if folder == spare:
            continue
        with make.held(_lock(folder), wait_s=0.0) as lock:
            if lock is not None:
                make.remove_tree(folder)


def _folders() -> list[Path]:
    return [path for path in root().iterdir() if path.is_dir()]


def _last_use(folder: Path) -> int:
    """In nanoseconds; a tree that was never finished counts from its beginning."""
    record = folder / "tree.json"
    return (record if record.exists() else folder).stat().st_mtime_ns


def _lock(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
