"""What `invoke analyse` and `invoke explain` look at: an image's application or any ELF file, as documents."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import UNSET

from builder import agents, application, paths
from builder.analyse import elf, plugins, spots
from builder.analyse import needs as analysis
from builder.analyse.buildid import build_id
from builder.analyse.guest import Guest
from builder.analyse.hints import Hint, reached_with
from builder.analyse.reach import Member, Reached, reach
from builder.analyse.table import names as syscall_names
from builder.analyse.walk import SCRIPT_BYTES
from builder.analysis_documents import TIERS, Analysis, Call, Feature, Mapped, Opened, Proof, SwitchedOn, Tier
from builder.configure.recipes import Rule
from builder.configure.request import matching
from builder.definition import Definition
from builder.edges.host_tree import HostTree
from builder.edges.store import Store, digest_bytes, digest_file
from builder.errors import AnalysisError, DefinitionError
from builder.inputs import definition_file, gather, lockfile
from builder.model import Evidence, File, Need, Needs, Tree
from builder.pipeline import Place

CALL = "syscall:"


@dataclass
class Subject:
    """An application or a file with its needs; what is asked more rarely is worked out when it is asked for.

    `versions`: of its packages, by name; `definition`: None for a file."""

    name: str
    tree: Tree
    needs: Needs
    store: Store
    versions: Mapping[str, str] = field(default_factory=dict)
    definition: Definition | None = None
    opened: tuple[plugins.Plugin, ...] = ()
    hints: tuple[Hint, ...] = ()
    machine: str = "x86_64"

    @cached_property
    def members(self) -> list[Member]:
        """The closure's files with their summaries."""
        files = [(f, analysis.content_of(self.tree, f)) for f in self.needs.closure]
        return analysis.members_of([(f, e, analysis.load_summary(e, f.path, self.store)) for f, e in files])

    @cached_property
    def reached(self) -> Reached:
        """What can run in it, but for what hints take out."""
        look = analysis.remembered(self.store)
        everything = reach(self.members, look=look)
        return reached_with(self.members, self.hints, everything, look)[0] if self.hints else everything

    @cached_property
    def told(self) -> tuple[spots.Told, ...]:
        """Every place that gives a need."""
        return spots.told(self.reached)

    @cached_property
    def files(self) -> Mapping[str, tuple[File, str]]:
        """The closure's files by path: the tree's entry and the build-id."""
        found = {}
        for one in self.needs.closure:
            entry = analysis.content_of(self.tree, one)
            found[one.path] = (entry, build_id(elf.parse(Path(entry.host).read_bytes(), one.path, "")))
        return found

    def package(self, path: str) -> str:
        """Who owns a file of the closure: a package with its version, another origin, or an empty text."""
        entry = self.files[path][0] if path in self.files else paths.find(self.tree, path)
        name = entry.origin.removeprefix("deb:") if entry else ""
        return f"{name} {self.versions[name]}" if name in self.versions else name


def load_app(place: Place, app: str, store: Store, lock: lockfile.Lock | None = None) -> Subject:
    """An image's application, from its lock (or another one), its closure complete. Errors as those of a build."""
    definition = definition_file.load(place.images, app)
    lock = lock or lockfile.read_lock(place.images / app / "image.lock")
    return subject(place, definition, gathered(place, definition, store, lock), store)


def gathered(place: Place, definition: Definition, store: Store, lock: lockfile.Lock | None) -> gather.Gathered:
    """The inputs of an image under a lock. Errors as those of a build."""
    folder = place.images / definition.name
    return agents.gathered(definition, agents.choose(definition, place.recipes), folder, lock, store)


def subject(place: Place, definition: Definition, found: gather.Gathered, store: Store) -> Subject:
    """The application among gathered inputs, analysed."""
    tree = application.whole_tree(found.available, found.overlay)
    hints = application.hints_for(tree, definition, place.recipes)
    needs = application.analyse(tree, definition, hints, store)
    opened = plugins.discover(tree, needs.closure, environment=definition.run.environment)
    versions = {package.name: package.version for package in found.lock.packages}
    return Subject(definition.name, tree, needs, store, versions, definition, opened, hints)


def load_file(name: str, root: Path, store: Store) -> Subject:
    """Any program, script or shared object of this machine or of an unpacked tree, with all that it loads there.

    Raises DefinitionError where there is no such file, AnalysisError for one that cannot be analysed."""
    if not root.is_dir():
        raise DefinitionError(f"--root {root}: no such folder", "name the folder of an unpacked file system")
    path = _inside(name, root)
    tree = HostTree(root.resolve())
    guest = Guest(tree, "")
    entry = guest.file(path)
    if entry is None:
        what = "a folder" if guest.is_folder(path) else "no such file"
        raise DefinitionError(f"{name}: {what}", "name a program, a script or a shared library")
    start = guest.start(path, SCRIPT_BYTES).split(b"\n", 1)[0]
    if start[:2] == b"#!" and not start[2:].split():
        raise AnalysisError(f"{name}: a script that names no interpreter", "its first line: #! and a program's path")
    if start[:4] == b"\x7fELF" and not _is_program(guest, path):
        found = plugins.library(tree, path)
    elif start[:2] == b"#!" or start[:4] == b"\x7fELF":
        found = plugins.complete(tree, [path], machine="")
    else:
        hint = "name a program, a script or a shared library"
        raise AnalysisError(f"{name}: neither an ELF file nor a script that names its interpreter (#!)", hint)
    machine = guest.machine or Guest(tree, "").elf(found.files[0].path).machine
    return Subject(path, tree, analysis.analyse(tree, found.files, store), store, opened=found.plugins, machine=machine)


def _inside(name: str, root: Path) -> str:
    """The guest path of a file named on the command line: by its place on the host, or as the guest calls it."""
    place, top = Path(name).absolute(), root.resolve()
    real = place.parent.resolve() / place.name
    if real.is_relative_to(top) and (top != Path("/") or not name.startswith("/")):
        return "/" + str(real.relative_to(top))
    return paths.normalise(name)


def _is_program(guest: Guest, path: str) -> bool:
    file = guest.elf(path)
    return bool(file.kind == elf.ET_EXEC or file.interpreter or file.value(elf.DT_FLAGS_1) & elf.DF_1_PIE)


# ---- documents ------------------------------------------------------------------------------------------------


def document(subject: Subject, rules: Sequence[Rule], traced: frozenset[str] | None = None) -> Analysis:
    """The analysis as it is printed. `traced`: needs that a trace shows, None without one."""
    open_ = assumed(subject)
    numbers = {name: number for number, name in syscall_names(subject.machine).items()}
    tiers: dict[str, Tier] = {}
    calls, features = [], []
    for need in (*subject.needs.needs, *hinted_out(subject)):
        of = tiers[need.id] = tier(need, subject, open_, traced or frozenset())
        proofs = tuple(proof(subject, e) for e in need.evidence)
        name = need.id.removeprefix(CALL)
        if need.id.startswith(CALL):
            calls.append(Call(name, numbers.get(name, -1), of, need.by, need.sites, proofs))
        else:
            features.append(Feature(name, of, need.by, need.sites, proofs))
    return Analysis(
        machine=subject.machine,
        syscalls=tuple(sorted(calls, key=lambda c: c.name)),
        features=tuple(sorted(features, key=lambda f: f.name)),
        options=switched_on(rules, {need.id: tiers[need.id] for need in subject.needs.needs}),
        unresolved=subject.needs.unresolved,
        closure=tuple(_mapped(subject)),
        plugins=tuple(Opened(p.name, p.needed_by, p.why, p.packaged, p.files) for p in subject.opened),
        app=subject.name if subject.definition else UNSET,
        file=UNSET if subject.definition else subject.name,
        traced=traced is not None,
        hints=subject.needs.hints,
    )


def hinted_out(subject: Subject) -> Iterator[Need]:
    """Needs that hints of the definition take out."""
    for name in subject.needs.hinted:
        yield Need(name, (), sites=0)


def assumed(subject: Subject) -> frozenset[str]:
    """Needs that are there only because of places that could not be decided. Kept in the store."""
    if all(not _is_assumed(need) for need in subject.needs.needs):
        return frozenset()
    key = digest_bytes(f"{analysis.analyser_digest()} {msgspec.json.encode(subject.needs)!r}".encode())

    def fill(folder: Path) -> None:
        found = sorted(spots.only_assumed(subject.told))
        (folder / "assumed.json").write_bytes(msgspec.json.encode(found))

    kept = subject.store.make("assumed", key, fill)
    return frozenset(msgspec.json.decode((kept / "assumed.json").read_bytes(), type=list[str]))


def _is_assumed(need: Need) -> bool:
    return bool(need.evidence) and all(e.how.startswith("assumed:") for e in need.evidence)


def tier(need: Need, subject: Subject, open_: frozenset[str], traced: frozenset[str] = frozenset()) -> Tier:
    """How sure a need is. `open_` as `assumed` gives it, `traced`: needs that a trace shows."""
    if need.id in traced:
        return "traced"
    if need.id in subject.needs.hinted:
        return "hinted out"
    return "unresolved" if need.id in open_ and _is_assumed(need) else "reachable"


def proof(subject: Subject, evidence: Evidence) -> Proof:
    """A piece of evidence with what is known of its file."""
    how = spots.how_found(evidence, spots.by_path(subject.members))
    known = subject.files.get(evidence.file)
    return Proof(
        how,
        evidence.how,
        evidence.file,
        evidence.address,
        evidence.function,
        evidence.chain,
        subject.package(evidence.file) if evidence.file else "",
        known[1] if known else "",
    )


def switched_on(rules: Sequence[Rule], needs: Mapping[str, Tier]) -> tuple[SwitchedOn, ...]:
    """The options that needs (with their tiers) switch on, sorted by name."""
    found: dict[tuple[str, str], set[str]] = {}
    for rule in rules:
        if rule.name and (matched := matching(rule, list(needs))):
            found.setdefault((rule.name, rule.value), set()).update(matched)
    return tuple(
        SwitchedOn(name, value, tuple(sorted(ids)), min((needs[i] for i in ids), key=TIERS.index))
        for (name, value), ids in sorted(found.items())
    )


def _mapped(subject: Subject) -> Iterator[Mapped]:
    for file in subject.needs.closure:
        entry, identity = subject.files[file.path]
        digest = entry.sha256 or digest_file(Path(entry.host))
        soname = file.soname or posixpath.basename(file.path)
        package = subject.package(file.path)
        yield Mapped(file.path, file.why, file.needed_by, soname, package, digest, identity)
