"""What a change of one input means for one image: found by working out the image under both locks, and comparing."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from builder import against, comparing
from builder.analyse import changed as functions
from builder.analyse import elf
from builder.analyse import needs as analysis
from builder.analyse.summary import Summary
from builder.analysing import Subject
from builder.analysis_documents import Difference
from builder.compile import kernel as kernel_compiler
from builder.compile.trees import settings
from builder.configure import recipes
from builder.edges import source_tree
from builder.edges.code import code_digest
from builder.edges.source_tree import Pair
from builder.edges.store import digest_file
from builder.model import ClosureFile, Kernel
from builder.preview import Preview
from builder.rebuild import cve
from builder.rebuild import kernel as kernel_changes
from builder.rebuild.files import FileDelta, deltas
from builder.rebuild.kernel import Build
from builder.rebuild_documents import Change, CveVerdict, FileChange, Function, SourceChange, Touched
from builder.value import digest

NO_TRACES = "the kernel of the lock is not in the store, so nobody knows what it was built from: build it first"


def application(change: Change, old: Preview, new: Preview, *, deep: bool = True) -> Change:
    """The verdict on packages that give files to an image, or that it is compiled against. Without `deep` the verdict
    alone: neither the functions of files nor the functions behind needs are looked for."""
    files = deltas(old.files, new.files)
    needs_change = [need.id for need in old.wanted] != [need.id for need in new.wanted]
    closure_changes = _closure(old.subject) != _closure(new.subject)
    if not files and not needs_change and not closure_changes:
        return replace(change, verdict="unaffected", why="every file of the image is the same, bit for bit")
    told = tuple(_file(d, old.subject, new.subject) if deep else _named(d) for d in files)
    if not needs_change and not closure_changes:
        return replace(change, verdict="contents only", why=_contents(told), files=told)
    change = replace(change, verdict="needs change", why=_needs(old, new), files=told)
    return replace(change, difference=_difference(old, new)) if deep else change


def _difference(old: Preview, new: Preview) -> Difference:
    rules = recipes.load_rules(new.place.recipes)
    sides = (against.side("lock", old.subject, rules), against.side("archive", new.subject, rules))
    return comparing.difference(*sides)


def _closure(subject: Subject) -> tuple[tuple[str, str], ...]:
    return tuple((file.path, file.why) for file in subject.needs.closure)


def _contents(files: Sequence[FileChange]) -> str:
    """What changes, in a few words: how much of it can run."""
    code = [file for file in files if file.functions or file.unnamed]
    changed = sum(len(file.functions) + file.unnamed for file in code)
    reachable = sum(sum(f.reachable for f in file.functions) + file.unnamed_reachable for file in code)
    text = f"{len(files)} file{'s' if len(files) != 1 else ''} of the image"
    return f"{text}, {reachable} of {changed} changed functions can be reached" if changed else text


def _needs(old: Preview, new: Preview) -> str:
    before, after = ({need.id for need in side.wanted} for side in (old, new))
    options = {o.name for o in old.options} ^ {o.name for o in new.options}
    parts = [f"+{name}" for name in sorted(after - before)] + [f"-{name}" for name in sorted(before - after)]
    files = {path for path, _ in _closure(old.subject)} ^ {path for path, _ in _closure(new.subject)}
    parts += sorted(f"closure: {path}" for path in files)
    parts += [f"options: {', '.join(sorted(options))}"] if options else []
    return ", ".join(parts[:8]) + (f" and {len(parts) - 8} more" if len(parts) > 8 else "")


# ---- functions ------------------------------------------------------------------------------------------------


def _file(delta: FileDelta, old: Subject, new: Subject) -> FileChange:
    """A changed file with the functions that differ, where both closures have it; kept in the store."""
    told = _named(delta)
    if not all(any(_stands_at(subject, f, delta.path) for f in subject.needs.closure) for subject in (old, new)):
        return told
    key = digest([analysis.analyser_digest(), "differ", delta.path, _identity(old), _identity(new)])

    def fill(folder: Path) -> None:
        (folder / "functions.json").write_bytes(msgspec.json.encode(_compared(told, old, new)))

    kept = new.store.make("functions", key, fill) / "functions.json"
    return msgspec.json.decode(kept.read_bytes(), type=FileChange)


def _named(delta: FileDelta) -> FileChange:
    return FileChange(delta.path, delta.what, delta.origin)


def _identity(subject: Subject) -> list[object]:
    """What decides which functions of an application can run."""
    contents = [(f.path, analysis.content_of(subject.tree, f).sha256) for f in subject.needs.closure]
    return [contents, subject.hints]


def _compared(told: FileChange, old: Subject, new: Subject) -> FileChange:
    before, after = _member(old, told.path), _member(new, told.path)
    ours, theirs = old.members[before].summary, new.members[after].summary
    found = functions.functions(ours, theirs, _prints(old, before), _prints(new, after))
    marked = [(f, _is_reached(old, before, f.old) or _is_reached(new, after, f.new)) for f in found]
    named = [(f, r) for f, r in marked if f.old in ours.names or f.new in theirs.names]
    unnamed = [r for f, r in marked if not (f.old in ours.names or f.new in theirs.names)]
    shown = tuple(Function(f.name, f.what, r) for f, r in sorted(named, key=lambda pair: not pair[1]))
    return replace(told, functions=shown, unnamed=len(unnamed), unnamed_reachable=sum(unnamed))


def _stands_at(subject: Subject, file: ClosureFile, path: str) -> bool:
    """Whether a file of the closure has its content at a path of the image."""
    return path in (file.path, analysis.content_of(subject.tree, file).path)


def _member(subject: Subject, path: str) -> int:
    return next(i for i, m in enumerate(subject.members) if _stands_at(subject, m.file, path))


def _is_reached(subject: Subject, member: int, unit: int) -> bool:
    return unit >= 0 and (member, unit) in subject.reached.parents


def _prints(subject: Subject, member: int) -> functions.Prints:
    """Digests of a file's functions, kept in the store by content."""
    file, summary = subject.members[member].file, subject.members[member].summary
    entry = analysis.content_of(subject.tree, file)
    key = digest([analysis.analyser_digest(), "functions", entry.sha256 or digest_file(Path(entry.host))])

    def fill(folder: Path) -> None:
        found = _printed(Path(entry.host).read_bytes(), file.path, summary)
        (folder / "prints.msgpack").write_bytes(msgspec.msgpack.encode(found))

    kept = subject.store.make("prints", key, fill) / "prints.msgpack"
    return msgspec.msgpack.decode(kept.read_bytes(), type=dict[int, str])


def _printed(data: bytes, name: str, summary: Summary) -> functions.Prints:
    return functions.prints(elf.parse(data, name, ""), summary)


# ---- the kernel -----------------------------------------------------------------------------------------------


def kernel(change: Change, old: Preview, new: Preview, records: Path | None, *, deep: bool = True) -> Change:
    """The verdict on another version of the kernel's source. Without the traces of the build it is affected. Without
    `deep` the verdict alone, as soon as one file decides it."""
    built = old.kernel()
    if built is None:
        return replace(change, verdict="kernel affected", why=NO_TRACES)
    if not deep and (decides := _first(built, old, new)) is not None:
        return replace(change, verdict="kernel affected", why=f"{decides.path}: {decides.why}")
    touched = _touched(built, old, new)
    read = frozenset(kernel_compiler.traces(built).read)
    numbers = f"{touched.changed} files changed, {touched.read} of them were read by its build"
    change = replace(change, kernel=touched, kernel_cves=tuple(_cves(change.cves, records, read, touched)))
    if not touched.present:
        return replace(change, verdict="unaffected", why=f"{numbers}, nothing of it is in the kernel")
    return replace(
        change, verdict="kernel affected", why=f"{numbers}, of {touched.present} the kernel has what changed"
    )


def _build(built: Kernel, old: Preview, new: Preview) -> Build:
    traces = kernel_compiler.traces(built)
    on = frozenset(line[7:-2] for line in settings(old.config.text) if line.endswith("=y"))
    return Build(
        frozenset(traces.read), frozenset(traces.apart), frozenset(traces.symbols), on, _same_options(old, new)
    )


def _same_options(old: Preview, new: Preview) -> bool:
    return settings(old.config.text) == settings(new.config.text)


def _first(built: Kernel, old: Preview, new: Preview) -> SourceChange | None:
    """The first file that the build read of which the kernel has what changed."""
    build = _build(built, old, new)
    pair = Pair(old.source.path, new.source.path, sorted(build.read))
    return kernel_changes.first((path for path in sorted(build.read) if pair.differs(path)), build, pair)


def _touched(built: Kernel, old: Preview, new: Preview) -> Touched:
    """What of the new source the built kernel has, kept in the store."""
    code = code_digest("rebuild", "edges/source_tree.py")
    kernels = [built.sha256, Path(built.vmlinux).parent.name, old.source.key, new.source.key]
    key = digest([code, *kernels, _same_options(old, new)])

    def fill(folder: Path) -> None:
        build = _build(built, old, new)
        before, after = (source_tree.listing(side.source, side.store) for side in (old, new))
        paths = kernel_changes.changed(before, after)
        found = kernel_changes.touched(paths, build, Pair(old.source.path, new.source.path, sorted(build.read)))
        (folder / "touched.json").write_bytes(msgspec.json.encode(found))

    kept = new.store.make("touched", key, fill) / "touched.json"
    return msgspec.json.decode(kept.read_bytes(), type=Touched)


def records_folder() -> Path | None:
    """Where the kernel's CVE records lie (`KILN_CVE_RECORDS`), None where it is not set."""
    chosen = os.environ.get("KILN_CVE_RECORDS")
    return Path(chosen) if chosen else None


def _cves(names: Sequence[str], folder: Path | None, read: frozenset[str], touched: Touched) -> Iterator[CveVerdict]:
    present: Mapping[str, bool] = {change.path: change.present for change in touched.changes}
    known = {path.stem: path for path in folder.rglob("CVE-*.json")} if folder and folder.is_dir() else {}
    for name in names:
        record = None
        if name in known:
            try:
                record = cve.read(known[name].read_bytes())
            except (msgspec.DecodeError, OSError) as error:
                yield CveVerdict(name, "unknown", f"{known[name].name} cannot be read: {error}")
                continue
        yield cve.verdict(name, record, read, present)


__all__ = ["application", "kernel", "records_folder"]
