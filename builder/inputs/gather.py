"""From a definition to locked inputs and a tree of every file that could go into the image.

Packages that hold needed libraries are found by what the program's ELF files ask for (`missing`), among what the
packages named by the definition depend on; the lock then holds just those that were needed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import field
from msgspec.structs import replace

from builder.agent_recipe import Companion
from builder.definition import BuildSource, Definition
from builder.edges import archive
from builder.edges.apt import Archive
from builder.edges.code import code_digest
from builder.edges.store import Store
from builder.inputs import build, toolchain
from builder.inputs.lockfile import Lock
from builder.model import File, Package, Tree, digest_tree
from builder.value import Value, digest

SUITE = "bookworm"
KERNEL = "linux-source-6.12"
# what every program compiled against glibc needs, beside what the definition names
BASE_PACKAGES = ("libc6-dev", "linux-libc-dev")
LIKELY = 1  # packages fetched for a library before all that could hold it are
SYSROOT_SECTIONS = ("libdevel", "libs")
# the parts of the analysis that say which libraries are needed
CLOSURE = ("closure.py", "walk.py", "search.py", "guest.py", "ldcache.py", "machine.py", "versions.py", "elf.py",
           "plugins.py", "plugins.toml", "candidates.py", "nss.py", "opensslconf.py")  # fmt: skip
Missing = Callable[[Tree], tuple[str, ...]]


class Gathered(Value, frozen=True):
    """All inputs of an image: `available` is what may go in, `overlay` (images/<app>/files/) goes in as it is; `agent`
    are the files of packages that the agent is made of and nobody else names."""

    available: Tree
    overlay: Tree
    lock: Lock
    key: str  # digest of everything above
    agent: Tree = field(default_factory=dict)


def gather(
    definition: Definition,
    folder: Path,
    lock: Lock | None,
    store: Store,
    missing: Missing,
    companion: Companion | None = None,
) -> Gathered:
    """The inputs of an image and of what runs beside its application: those of the lock, or, where there is
    none, the archive's newest, chosen as needed.

    Raises DefinitionError for a package that does not exist, FetchError for one that cannot be had or is not what it
    is locked to, CompileError for a source that does not compile.
    """
    overlay = archive.folder_tree(folder / "files", "overlay")
    source = definition.source
    files = build.source_tree(folder, source, definition.name) if isinstance(source, BuildSource) else {}
    compiler = toolchain.stamp(source.toolchain) if isinstance(source, BuildSource) else ()
    run = definition.run
    wanted: list[object] = [definition.source, definition.files, run.command, run.environment, run.directory]
    wanted += [[one.command, one.environment, one.directory] for one in definition.process]
    beside = companion.packages if companion else ()
    parts = [[*wanted, companion] if companion else wanted, digest_tree(overlay), digest_tree(files), compiler]
    code = code_digest(
        "inputs", "edges/archive.py", "edges/apt.py", "model.py", *(f"analyse/{part}" for part in CLOSURE)
    )
    lock = lock.inputs() if lock else None
    if lock is not None and (found := _known(digest([code, parts, lock]), overlay, lock, store)):
        return _split(found, definition, beside)
    inputs = _Inputs(definition, lock, store, beside)
    available = inputs.collect(files, overlay, missing)
    locked = inputs.lock()
    key = digest([code, parts, locked])
    if store.find("gathered", key) is None:
        store.make("gathered", key, lambda scratch: _remember(scratch, available, store))
    return _split(Gathered(available, overlay, locked, key), definition, beside)


def kernel_package(lock: Lock, store: Store) -> tuple[Package, Callable[[], Path]]:
    """The kernel's source package, and how to get it (fetched only when it is asked for)."""
    return lock.kernel, lambda: Archive(lock.suite).fetch([lock.kernel], store)[0]


def library_packages(soname: str, candidates: Sequence[Package]) -> tuple[Package, ...]:
    """The candidates in the order in which they may hold a library: Debian names a library's package after its
    soname (Debian policy 8.1), libraries are in section `libs`."""
    plain = re.sub(r"\.so\.?|_", "-", soname.lower()).strip("-")
    words = {plain, plain.replace("-", ""), re.sub(r"-(?=\d+$)", "", plain)}
    stem = re.split(r"[-.\d]", plain.removeprefix("lib"))[0]

    def rank(package: Package) -> tuple[int, str]:
        name = package.name.lower()
        if name in words or name.replace("-", "") in words:
            return (0, name)
        if _bare(name).startswith(_bare(plain)):  # zlib1g, libssl3t64
            return (1, name)
        library = package.section.endswith("libs")
        if len(stem) > 1 and stem in name:
            return (2 if library else 3, name)
        return (3 if library else 4, name)

    return tuple(sorted(candidates, key=rank))


def _bare(name: str) -> str:
    return re.sub(r"[-._]", "", name.replace("lib", "", 1))


class _Inputs:
    """The packages chosen so far for one image."""

    def __init__(self, definition: Definition, lock: Lock | None, store: Store, beside: tuple[str, ...] = ()) -> None:
        self.source = definition.source
        self.beside = beside  # packages of the agent
        self.name = definition.name
        self.locked = lock
        self.store = store
        self.archive = Archive(lock.suite if lock else SUITE)
        self.chosen: list[Package] = []
        self.build_packages: tuple[Package, ...] = ()
        self._unpacked: dict[Package, Tree] = {}
        self._found: dict[tuple[str, ...], tuple[Package, ...]] = {}

    def collect(self, files: Tree, overlay: Tree, missing: Missing) -> Tree:
        """Everything available, once no library is missing any more that a package could bring."""
        available: dict[str, File] = {}
        if isinstance(self.source, BuildSource):
            available.update(self._compile(self.source, files))
        else:
            available.update(self._choose(self._named(self.source.packages, self._candidates)))
        if self.beside:
            available.update(self._choose(self._named(self.beside, self._beside)))
        while wanted := missing({**available, **overlay}):
            found = self._providers(wanted)
            if not found:
                break  # the analysis names the library and who needs it
            available.update(found)
        return available

    def _choose(self, named: Sequence[Package]) -> Tree:
        self.chosen += [package for package in named if package not in self.chosen]
        return {path: entry for tree in self._trees(named) for path, entry in tree.items()}

    def _providers(self, wanted: Sequence[str]) -> dict[str, File]:
        """The files of further packages that hold wanted libraries: locked packages first, else the archive's."""
        found = self._holding(wanted, self.locked.packages) if self.locked else {}
        names = {path.rpartition("/")[2] for path in found}
        rest = [soname for soname in wanted if soname not in names]
        return {**found, **(self._holding(rest, self._everybody()) if rest else {})}

    def _holding(self, wanted: Sequence[str], pool: Sequence[Package]) -> dict[str, File]:
        files: dict[str, File] = {}
        for soname in wanted:
            if not _holds(files, soname):
                have = {package.name for package in self.chosen}
                fitting = library_packages(soname, [package for package in pool if package.name not in have])
                files.update(self._first_holding(soname, fitting[:LIKELY]) or self._first_holding(soname, fitting))
        return files

    def _first_holding(self, soname: str, packages: Sequence[Package]) -> Tree:
        for package, tree in zip(packages, self._trees(packages), strict=True):
            if _holds(tree, soname):
                self.chosen.append(package)
                return tree
        return {}

    def _named(self, pins: Sequence[str], candidates: Callable[[], Sequence[Package]]) -> tuple[Package, ...]:
        """The packages that are named, in the locked version unless another one is."""
        locked = self.locked.packages if self.locked else ()
        known = {package.name: package for package in (locked if _fits(pins, locked) else candidates())}
        return tuple(known[name] for name in dict.fromkeys(_names(pins)))

    def _compile(self, source: BuildSource, files: Tree) -> Tree:
        if source.toolchain == "gnu":
            self.build_packages = self._sysroot_packages()
        trees = self._trees(self.build_packages)
        return build.compiled(source, files, trees, self.name, self.store)

    def _sysroot_packages(self) -> tuple[Package, ...]:
        """The `-dev` packages and what they depend on, as locked unless the definition names others by now."""
        wanted = (*self.source.packages, *BASE_PACKAGES)
        if self.locked and _fits(wanted, self.locked.build_packages):
            return self.locked.build_packages
        named = _names(wanted)
        found = [p for p in self._candidates() if p.name in named or p.section.endswith(SYSROOT_SECTIONS)]
        return tuple(sorted(found, key=lambda package: package.name))  # as in the lock: their order makes the sysroot

    def _candidates(self) -> tuple[Package, ...]:
        """Every package that the named ones depend on, chosen from the archive as it is now."""
        built = isinstance(self.source, BuildSource) and self.source.toolchain == "gnu"
        return self._installed((*self.source.packages, *(BASE_PACKAGES if built else ())))

    def _beside(self) -> tuple[Package, ...]:
        """The same for the agent's packages: apart, since an application is not compiled against them."""
        return self._installed(self.beside)

    def _everybody(self) -> tuple[Package, ...]:
        return tuple({package.name: package for package in (*self._beside(), *self._candidates())}.values())

    def _installed(self, wanted: tuple[str, ...]) -> tuple[Package, ...]:
        if wanted not in self._found:
            self._found[wanted] = self.archive.candidates(wanted) if wanted else ()
        return self._found[wanted]

    def _trees(self, packages: Sequence[Package]) -> tuple[Tree, ...]:
        new = [package for package in packages if package not in self._unpacked]
        for package, deb in zip(new, self.archive.fetch(new, self.store), strict=True):
            self._unpacked[package] = archive.unpacked(package, deb, self.store)
        return tuple(self._unpacked[package] for package in packages)

    def lock(self) -> Lock:
        """The lock to write once the build is good."""
        used = tuple(sorted(self.chosen, key=lambda package: package.name))
        kernel = self.locked.kernel if self.locked else self._kernel()
        return Lock(self.archive.suite, kernel, used, self.build_packages)

    def _kernel(self) -> Package:
        return next(package for package in self.archive.candidates([KERNEL]) if package.name == KERNEL)


def _holds(tree: Tree, soname: str) -> bool:
    return any(path.endswith(f"/{soname}") for path in tree)


def _names(pins: Sequence[str]) -> tuple[str, ...]:
    return tuple(pin.partition("=")[0] for pin in pins)


def _fits(pins: Sequence[str], locked: Sequence[Package]) -> bool:
    """Whether every named package is locked, in the version that is named, if one is."""
    known = {package.name: package.version for package in locked}
    split = [pin.partition("=")[::2] for pin in pins]
    return all(name in known and version in ("", known[name]) for name, version in split)


def _split(found: Gathered, definition: Definition, beside: Sequence[str]) -> Gathered:
    """What only the agent's packages bring is apart from what the application may take."""
    owners = {f"deb:{name}" for name in set(_names(beside)) - set(_names(definition.source.packages))}
    own = {path: entry for path, entry in found.available.items() if entry.origin in owners}
    rest = {path: entry for path, entry in found.available.items() if path not in own} if own else found.available
    return replace(found, available=rest, agent=own)


def _known(key: str, overlay: Tree, lock: Lock, store: Store) -> Gathered | None:
    """What an earlier run gathered for the same definition, sources and lock."""
    folder = store.find("gathered", key)
    if folder is None:
        return None
    entries = archive.load(folder)
    tree = {path: _rebased(entry, folder, store) for path, entry in entries.items()}
    if not archive.is_whole(tree):
        return None  # a part of the store was removed: gather again
    return Gathered(tree, overlay, lock, key)


def _remember(folder: Path, available: Mapping[str, File], store: Store) -> None:
    """Contents stay where they are in the store; the list names them relative to its root."""
    root = str(store.root) + "/"
    archive.save(folder, {p: replace(entry, host=entry.host.removeprefix(root)) for p, entry in available.items()})


def _rebased(entry: File, folder: Path, store: Store) -> File:
    return replace(entry, host=entry.host.replace(str(folder), str(store.root), 1)) if entry.host else entry
