"""From a closure to Needs: the stage's entry point, with evidence for every need and the store as its memory."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from builder import paths
from builder.analyse import exceptions, telling
from builder.analyse import hints as hint_table
from builder.analyse.arguments import path_need
from builder.analyse.body import Binding, Body, Outcome
from builder.analyse.bound import outcome
from builder.analyse.collecting import paused
from builder.analyse.hints import Hint
from builder.analyse.passing import Look
from builder.analyse.reach import Member, Node, Reached, reach
from builder.analyse.sinks import NUMBER, Finding, findings
from builder.analyse.summary import Summary, summarise
from builder.definition import Declared
from builder.edges.store import Store, digest_bytes, digest_file
from builder.errors import AnalysisError
from builder.model import ClosureFile, Evidence, File, Need, Needs, Tree, Unresolved

MOST_EVIDENCE = 3  # kept for each need; `sites` counts all
KERNEL_IMPLIES = {
    "restart_syscall": "the kernel itself resumes an interrupted sleep with it",
    "rt_sigreturn": "how a signal handler returns (arch/*/kernel/signal.c)",
    "exit": "how a thread ends",
    "exit_group": "how a program ends",
}
DECLARED = Evidence("declared in image.toml")
Found = dict[str, list[Evidence]]


def analyse(
    tree: Tree,
    closure: tuple[ClosureFile, ...],
    store: Store,
    *,
    declared: Declared | None = None,
    hints: tuple[Hint, ...] = (),
    by: Literal["app", "agent", "platform"] = "app",
) -> Needs:
    """What the files of a closure ask of the kernel: system calls, socket families, ioctls, paths, each with evidence.

    The result and each file's summary are kept in the store by content. Raises AnalysisError for a file that cannot
    be read, and for declared system calls that do not exist.
    """
    declared = declared or Declared()
    files = [(f, content_of(tree, f)) for f in closure]
    identity = [analyser_digest(), by, declared, hints, [(f, e.sha256 or digest_file(Path(e.host))) for f, e in files]]
    key = digest_bytes(msgspec.json.encode(identity))

    def fill(folder: Path) -> None:
        with paused():
            members = members_of([(f, e, s) for f, e in files for s in (load_summary(e, f.path, store),)])
            result = msgspec.structs.replace(assess(members, declared, by, hints, remembered(store)), closure=closure)
        (folder / "needs.msgpack").write_bytes(msgspec.msgpack.encode(result))

    return msgspec.msgpack.decode((store.make("needs", key, fill) / "needs.msgpack").read_bytes(), type=Needs)


def load_summary(entry: File, name: str, store: Store) -> Summary:
    """A file's summary, from the store if its content was seen before."""
    content = entry.sha256 or digest_file(Path(entry.host))

    def fill(folder: Path) -> None:
        summary = summarise(Path(entry.host).read_bytes(), name)
        (folder / "summary.msgpack").write_bytes(msgspec.msgpack.encode(summary))

    folder = store.make("summary", digest_bytes(f"{analyser_digest()} {content}".encode()), fill)
    return msgspec.msgpack.decode((folder / "summary.msgpack").read_bytes(), type=Summary)


def remembered(store: Store) -> Look:
    """`bound.outcome` with the store as its memory."""
    known: dict[tuple[int, frozenset[Binding]], Outcome] = {}

    def look(body: Body, bindings: frozenset[Binding]) -> Outcome:
        key = id(body), bindings
        if key not in known:
            identity = msgspec.msgpack.encode([analyser_digest(), body, sorted(bindings, key=str)])

            def fill(folder: Path) -> None:
                (folder / "outcome.msgpack").write_bytes(msgspec.msgpack.encode(outcome(body, bindings)))

            folder = store.make("outcome", digest_bytes(identity), fill)
            known[key] = msgspec.msgpack.decode((folder / "outcome.msgpack").read_bytes(), type=Outcome)
        return known[key]

    return look


@cache
def analyser_digest() -> str:
    """SHA-256 over the analyser's own files: any change of it makes all its results anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".tsv", ".toml"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def content_of(tree: Tree, file: ClosureFile) -> File:
    """A closure file's entry; AnalysisError where the tree has none."""
    entry = paths.find(tree, file.path)
    if entry is None:
        raise AnalysisError(f"{file.path}: in the closure but not among the image's files", "resolve the closure again")
    return entry


def members_of(files: Iterable[tuple[ClosureFile, File, Summary]]) -> list[Member]:
    """One member for each content, the loader last before plugins: that is where it stands in the lookup order."""
    order = {"program": 0, "needed": 1, "interpreter": 2, "plugin": 3}
    seen: set[str] = set()
    members = []
    for file, entry, summary in files:
        if entry.path not in seen:
            seen.add(entry.path)
            members.append(Member(file, summary))
    return sorted(members, key=lambda m: order[m.file.why])


def reached(tree: Tree, closure: tuple[ClosureFile, ...], hints: tuple[Hint, ...], store: Store) -> Reached:
    """What can run of a closure, with the hints."""
    files = [(f, content_of(tree, f)) for f in closure]
    members = members_of([(f, e, load_summary(e, f.path, store)) for f, e in files])
    look = remembered(store)
    everything = reach(members, look=look)
    return hint_table.reached_with(members, hints, everything, look)[0] if hints else everything


def assess(
    members: Sequence[Member],
    declared: Declared,
    by: Literal["app", "agent", "platform"] = "app",
    hints: tuple[Hint, ...] = (),
    look: Look = outcome,
) -> Needs:
    """The needs and the unresolved places of linked summaries, and what hints take out of them. Pure."""
    reached = reach(members, look=look)
    found, unresolved = _asked(reached, declared)
    held: tuple[str, ...] = ()
    hinted: tuple[str, ...] = ()
    if hints:
        fewer, held = hint_table.reached_with(members, hints, reached, look)
        less, unresolved = _asked(fewer, declared)
        hinted, found = tuple(sorted(found.keys() - less.keys())), less
    closure = tuple(m.file for m in members)
    needs = tuple(Need(i, _best(e), by, len(e)) for i, e in sorted(found.items()))
    return Needs(closure, needs, tuple(dict.fromkeys(unresolved)), hinted, held)


def _asked(reached: Reached, declared: Declared) -> tuple[Found, list[Unresolved]]:
    """What reachable code asks for, with its evidence, and the places that could not be decided."""
    found: Found = {}
    open_: list[Finding] = []
    for finding in findings(reached, reached.calls()):
        if finding.values is None:
            open_.append(finding)
            continue
        evidence = _evidence(reached, finding)
        for need in needs_of(reached, finding, finding.values):
            if not taken_out(reached, finding, need):
                _note(found, need, evidence)
    unresolved = list(_close(reached, found, open_))
    _paths(reached, found)
    _legacy(reached, found)
    _implied(found)
    _declared(found, declared, reached.calls())
    return found, unresolved


def _best(evidence: list[Evidence]) -> tuple[Evidence, ...]:
    """The first few pieces of evidence, shortest chain first, one for each function."""
    functions = {(e.file, e.function, e.how): e for e in sorted(evidence, key=lambda e: -len(e.chain))}
    ranked = sorted(functions.values(), key=lambda e: (e != DECLARED, not e.file, len(e.chain), e.file, e.address))
    return tuple(ranked[:MOST_EVIDENCE])


def _note(found: Found, need: str, evidence: Evidence) -> None:
    if need:
        found.setdefault(need, []).append(evidence)


def needs_of(reached: Reached, finding: Finding, values: tuple[int, ...]) -> tuple[str, ...]:
    """The needs of known values; a number that no kernel has answers ENOSYS and gives none."""
    if finding.kind == NUMBER:
        name = reached.calls().get(values[0])
        return (f"syscall:{name}",) if name else ()
    text = reached.members[finding.node[0]].summary.texts.get(values[0], "")
    return telling.needs(*finding.kind, values, text)


def taken_out(reached: Reached, finding: Finding, need: str) -> bool:
    """Whether a hint says that a need does not arise here."""
    cut = reached.cut.needs
    places = (finding.node, finding.made[0], (finding.node[0], -1), (finding.made[0][0], -1))
    return bool(cut) and any((place, need) in cut for place in places)


def _evidence(reached: Reached, finding: Finding, how: str = "") -> Evidence:
    member = reached.members[finding.node[0]]
    if not how and finding.values is not None:
        name = finding.kind[0] or reached.calls().get(finding.values[0], "")
        given = "" if finding.kind == NUMBER else f" with {', '.join(f'{v:#x}' for v in finding.values)}"
        how = f"calls {name}{given}"
    function = member.summary.name(finding.node[1])
    return Evidence(how, member.file.path, finding.address, function, reached.chain(finding.node))


def _close(reached: Reached, found: Found, open_: Iterable[Finding]) -> Iterator[Unresolved]:
    """Count what could not be decided as everything it may be."""
    for finding in open_:
        assumed, why = assumed_of(reached, found, finding)
        evidence = _evidence(reached, finding, f"assumed: {why}")
        for need in assumed:
            if not taken_out(reached, finding, need):
                _note(found, need, evidence)
        if assumed or finding.kind == NUMBER:
            yield Unresolved(evidence.file, finding.address, evidence.function, why, _shown(reached, assumed))


def _shown(reached: Reached, assumed: tuple[str, ...]) -> tuple[str, ...]:
    return assumed if len(assumed) < len(reached.calls()) else ("syscall:*",)


def assumed_of(reached: Reached, found: Found, finding: Finding) -> tuple[tuple[str, ...], str]:
    """What an undecided place is counted as, and why. `found` are the needs known so far."""
    if finding.kind != NUMBER:
        rule = telling.rules(finding.kind[0])[finding.kind[1]]
        return rule.assumed, f"{finding.kind[0]}: {finding.why}"
    summary = reached.members[finding.made[0][0]].summary
    here = reached.members[finding.node[0]].summary
    places = (finding.node[1], *here.edges[finding.node[1]])  # a table of pointers stands for what it points to
    marks = [summary.marks.get(finding.made[0][1], ""), *(here.marks.get(place, "") for place in places)]
    known = exceptions.find(marks, here.build, here.name(finding.node[1]) if here.go else "")
    if known is None:
        return tuple(f"syscall:{n}" for n in sorted(reached.calls().values())), f"system call: {finding.why}"
    numbers = tuple(reached.calls().values()) if known.numbers == ("*",) else known.numbers
    numbers = tuple(n for n in numbers if n not in known.only or _run(reached, finding.node[0], known.only[n]))
    needs = tuple(f"syscall:{n}" for n in numbers)
    return tuple(n for n in needs if n in found or not known.made), known.reason


def _run(reached: Reached, file: int, names: Iterable[str]) -> bool:
    """Whether one of these functions that a file exports can run."""
    exports = reached.exports[file]
    return any((file, export.node) in reached.parents for name in names for export in exports.get(name, ()))


def _paths(reached: Reached, found: Found) -> None:
    cut = reached.cut.needs
    for i, member in enumerate(reached.members):
        for unit, text in member.summary.paths:
            node: Node = (i, unit)
            if unit < 0:
                _note(found, path_need(text), Evidence(f"names {text} in its data", member.file.path))
            elif reached.names(node, text):
                function, chain = member.summary.name(unit), reached.chain(node)
                start = member.summary.starts[unit]
                need = path_need(text)
                if not any((place, what) in cut for place in (node, (i, -1)) for what in (need, text)):
                    _note(found, need, Evidence(f"names {text}", member.file.path, start, function, chain))


def _legacy(reached: Reached, found: Found) -> None:
    for i, member in enumerate(reached.members):
        for unit, address in member.summary.legacy:
            if (i, unit) in reached.parents:
                finding = Finding(NUMBER, None, (i, unit), address, ((i, unit), address))
                _note(found, "exec:i386 int 0x80", _evidence(reached, finding, "makes 32-bit system calls"))


def _implied(found: Found) -> None:
    for name, why in KERNEL_IMPLIES.items():
        if name != "rt_sigreturn" or "syscall:rt_sigaction" in found:
            _note(found, f"syscall:{name}", Evidence(why))


def _declared(found: Found, declared: Declared, names: Mapping[int, str]) -> None:
    for name in declared.syscalls:
        if name not in names.values():
            raise AnalysisError(f"needs.syscalls: there is no system call {name!r}", "names are as in man 2 syscalls")
        _note(found, f"syscall:{name}", DECLARED)
    for feature in declared.features:
        _note(found, feature, DECLARED)
