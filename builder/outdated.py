"""Which inputs of which images have newer versions, and what each of them means: `invoke outdated`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from builder import affected, preview
from builder.console import Console
from builder.definition import BuildSource, Definition, Machine, Network, Policy, Smoke, Workload
from builder.edges import archive
from builder.edges.apt import Archive
from builder.edges.apt_policy import Offered
from builder.edges.changelog import changelog
from builder.edges.store import Store
from builder.errors import BuilderError, DefinitionError
from builder.inputs import definition_file, lockfile, renew
from builder.inputs.lockfile import Lock
from builder.inputs.renew import Group
from builder.model import Package, digest_tree
from builder.pipeline import Place
from builder.preview import Preview
from builder.rebuild.changelog import between, order
from builder.rebuild_documents import VERDICTS, Change, Entry, ImageState, Moved, Outdated, Verdict
from builder.value import digest

Offers = Mapping[tuple[str, str], tuple[Offered, ...]]
OUTCOMES: Mapping[str, Verdict] = {"needs": "needs change", "options": "kernel affected", "files": "contents only"}


def outdated(place: Place, apps: Sequence[str], store: Store, console: Console) -> Outdated:
    """The state of images (all of them when none is named). Raises DefinitionError for an image that does not exist or
    a lock that cannot be read, FetchError without any package index."""
    names = apps or definition_file.names(place.images)
    definitions = {name: definition_file.load(place.images, name) for name in names}
    locks = {name: lock for name in names if (lock := read(place, name))}
    judge = Judge(place, store, renew.offers(locks.values()))
    states = []
    for name, lock in locks.items():
        with console.stage(name) as stage:
            states.append(judge.image(definitions[name], lock))
            stage.say(states[-1].verdict if states[-1].changes else "up to date")
    hit = [state for state in states if state.affected]
    security = tuple(s.app for s in hit if any(c.security and c.verdict != "unaffected" for c in s.changes))
    kernels = {judge.kernels[s.app] for s in hit if s.app in judge.kernels}
    unlocked = tuple(name for name in names if name not in locks)
    return Outdated(tuple(states), tuple(s.app for s in hit), security, len(kernels), unlocked)


def read(place: Place, app: str) -> Lock | None:
    """An image's lock."""
    return lockfile.read_lock(place.images / app / "image.lock")


@dataclass
class Judge:
    """Decides image by image; versions and packages that were looked up are kept. `kernels`: of images that need
    another kernel than that of their lock, what tells it from others; `deep`: functions are told too."""

    place: Place
    store: Store
    offers: Offers
    deep: bool = True
    kernels: dict[str, str] = field(default_factory=dict)
    known: dict[str, tuple[ImageState, str]] = field(default_factory=dict)
    described: dict[tuple[str, str, str], Package] = field(default_factory=dict)
    changelogs: dict[str, tuple[Entry, ...]] = field(default_factory=dict)

    def image(self, definition: Definition, lock: Lock) -> ImageState:
        """What changed of an image's inputs. Images that differ only in what decides nothing share their answer."""
        key = digest([_deciding(definition), lock, *self._folder(definition)])
        if key not in self.known:
            self.known[key] = self._image(definition, lock), self.kernels.get(definition.name, "")
        state, kernel = self.known[key]
        if kernel:
            self.kernels[definition.name] = kernel
        return replace(state, app=definition.name)

    def _folder(self, definition: Definition) -> Iterator[str]:
        """Digests of the files in an image's folder that go into it."""
        folder = self.place.images / definition.name
        source = definition.source
        for part in ("files", source.directory if isinstance(source, BuildSource) else ""):
            yield digest_tree(archive.folder_tree(folder / part, "overlay")) if part else ""

    def _image(self, definition: Definition, lock: Lock) -> ImageState:
        notes: list[str] = []
        moved = [(group, moves) for group in renew.groups(lock) if (moves := self._moves(lock, group, notes))]
        changes: list[Change] = []
        try:
            old = preview.preview(self.place, definition, lock, self.store)
        except BuilderError as error:
            changes = [_unknown(self._change(lock, group, moves), error) for group, moves in moved]
            changes.append(_unknown(Change("the lock", "lock", "unknown", ""), error))
        else:
            changes += self._own(old, lock)
            changes += [self._judged(definition, old, group, moves) for group, moves in moved]
        worst = max((VERDICTS.index(change.verdict) for change in changes), default=0)
        return ImageState(definition.name, VERDICTS[worst], tuple(changes), tuple(notes))

    # ---- what is newer -------------------------------------------------------------------------------------------

    def _moves(self, lock: Lock, group: Group, notes: list[str]) -> tuple[Moved, ...]:
        """The packages of a group of which the archives have newer versions."""
        found = []
        for package in group.packages:
            versions = self.offers.get((lock.suite, package.name), ())
            if not versions:
                notes.append(f"{package.name}: no longer in the archives")
                continue
            newest = versions[0]
            step = order(newest.version, package.version)
            if step > 0:
                found.append(Moved(package.name, package.version, newest.version, newest.suites))
            elif step < 0:
                notes.append(f"{package.name}: went backwards: locked {package.version}, archives {newest.version}")
            elif package.version not in {offered.version for offered in versions}:
                notes.append(f"{package.name} {package.version}: no longer in the archives")
        return tuple(found)

    def packages(self, suite: str, moves: Iterable[Moved]) -> tuple[Package, ...]:
        """The new packages as the signed index describes them."""
        wanted = [(suite, move.name, move.new) for move in moves]
        if absent := [key for key in wanted if key not in self.described]:
            for package in Archive(suite).describe([f"{name}={version}" for _, name, version in absent]):
                self.described[suite, package.name, package.version] = package
        return tuple(self.described[key] for key in wanted)

    # ---- what it means -------------------------------------------------------------------------------------------

    def _judged(self, definition: Definition, old: Preview, group: Group, moves: tuple[Moved, ...]) -> Change:
        lock = old.lock
        change = self._change(lock, group, moves)
        try:
            renewed = renew.renewed(lock, self.packages(lock.suite, moves))
            change = self._with_changelog(change, lock, moves)
            if group.role == "kernel":
                new = preview.with_kernel(old, renewed)
                change = affected.kernel(change, old, new, affected.records_folder(), deep=self.deep)
            else:
                new = preview.preview(self.place, definition, renewed, self.store)
                change = affected.application(change, old, new, deep=self.deep)
        except BuilderError as error:
            return _unknown(change, error)
        if change.verdict in ("needs change", "kernel affected"):
            self.kernels[definition.name] = new.lock.kernel.version + str(new.syscalls) + str(new.options)
        return change

    @staticmethod
    def _change(lock: Lock, group: Group, moves: tuple[Moved, ...]) -> Change:
        security = any(suite == f"{lock.suite}-security" for move in moves for suite in move.suites)
        return Change(group.source, group.role, "unknown", "", moves, security)

    def _with_changelog(self, change: Change, lock: Lock, moves: Sequence[Moved]) -> Change:
        """The change with what the new version's changelog tells since the old one."""
        key = f"{change.input} {moves[0].old} {moves[0].new}"
        if key not in self.changelogs:
            self.changelogs[key] = next(filter(None, self._entries(lock, moves)), ())
        found = self.changelogs[key]
        cves = tuple(sorted({name for entry in found for name in entry.cves}))
        return replace(change, changelog=found, cves=cves, security=change.security or bool(cves))

    def _entries(self, lock: Lock, moves: Sequence[Moved]) -> Iterator[tuple[Entry, ...]]:
        packages = self.packages(lock.suite, moves)
        files = Archive(lock.suite).fetch(packages, self.store)
        for package, deb, move in zip(packages, files, moves, strict=True):
            old, new = _source_version(move, lock), package.source.partition(" ")[2] or package.version
            yield between(changelog(package, deb, self.store), old, new)

    # ---- what else goes in ---------------------------------------------------------------------------------------

    def _own(self, old: Preview, lock: Lock) -> Iterator[Change]:
        """What changed besides packages since the lock was written: judged by what comes out."""
        if not lock.made:
            return
        before, now = lock.made, preview.made(old)
        changed = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
        if not changed:
            return
        for name in (name for name in changed if name in preview.COMPILERS):
            yield Change(name, "toolchain", "toolchain", "another compiler or linker than that of the last good build")
        if rest := [name for name in changed if name not in preview.COMPILERS]:
            out = preview.image(old)
            differs = [OUTCOMES[part] for part in OUTCOMES if out.get(part) != lock.image.get(part)]
            verdict: Verdict = max(differs, key=VERDICTS.index, default="unaffected")
            parts = [part for part in OUTCOMES if out.get(part) != lock.image.get(part)]
            why = f"its {' and '.join(parts)} would be others" if parts else "what comes out is the same"
            if verdict in ("needs change", "kernel affected"):
                self.kernels[old.definition.name] = old.lock.kernel.version + str(old.syscalls) + str(old.options)
            yield Change(", ".join(rest), "own", verdict, why)


def _deciding(definition: Definition) -> Definition:
    """A definition without what no verdict depends on: how it is called and checked, how large its machine is, and
    which numbers its ports have, wherever it names them."""
    ports = definition.network.ports
    renamed = _plain(definition)
    if not ports:
        return renamed
    pattern = re.compile(rf"(?<!\d)(?:{'|'.join(map(str, ports))})(?!\d)")
    run = renamed.run
    run = replace(
        run,
        command=tuple(pattern.sub("PORT", word) for word in run.command),
        environment={name: pattern.sub("PORT", value) for name, value in run.environment.items()},
    )
    beside = tuple(
        replace(
            one,
            command=tuple(pattern.sub("PORT", word) for word in one.command),
            environment={name: pattern.sub("PORT", value) for name, value in one.environment.items()},
        )
        for one in renamed.process
    )
    return replace(renamed, run=run, process=beside, network=Network((1,)))


def _plain(definition: Definition) -> Definition:
    machine = replace(definition.machine, memory_mib=Machine().memory_mib)
    idle = {"name": "", "description": "", "smoke": Smoke(), "trace": Workload(), "policy": Policy()}
    return replace(definition, machine=machine, **idle)


def _source_version(move: Moved, lock: Lock) -> str:
    """The version of the source package that a locked binary package was built from."""
    everything = (*lock.packages, *lock.build_packages, lock.kernel)
    package = next(p for p in everything if p.name == move.name and p.version == move.old)
    return package.source.partition(" ")[2] or package.version


def _unknown(change: Change, error: BuilderError) -> Change:
    """Without the data nobody can say that an image is unaffected."""
    return replace(change, verdict="unknown", why=error.message)


def check_apps(place: Place, apps: Sequence[str]) -> None:
    """Raise DefinitionError for a name that is no image."""
    for app in apps:
        definition_file.load(place.images, app)


def need_lock(place: Place, app: str) -> Lock:
    """An image's lock. Raises DefinitionError where there is none."""
    lock = read(place, app)
    if lock is None:
        raise DefinitionError(f"images/{app}/image.lock: there is none", f"build it first: ./invoke build --app {app}")
    return lock
