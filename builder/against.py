"""What `--against OLD` names: a lock file, a git revision, `package=version`, an analysis' JSON, or another file."""

from pathlib import Path

import msgspec
from msgspec import UNSET

from builder import analysing
from builder.analysing import CALL, Subject, switched_on
from builder.analysis_documents import Analysis, Call, Feature, Mapped, Proof
from builder.comparing import Side
from builder.configure.recipes import Rule
from builder.documents import ImageNeeds
from builder.edges.apt import Archive
from builder.edges.process import run
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store
from builder.errors import DefinitionError, FetchError
from builder.inputs import lockfile
from builder.inputs.lockfile import Lock
from builder.model import Need, Package
from builder.pipeline import Place

MAY_BE = "OLD is a lock file, a git revision, package=version, or a JSON file of analyse or of dist/NAME/needs.json"


def old_app(place: Place, app: str, old: str, rules: tuple[Rule, ...], store: Store) -> Side:
    """The other version of an image's application. Raises DefinitionError for what is none."""
    path = Path(old)
    if path.is_file():
        data = path.read_bytes()
        if b'"kernel"' not in data:
            return _document(old, data, rules)
        lock = lockfile.read_lock(path)
    elif "=" in old:
        lock = _with_version(place, app, old)
    else:
        lock = _at_revision(place, app, old)
    assert lock is not None
    return side(old, analysing.load_app(place, app, store, lock), rules)


def old_file(old: str, root: Path, rules: tuple[Rule, ...], store: Store) -> Side:
    """The other version of a file: another file, or the JSON of an earlier analysis."""
    path = Path(old)
    if path.is_file() and path.read_bytes()[:1] == b"{":
        return _document(old, path.read_bytes(), rules)
    return side(old, analysing.load_file(old, root, store), rules)


def side(name: str, subject: Subject, rules: tuple[Rule, ...]) -> Side:
    """A side that was analysed here and now."""
    return Side(name, analysing.document(subject, rules), subject)


def _document(name: str, data: bytes, rules: tuple[Rule, ...]) -> Side:
    try:
        if b'"application"' in data:
            return Side(name, _from_needs(msgspec.json.decode(data, type=ImageNeeds), rules))
        return Side(name, msgspec.json.decode(data, type=Analysis))
    except msgspec.DecodeError as error:
        raise DefinitionError(f"--against {name}: {error}", MAY_BE) from error


def _from_needs(image: ImageNeeds, rules: tuple[Rule, ...]) -> Analysis:
    needs = image.application.needs
    return Analysis(
        machine="",
        syscalls=tuple(
            Call(n.id.removeprefix(CALL), -1, "reachable", n.by, n.sites, _proofs(n))
            for n in needs
            if n.id.startswith(CALL)
        ),
        features=tuple(
            Feature(n.id, "reachable", n.by, n.sites, _proofs(n)) for n in needs if not n.id.startswith(CALL)
        ),
        options=switched_on(rules, {need.id: "reachable" for need in needs}),
        unresolved=image.application.unresolved,
        closure=tuple(Mapped(f.path, f.why, f.needed_by, f.soname) for f in image.application.closure),
        app=UNSET,
    )


def _proofs(need: Need) -> tuple[Proof, ...]:
    return tuple(Proof("found", e.how, e.file, e.address, e.function, e.chain) for e in need.evidence)


def _at_revision(place: Place, app: str, revision: str) -> Lock:
    name = f"images/{app}/image.lock"
    done = run(["git", "show", f"{revision}:{name}", "--"], cwd=place.root, timeout_s=30)
    if done.exit_code:
        raise DefinitionError(f"--against {revision}: no such file, and no git revision that has {name}", MAY_BE)
    with scratch_folder("lock") as folder:
        path = folder / app / "image.lock"
        path.parent.mkdir()
        path.write_bytes(done.stdout)
        lock = lockfile.read_lock(path)
    assert lock is not None
    return lock


def _with_version(place: Place, app: str, pin: str) -> Lock:
    """The image's lock with one package, and all of the same source, in another version."""
    lock = lockfile.read_lock(place.images / app / "image.lock")
    name, _, version = pin.partition("=")
    if lock is None:
        raise DefinitionError(f"images/{app}/image.lock: there is none", f"build it first: ./invoke build --app {app}")
    one = next((package for package in lock.packages if package.name == name), None)
    if one is None:
        known = ", ".join(package.name for package in lock.packages)
        raise DefinitionError(f"--against {pin}: {name} is not in the lock of {app}", f"packages in it: {known}")
    group = [package for package in lock.packages if _source(package) == _source(one)]
    new = {package.name: package for package in _described(lock.suite, [f"{p.name}={version}" for p in group], name)}
    return msgspec.structs.replace(lock, packages=tuple(new.get(p.name, p) for p in lock.packages))


def _source(package: Package) -> tuple[str, str]:
    return package.source.split(" ")[0] or package.name, package.version


def _described(suite: str, pins: list[str], name: str) -> tuple[Package, ...]:
    archive = Archive(suite)
    try:
        return archive.describe(pins)
    except FetchError:
        archive.refresh()
    try:
        return archive.describe(pins)
    except FetchError as error:
        known = ", ".join(archive.versions(name))
        raise DefinitionError(f"{pins[0]}: no such version in Debian {suite}", f"there are: {known}") from error
