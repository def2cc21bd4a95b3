"""Who may open what at run time: the table `plugins.toml`, held against the files of a closure."""

import posixpath
import re
import struct
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import msgspec

from builder.analyse import elf, nss, opensslconf, tables, versions
from builder.analyse.elf import Elf
from builder.analyse.guest import Guest, globbed
from builder.analyse.machine import MACHINES
from builder.model import ClosureFile
from builder.value import Value

NAME_SERVICE = b"/etc/nsswitch.conf\0"


class Rule(Value, frozen=True):
    """One entry of plugins.toml: its conditions, and what is opened (see there)."""

    why: str
    source: str
    name: str = ""
    programs: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    pattern: str = ""
    folders: tuple[str, ...] = ()


class Rules(Value, frozen=True):
    """All of plugins.toml. `databases`: functions by the name service database they ask."""

    library: tuple[Rule, ...]
    setting: tuple[Rule, ...]
    folder: tuple[Rule, ...]
    databases: Mapping[str, tuple[str, ...]]

    def symbols(self) -> frozenset[str]:
        """Every function name that some rule asks for."""
        rules = (*self.library, *self.setting, *self.folder)
        return frozenset(s for rule in rules for s in rule.symbols) | {s for d in self.databases.values() for s in d}


class Candidate(Value, frozen=True):
    """Something that may be opened: `asker`'s search rules apply, `by` is who wants it, `why` in words. `inner`: the
    C library looks functions up in it without the program's dlsym."""

    name: str
    asker: str
    by: str
    why: str
    inner: bool = False


@cache
def rules() -> Rules:
    """The table as it is shipped."""
    text = (Path(__file__).parent / "plugins.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Rules)


@dataclass
class Finder:
    """Holds rules against files; what was found in a file's symbols is remembered by path."""

    guest: Guest
    imports: dict[str, frozenset[str]] = field(default_factory=dict)

    def named(self, files: Iterable[ClosureFile], environment: Mapping[str, str]) -> Iterator[Candidate]:
        """What goes in if the tree has it: opened by the C library itself, or named by configuration."""
        files = tuple(files)
        for rule in rules().library:
            for by in self._matching(rule, files)[:1]:
                libc = next((f.path for f in files if f.soname == "libc.so.6"), "")
                yield from [Candidate(rule.name, libc, by, rule.why, inner=True)] if libc else []
        yield from self._name_services(files)
        for rule in rules().setting:
            for by in self._matching(rule, files)[:1]:
                yield from self._settings(rule, by)
        for file in files:
            if file.soname.startswith("libcrypto.so."):
                yield from self._openssl(file, environment)

    def folders(self, files: Iterable[ClosureFile]) -> Iterator[tuple[Rule, str, str, tuple[str, ...]]]:
        """For each folder somebody may open files of: the rule, who, the pattern, and the ELF files there."""
        files = tuple(files)
        for rule in rules().folder:
            for by in self._matching(rule, files)[:1]:
                for pattern in rule.files:
                    glob = self._fill(pattern)
                    yield rule, by, glob, tuple(path for path in globbed(self.guest, glob) if self.guest.file(path))

    def _matching(self, rule: Rule, files: Iterable[ClosureFile]) -> list[str]:
        return [file.path for file in files if self._fits(rule, file)]

    def _fits(self, rule: Rule, file: ClosureFile) -> bool:
        base = posixpath.basename(self.guest.real(file.path))
        names = (base, posixpath.basename(file.path))
        if file.why == "program" and any(fnmatchcase(n, p) for n in names for p in rule.programs):
            return True
        if any(fnmatchcase(file.soname or base, p) for p in rule.loaded):
            return True
        if self._imported(file) & set(rule.symbols):
            return True
        if file.why == "interpreter" or file.soname == "libc.so.6":
            return False  # they have every text
        return any(text.encode() in self.guest.elf(file.path).data for text in rule.texts)

    def _imported(self, file: ClosureFile) -> frozenset[str]:
        if file.path not in self.imports:
            self.imports[file.path] = imported(self.guest.elf(file.path), rules().symbols())
        return self.imports[file.path]

    def _fill(self, text: str) -> str:
        return text.replace("{multiarch}", MACHINES[self.guest.machine or "x86_64"].multiarch)

    def _name_services(self, files: tuple[ClosureFile, ...]) -> Iterator[Candidate]:
        libc = next((file for file in files if file.soname == "libc.so.6"), None)
        static = [f for f in files if f.why == "program" and NAME_SERVICE in self.guest.elf(f.path).data]
        if libc is None and not static:
            return  # musl has no name service switch
        asking: dict[str, str] = {}
        for database, functions in rules().databases.items():
            users = static if libc is None else [f for f in files if not self._imported(f).isdisjoint(functions)]
            if users:
                asking[database] = users[0].path
        built_in = libc is None or nss.BUILT_IN_SINCE in (versions.defined(self.guest.elf(libc.path)) or ())
        for database, service in nss.services(self.guest.text(nss.CONFIGURATION), asking):
            if not (built_in and service in nss.BUILT_IN):
                by = asking[database]
                why = f"the name service asks {service} for {database}"
                yield Candidate(f"libnss_{service}.so.2", libc.path if libc else by, by, why)

    def _settings(self, rule: Rule, by: str) -> Iterator[Candidate]:
        for path in dict.fromkeys(path for pattern in rule.files for path in globbed(self.guest, pattern)):
            for match in re.finditer(rule.pattern, self.guest.text(path), re.MULTILINE):
                places = [posixpath.join(self._fill(folder), match[1]) for folder in rule.folders]
                place = next((place for place in places if self.guest.file(place)), places[0])
                yield Candidate(self.guest.tidy(place), by, by, f"{rule.why} in {path}")

    def _openssl(self, file: ClosureFile, environment: Mapping[str, str]) -> Iterator[Candidate]:
        places = [place for place in (environment.get("OPENSSL_CONF", ""), *opensslconf.PLACES) if place]
        place = next((place for place in places if self.guest.file(place)), "")
        version = "3" if file.soname.endswith(".3") else "1.1"
        for kind, name in opensslconf.modules(self.guest.text(place)) if place else ():
            folder = kind if kind == "ossl-modules" else f"{kind}-{version}"
            base = f"/usr/lib/{MACHINES[self.guest.machine].multiarch}/{folder}"
            stem = name if name.endswith(".so") else f"{name}.so"
            yield Candidate(posixpath.join(base, stem), file.path, file.path, f"activated in {place}")


def imported(file: Elf, names: Collection[str]) -> frozenset[str]:
    """Those of the names that a file binds to in other files."""
    table, count = file.value(elf.DT_SYMTAB), tables.dynamic_count(file)
    start = file.offset_of(file.value(elf.DT_STRTAB))
    if not table or not count or start < 0:
        return frozenset()
    wanted = {name.encode() for name in names}
    longest = max(map(len, wanted), default=0) + 1
    raw = file.bytes_at(table, count * 24, "the dynamic symbol table")
    places = {start + name for name, _, _, section, _, _ in struct.iter_unpack("<IBBHQQ", raw) if not section}
    found = (file.data[at : at + longest].partition(b"\0")[0] for at in places)
    return frozenset(name.decode() for name in found if name in wanted)
