"""What comes and goes between two versions of an application or a library, and which functions are responsible."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from builder.analyse import elf, fingerprint
from builder.analyse import needs as analysis
from builder.analyse.reach import Node
from builder.analysing import CALL, Subject
from builder.analysis_documents import Analysis, Call, Change, Difference, Feature, FileChange
from builder.edges.store import digest_bytes, digest_file
from builder.model import Evidence

Kind = Literal["comes", "goes"]


@dataclass
class Side:
    """One of the two: its document, and, where it was analysed here and now, what is behind it."""

    name: str
    document: Analysis
    subject: Subject | None = None
    prints: dict[int, Mapping[int, str]] = field(default_factory=dict)  # of unnamed functions, by member

    @cached_property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Needs by id with the chain of their first evidence; those hinted out are none."""
        both: dict[str, Call | Feature] = {CALL + call.name: call for call in self.document.syscalls}
        both |= {feature.name: feature for feature in self.document.features}
        return {n: x.evidence[0].chain if x.evidence else () for n, x in both.items() if x.tier != "hinted out"}

    def member(self, path: str) -> int:
        """The number of the closure's file that stands where `path` stands in the other version, or -1."""
        assert self.subject is not None
        files = [member.file for member in self.subject.members]
        same = [i for i, file in enumerate(files) if file.path == path or _base(file.path) == _base(path)]
        return same[0] if same else -1

    def known(self, member: int, name: str, code: str) -> bool:
        """Whether a file has a function: by its name, or, where that is made from an address, by its code."""
        assert self.subject is not None
        if not code:
            return name in self.subject.members[member].summary.names.values()
        return code in self.codes(member).values()

    def codes(self, member: int) -> Mapping[int, str]:
        """Digests of the code of a file's unnamed functions, kept in the store."""
        if member not in self.prints:
            self.prints[member] = self._codes(member)
        return self.prints[member]

    def _codes(self, member: int) -> Mapping[int, str]:
        assert self.subject is not None
        one = self.subject.members[member]
        entry = analysis.content_of(self.subject.tree, one.file)
        content = entry.sha256 or digest_file(Path(entry.host))

        def fill(folder: Path) -> None:
            file = elf.parse(Path(entry.host).read_bytes(), one.file.path, "")
            found = fingerprint.prints(file, one.summary)
            (folder / "prints.msgpack").write_bytes(msgspec.msgpack.encode(found))

        key = digest_bytes(f"{analysis.analyser_digest()} {content}".encode())
        kept = self.subject.store.make("prints", key, fill) / "prints.msgpack"
        return msgspec.msgpack.decode(kept.read_bytes(), type=dict[int, str])

    def nodes(self, need: str) -> list[Node]:
        """The whole chain of a need's first evidence, from a start to the place."""
        assert self.subject is not None
        found = next((n for n in self.subject.needs.needs if n.id == need), None)
        at = self._node(found.evidence[0]) if found and found.evidence else None
        chain: list[Node] = []
        while at is not None:
            chain.append(at)
            at = self.subject.reached.parents[at][0]
        return chain[::-1]

    def _node(self, evidence: Evidence) -> Node | None:
        assert self.subject is not None
        for i, member in enumerate(self.subject.members):
            if member.file.path == evidence.file and evidence.address:
                node = (i, member.summary.unit_at(evidence.address))
                return node if node in self.subject.reached.parents else None
        return None


def _base(path: str) -> str:
    """A file name without version: `libz.so.1.2.13` → `libz.so`."""
    return re.sub(r"(\.so)[.\d]*$|-[\d.]+(\.so)$", r"\1\2", posixpath.basename(path))


def difference(old: Side, new: Side) -> Difference:
    """What `new` asks for and `old` does not, and the other way round."""
    changes = [_change(new, old, n, "comes") for n in sorted(new.needs.keys() - old.needs.keys())]
    changes += [_change(old, new, n, "goes") for n in sorted(old.needs.keys() - new.needs.keys())]
    changes.sort(key=lambda change: change.name)
    calls = [change for change in changes if change.name.startswith(CALL)]
    return Difference(
        old.name,
        new.name,
        tuple(msgspec.structs.replace(c, name=c.name.removeprefix(CALL)) for c in calls),
        tuple(change for change in changes if change not in calls),
        tuple(_options(old, new, {change.name: change for change in changes})),
        tuple(_files(old, new)),
        sum(need.startswith(CALL) for need in old.needs.keys() & new.needs.keys()),
    )


def _change(has: Side, lacks: Side, need: str, kind: Kind) -> Change:
    functions = tuple(_responsible(has, lacks, need)) if has.subject and lacks.subject else ()
    return Change(need, kind, functions, has.needs[need])


def _responsible(has: Side, lacks: Side, need: str) -> Iterator[str]:
    """The functions of the chain that the other version has not; if it has all of them, the step it does not take."""
    assert has.subject is not None
    nodes = has.nodes(need)
    if fresh := [node for node in nodes if not _has(has, lacks, node)]:
        whole = {i for i, _ in fresh if lacks.member(has.subject.members[i].file.path) < 0}
        first = {i: next(node for node in fresh if node[0] == i) for i in whole}  # of a file that is itself new
        told = [node for node in fresh if node[0] not in whole or node == first[node[0]]]
        yield from dict.fromkeys(_shown(has.subject, node) for node in told)
        return
    for before, after in pairwise(node for node in nodes if node[1] not in _stubs(has.subject, node)):
        if not _leads(has, lacks, before, after):
            yield f"{_shown(has.subject, before)}, which leads to {_shown(has.subject, after)} only here"
            return


def _has(has: Side, lacks: Side, node: Node) -> bool:
    """Whether the other version has a node: tables and linkage entries count as had."""
    assert has.subject is not None
    member = has.subject.members[node[0]]
    other = lacks.member(member.file.path)
    if node[1] >= member.summary.units or node[1] in _stubs(has.subject, node):
        return True
    if other < 0:
        return False
    if name := member.summary.names.get(node[1]):
        return lacks.known(other, name, "")
    code = has.codes(node[0]).get(node[1], "")
    return not code or lacks.known(other, "", code)


def _leads(has: Side, lacks: Side, before: Node, after: Node) -> bool:
    """Whether in the other version the one named node leads to the other; True where names do not tell."""
    assert has.subject is not None
    assert lacks.subject is not None
    names = [has.subject.members[node[0]].summary.names.get(node[1], "") for node in (before, after)]
    members = [lacks.member(has.subject.members[node[0]].file.path) for node in (before, after)]
    if not all(names) or min(members) < 0:
        return True
    reached = lacks.subject.reached
    starts = [n for n, name in reached.members[members[0]].summary.names.items() if name == names[0]]
    return any(_near(lacks.subject, (members[0], start), members[1], names[1]) for start in starts)


def _near(subject: Subject, start: Node, member: int, name: str) -> bool:
    """Whether a node leads to a named one at once, or through a linkage entry."""
    todo, seen = [start], set()
    while todo:
        for node in subject.reached.onward(*todo.pop()):
            summary = subject.members[node[0]].summary
            if node[0] == member and summary.names.get(node[1]) == name:
                return True
            if node[1] in summary.stubs and node not in seen:
                seen.add(node)
                todo.append(node)
    return False


def _stubs(subject: Subject, node: Node) -> tuple[int, ...]:
    return subject.members[node[0]].summary.stubs


def _shown(subject: Subject, node: Node) -> str:
    member = subject.members[node[0]]
    return f"{member.summary.name(node[1])}@{posixpath.basename(member.file.path)}"


def _options(old: Side, new: Side, changes: Mapping[str, Change]) -> Iterator[Change]:
    before = {option.name: option for option in old.document.options}
    after = {option.name: option for option in new.document.options}
    for name in sorted(before.keys() ^ after.keys()):
        option, kind = (after[name], "comes") if name in after else (before[name], "goes")
        causes = [changes[need] for need in option.needs if need in changes]
        functions = tuple(dict.fromkeys(function for cause in causes for function in cause.functions))
        chain = causes[0].chain if causes else ()
        yield Change(name, kind, functions, chain, option.needs)  # type: ignore[arg-type]


def _files(old: Side, new: Side) -> Iterator[FileChange]:
    before = {_base(file.path): file for file in old.document.closure}
    after = {_base(file.path): file for file in new.document.closure}
    for name in _ordered(after, before):
        one, other = before.get(name), after.get(name)
        if one is None and other is not None:
            yield FileChange(other.path, "comes", "", other.package)
        elif other is None and one is not None:
            yield FileChange(one.path, "goes", one.package, "")
        elif one is not None and other is not None and one.sha256 and other.sha256 and one.sha256 != other.sha256:
            yield FileChange(other.path, "changed", one.package or one.build_id, other.package or other.build_id)


def _ordered(*groups: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))
