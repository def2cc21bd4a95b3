"""What of a change of the kernel's source is in a kernel that was built from the old one (pure).

Two steps, each of which may only let go what it can tell: of the files that changed, those the build read; of what
changed in these, what the finished kernel has. A file of C is compared item by item (`csource`). A function is in the
kernel if its symbol is, or if it may be inlined in one that is: something mentions it that is in the kernel. What is
not understood, or lies in files whose reading a build does not record, is in.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from builder.rebuild import makefile
from builder.rebuild.csource import Item, Source, different
from builder.rebuild.declared import is_silent, words
from builder.rebuild_documents import SourceChange, Touched
from builder.value import Value

# files whose reading Kbuild records in command files (scripts/basic/fixdep.c)
RECORDED = (".c", ".h", ".S")
# what no build reads: documentation, and what other builds are described by
IGNORED = re.compile(
    r"(?:Documentation|LICENSES|samples|debian)/.*|(?:.*/)?"
    r"(?:MAINTAINERS|CREDITS|README\w*|TODO|\.gitignore|\.mailmap|[^/]+\.(?:rst|txt|md|ya?ml|json|dtsi?|dtso|rs|cocci))"
    r"|scripts/(?:(?:gdb|package|coccinelle|checkpatch|get_maintainer|kernel-doc|tags|rust_is_available)[\w.-]*(?:/.*)?)"
)
MAKEFILE = re.compile(r"(?:.*/)?(?:Makefile|Kbuild)[\w.]*")
KCONFIG_TOOLS = "scripts/kconfig/"
KCONFIG = re.compile(r"(?:.*/)?Kconfig[\w.]*")
TOOLS = ("scripts/", "tools/")
PASTED = re.compile(r"(\w+)?\s*##\s*(\w+)?")
Fragments = tuple[frozenset[str], frozenset[str]]
MOST_NAMES = 4000  # names followed from one file before it counts as in


class Build(Value, frozen=True):
    """What a finished build tells: the files of the source it read, the kernel's symbols, the options that are on.

    `apart`: C files whose code the symbols do not tell (the build's own tools, the vDSO). `same_options`: the new
    source's Kconfig files give the same configuration."""

    read: frozenset[str]
    apart: frozenset[str]
    symbols: frozenset[str]
    options: frozenset[str]
    same_options: bool = False


class Sources(Protocol):
    """Both source trees."""

    def old(self, path: str) -> str:
        """The text of a file, empty where there is none."""

    def new(self, path: str) -> str:
        """The text of a file, empty where there is none."""

    def mentions(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """By name, the files the build read that mention it as a word."""

    def included(self) -> frozenset[str]:
        """The C files that other C files include."""

    def redefined(self) -> frozenset[str]:
        """The options that files the build read define or undefine themselves."""

    def pasted(self) -> tuple[str, ...]:
        """The lines of headers the build read that paste words together."""


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """The paths that two listings (path → digest) do not have in common with the same content, sorted."""
    return tuple(sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path)))


def touched(paths: Sequence[str], build: Build, sources: Sources) -> Touched:
    """What of changed files a kernel has."""
    judge = _Judge(build, sources)
    found = [change for path in paths if (change := judge.file(path)) is not None]
    return Touched(len(paths), len(found), sum(change.present for change in found), tuple(found))


def first(paths: Iterable[str], build: Build, sources: Sources) -> SourceChange | None:
    """The first of the files of which the kernel has what changed, None when there is none: enough for a verdict."""
    judge = _Judge(build, sources)
    return next((change for path in paths if (change := judge.file(path)) is not None and change.present), None)


class _Judge:
    """Decides file by file; sources that were read and names that were followed are kept."""

    def __init__(self, build: Build, sources: Sources) -> None:
        self.build, self.sources = build, sources
        self.symbols = frozenset(name.partition(".")[0] for name in build.symbols)
        self.parsed: dict[tuple[str, bool], Source] = {}
        self.where: dict[str, tuple[str, ...]] = {}
        self.folders = frozenset(path.rpartition("/")[0] for path in build.read)
        self.unsure = sources.redefined()
        self.shared = sources.included()  # C files whose names others can mention, as those of headers
        self._fragments: dict[str, Fragments] = {}  # by C file; those of all headers without a name

    def file(self, path: str) -> SourceChange | None:
        """The verdict on a changed file, None when the build does not read it."""
        name = path.rpartition("/")[2]
        if KCONFIG.fullmatch(path):
            return None if self.build.same_options else SourceChange(path, True, "another configuration, or not known")
        if MAKEFILE.fullmatch(path) and not name.endswith(RECORDED):
            return self._makefile(path)
        if path in self.build.read:
            return self._read(path)
        if name.endswith(RECORDED):
            return self._shadow(path)
        is_idle = IGNORED.fullmatch(path) or not self._near(path)
        return None if is_idle else SourceChange(path, True, "a file of the build, whose reading is not recorded")

    def _near(self, path: str) -> bool:
        """Whether the build takes anything from a file's part of the source; of `scripts/` it may take all."""
        part = "/".join(path.split("/")[:2]) if path.count("/") > 1 else path.partition("/")[0]
        return "/" not in path or path.startswith("scripts/") or any(k.startswith(part + "/") for k in self.build.read)

    def _shadow(self, path: str) -> SourceChange | None:
        """A header that was not read: one that is new may be found instead of one that was."""
        if not path.endswith(".h") or self.sources.old(path):
            return None
        tail = path.rpartition("include/")[2]
        if any(known != path and known.endswith("/" + tail) for known in self.build.read):
            return SourceChange(path, True, "a new header that may stand before another of the same name")
        return None

    def _makefile(self, path: str) -> SourceChange | None:
        folder = path.rpartition("/")[0]
        if folder and not any(known == folder or known.startswith(folder + "/") for known in self.folders):
            return None
        old, new = self.sources.old(path), self.sources.new(path)
        if line := makefile.difference(old, new, self.build.options, top=not folder):
            return SourceChange(path, True, f"a rule of the build: {line[:80]}")
        return SourceChange(path, False, "only rules for what this kernel does not have, or its version")

    def _read(self, path: str) -> SourceChange:
        if reason := self._whole(path):
            return SourceChange(path, True, reason)
        if path.startswith(KCONFIG_TOOLS) and self.build.same_options:
            return SourceChange(path, False, "makes the same configuration")
        differ = different(self._source(path, False), self._source(path, True))
        items = [item for item in differ if self._is_compiled(path, item)]
        if not items:
            return SourceChange(path, False, "only comments, or what is not compiled in this configuration")
        names = sorted({name for item in items for name in item.names})
        if reason := self._loud(path, items) or self._present(path, names):
            shown = {n for i in items if i.kind == "function" for n in i.names[:1] if n in self.symbols}
            return SourceChange(path, True, reason, tuple(sorted(shown)))
        return SourceChange(path, False, f"{_listed(names)}: not in this kernel")

    def _whole(self, path: str) -> str:
        """Why a file cannot be compared item by item, empty when it can."""
        if not path.endswith((".c", ".h")):
            return "assembler, or a table: compared as a whole"
        return "" if self.sources.old(path) and self.sources.new(path) else "comes or goes"

    def _loud(self, path: str, items: Iterable[Item]) -> str:
        """Why changed items are in, whatever mentions them; empty when that has to be found out."""
        if path in self.build.apart:
            return "code that the kernel's symbols do not tell: a tool, or embedded"
        other = sorted(
            item.text for item in items if item.kind == "other" and not is_silent(item.text, self.build.options)
        )
        return f"changes {other[0][:80]}" if other else ""

    def _is_compiled(self, path: str, item: Item) -> bool:
        """False where a condition says so; tools of the build are compiled without the kernel's options."""
        is_tool = path in self.build.apart or path.startswith(TOOLS)
        return is_tool or item.is_compiled(self.build.options, self.unsure)

    def _source(self, path: str, new: bool) -> Source:
        key = path, new
        if key not in self.parsed:
            self.parsed[key] = Source(self.sources.new(path) if new else self.sources.old(path))
        return self.parsed[key]

    # ---- following names ----------------------------------------------------------------------------------------

    def _present(self, path: str, names: Iterable[str]) -> str:
        """Why what these names of a file stand for may be in the kernel, empty when it is not."""
        todo = [(path, name) for name in names]
        seen = set(todo)
        while todo:
            for place, name in todo:
                if name in self.symbols:
                    return f"{name} is in the kernel"
                if self._may_be_pasted(place, name):
                    return f"{name} may be made by pasting words together"
            onward: set[tuple[str, str]] = set()
            self._look_up({name for place, name in todo if self._is_shared(place)})
            for place, name in todo:
                for file, item in self._mentioning(place, name):
                    if file in self.build.apart or (
                        item.kind == "other" and not is_silent(item.text, self.build.options)
                    ):
                        return f"{name} is mentioned by {file}: {item.text[:60]}"
                    onward |= {(file, other) for other in item.names}
            todo = sorted(onward - seen)
            seen |= onward
            if len(seen) > MOST_NAMES:
                return "too much mentions it to follow"
        return ""

    def _is_shared(self, path: str) -> bool:
        return path.endswith(".h") or path in self.shared

    def _look_up(self, names: set[str]) -> None:
        """Ask once for all names of headers which files mention them."""
        if absent := names - self.where.keys():
            found = self.sources.mentions(absent)
            self.where.update({name: found.get(name, ()) for name in absent})

    def _mentioning(self, place: str, name: str) -> Iterator[tuple[str, Item]]:
        """Items that mention a name: of its own file for one of a C file (nothing else can inline it)."""
        files = {place, *self.where.get(name, ())} if self._is_shared(place) else {place}
        for file in sorted(files):
            if not file.endswith((".c", ".h")):
                yield file, Item("other", (), f"{name} in {file}")
                continue
            for new in (False, True):
                for item in self._source(file, new).mentions.get(name, ()):
                    if self._is_compiled(file, item):
                        yield file, item

    def _may_be_pasted(self, place: str, name: str) -> bool:
        """Whether a macro may make a name of parts: any header's for names that others can mention, the file's own for
        those that nothing else can."""
        key = "" if self._is_shared(place) else place
        if key not in self._fragments:
            own = (item.text for new in (False, True) for item in self._source(key, new).items if "##" in item.text)
            self._fragments[key] = fragments(own if key else self.sources.pasted())
        before, after = self._fragments[key]
        cuts = [i for i in range(1, len(name)) if name[i - 1] == "_" or name[i] == "_"]
        return any((i > 2 and name[:i] in before) or (len(name) - i > 2 and name[i:] in after) for i in cuts)


def fragments(lines: Iterable[str]) -> Fragments:
    """The constant beginnings and ends of names that macros paste together; a macro's parameters are none."""
    before, after = set(), set()
    for line in lines:
        parameters = words(line.partition(")")[0].partition("(")[2])
        for match in PASTED.finditer(line):
            before |= {match[1]} - parameters if match[1] else set()
            after |= {match[2]} - parameters if match[2] else set()
    return frozenset(before), frozenset(after)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
