"""From a definition to locked inputs and a tree of every file that could go into the image.

Packages that hold needed libraries are found by what the program's ELF files ask for (`missing`), among what the
packages named by the definition depend on; the lock then holds just those that were needed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from builder.definition import BuildSource, DebianSource, Definition
from builder.edges import archive
from builder.edges.apt import FRESH_S, Archive
from builder.edges.code import code_digest
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.inputs import build
from builder.inputs.lockfile import Lock
from builder.model import File, Package, Tree, Value, digest, digest_tree

SUITE = "bookworm"
KERNEL = "linux-source-6.12"
Missing = Callable[[Tree], tuple[str, ...]]


class Gathered(Value, frozen=True):
    """All inputs of an image: `available` is what may go in, `overlay` (images/<app>/files/) goes in as it is."""

    available: Tree
    overlay: Tree
    lock: Lock
    key: str  # digest of everything above


def gather(definition: Definition, folder: Path, lock: Lock | None, store: Store, missing: Missing) -> Gathered:
    """The inputs of an image: those of the lock, or, where there is none, the archive's newest, chosen as needed.

    Raises DefinitionError for a package that does not exist, FetchError for one that cannot be had or is not what it
    is locked to, CompileError for a source that does not compile.
    """
    overlay = archive.folder_tree(folder / "files", "overlay")
    source = definition.source
    files = build.source_tree(folder, source, definition.name) if isinstance(source, BuildSource) else {}
    parts = [definition.source, definition.files, definition.run.command, digest_tree(overlay), digest_tree(files)]
    code = code_digest("inputs", "edges/archive.py", "analyse", "model.py")
    if lock is not None and (found := _known(digest([code, parts, lock]), overlay, lock, store)):
        return found
    inputs = _Inputs(definition, lock, store)
    available = inputs.collect(files, overlay, missing)
    locked = inputs.lock()
    key = digest([code, parts, locked])
    if store.find("gathered", key) is None:
        store.make("gathered", key, lambda scratch: _remember(scratch, available, store))
    return Gathered(available, overlay, locked, key)


def kernel_package(lock: Lock, store: Store) -> tuple[Package, Callable[[], Path]]:
    """The kernel's source package, and how to get it (fetched only when it is asked for)."""
    return lock.kernel, lambda: Archive(lock.suite).fetch([lock.kernel], store)[0]


def library_packages(soname: str, candidates: Sequence[Package]) -> tuple[Package, ...]:
    """The candidates in the order in which they may hold a library: Debian names a library's package after its
    soname (Debian policy 8.1), libraries are in section `libs`."""
    plain = re.sub(r"\.so\.?|_", "-", soname.lower()).strip("-")
    words = {plain, plain.replace("-", ""), re.sub(r"-(?=\d+$)", "", plain)}

    def rank(package: Package) -> tuple[int, str]:
        name = package.name.lower()
        if name in words or name.replace("-", "") in words:
            return (0, name)
        stem = re.split(r"[-.\d]", plain.removeprefix("lib"))[0]
        if stem and stem in name:
            return (1 if package.section.endswith("libs") else 2, name)
        return (3 if package.section.endswith("libs") else 4, name)

    return tuple(sorted(candidates, key=rank))


class _Inputs:
    """The packages chosen so far for one image."""

    def __init__(self, definition: Definition, lock: Lock | None, store: Store) -> None:
        self.definition = definition
        self.locked = lock
        self.store = store
        self.archive = Archive(lock.suite if lock else SUITE)
        self.chosen: list[Package] = []
        self.build_packages: tuple[Package, ...] = ()
        self._candidates: tuple[Package, ...] | None = None

    def collect(self, files: Tree, overlay: Tree, missing: Missing) -> Tree:
        """Everything available, once no library is missing any more that a package could bring."""
        source = self.definition.source
        available: dict[str, File] = {}
        if isinstance(source, BuildSource):
            available.update(self._compile(source, files))
        else:
            self._choose(self._named(source))
        self._choose(self._still_needed())
        for package in self.chosen:
            available.update(self._tree(package))
        return self._complete(available, overlay, missing)

    def _named(self, source: DebianSource) -> tuple[Package, ...]:
        """The packages the definition names, in the locked version unless it names another."""
        known = {package.name: package for package in self.locked.packages} if self.locked else {}
        wanted = [name.partition("=")[::2] for name in source.packages]
        if all(name in known and version in ("", known[name].version) for name, version in wanted):
            return tuple(known[name] for name, _ in wanted)
        names = {name for name, _ in wanted}
        return tuple(package for package in self.candidates() if package.name in names)

    def _still_needed(self) -> tuple[Package, ...]:
        return self.locked.packages if self.locked else ()

    def _choose(self, packages: Sequence[Package]) -> None:
        have = {package.name for package in self.chosen}
        self.chosen += [package for package in packages if package.name not in have]

    def _complete(self, available: dict[str, File], overlay: Tree, missing: Missing) -> Tree:
        tried: set[str] = {package.name for package in self.chosen}
        while wanted := missing({**available, **overlay}):
            rest = [package for package in self.candidates() if package.name not in tried]
            if not rest:
                break  # the analysis names the library and who needs it
            for soname in wanted:
                package = library_packages(soname, rest)[0]
                if package.name in tried:
                    continue
                tried.add(package.name)
                tree = self._tree(package)
                if any(path.rpartition("/")[2] in wanted for path in tree):
                    self._choose([package])
                    available.update(tree)
        return available

    def candidates(self) -> tuple[Package, ...]:
        """Every package that the named ones depend on, chosen from the archive as it is now."""
        if self._candidates is None:
            source = self.definition.source
            base = build.BASE_PACKAGES if isinstance(source, BuildSource) and source.toolchain == "gnu" else ()
            wanted = (*source.packages, *base)
            self.archive.refresh(older_than_s=FRESH_S)
            self._candidates = self.archive.candidates(wanted) if wanted else ()
        return self._candidates

    def _compile(self, source: BuildSource, files: Tree) -> Tree:
        if source.toolchain == "gnu":
            self.build_packages = self._sysroot_packages(source)
        trees = tuple(self._tree(package) for package in self.build_packages)
        return build.compiled(source, files, trees, self.definition.name, self.store)

    def _sysroot_packages(self, source: BuildSource) -> tuple[Package, ...]:
        """The `-dev` packages and what they depend on, as locked unless the definition names others by now."""
        named = {name.partition("=")[0] for name in (*source.packages, *build.BASE_PACKAGES)}
        if self.locked and named <= {package.name for package in self.locked.build_packages}:
            return self.locked.build_packages
        sections = ("libdevel", "libs")
        return tuple(p for p in self.candidates() if p.name in named or p.section.endswith(sections))

    def _tree(self, package: Package) -> Tree:
        (deb,) = self.archive.fetch([package], self.store)
        return archive.unpacked(package, deb, self.store)

    def lock(self) -> Lock:
        """The lock to write once the build is good."""
        used = tuple(sorted(self.chosen, key=lambda package: package.name))
        builders = tuple(sorted(self.build_packages, key=lambda package: package.name))
        return Lock(self.archive.suite, self._kernel(), used, builders)

    def _kernel(self) -> Package:
        if self.locked:
            return self.locked.kernel
        self.archive.refresh(older_than_s=FRESH_S)
        found = [package for package in self.archive.candidates([KERNEL]) if package.name == KERNEL]
        if not found:
            raise DefinitionError(f"{KERNEL}: not in Debian {SUITE}")
        return found[0]


def _known(key: str, overlay: Tree, lock: Lock, store: Store) -> Gathered | None:
    """What an earlier run gathered for the same definition, sources and lock."""
    folder = store.find("gathered", key)
    if folder is None:
        return None
    entries = archive.load(folder)
    tree = {path: _rebased(entry, folder, store) for path, entry in entries.items()}
    if any(entry.host and not Path(entry.host).exists() for entry in tree.values()):
        return None  # a part of the store was removed: gather again
    return Gathered(tree, overlay, lock, key)


def _remember(folder: Path, available: Mapping[str, File], store: Store) -> None:
    """Contents stay where they are in the store; the list names them relative to its root."""
    root = str(store.root) + "/"
    archive.save(folder, {p: replace(entry, host=entry.host.removeprefix(root)) for p, entry in available.items()})


def _rebased(entry: File, folder: Path, store: Store) -> File:
    return replace(entry, host=entry.host.replace(str(folder), str(store.root), 1)) if entry.host else entry
