"""One walk over programs, libraries and plugins: who is mapped, in the loader's order, and what it lacks.

Sources: glibc's elf/rtld.c (preloading), dl-deps.c (order, filters), dl-load.c (names and inodes), dl-version.c;
musl's ldso/dynlink.c; the kernel's fs/binfmt_script.c; env(1).
"""

import posixpath
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from builder.analyse import elf, search, versions
from builder.analyse.elf import Elf
from builder.analyse.guest import Guest
from builder.analyse.machine import MACHINES
from builder.analyse.search import MUSL_OWN, Loaded, Search
from builder.errors import AnalysisError
from builder.model import ClosureFile

SCRIPT_DEPTH = 4  # the kernel's own limit of interpreters that are scripts (BINPRM_MAX_RECURSION)
SCRIPT_BYTES = 256  # of the first line (BINPRM_BUF_SIZE)
EXEC_PATH = "/bin:/usr/bin:/usr/local/bin"  # where execvp looks without PATH: confstr(_CS_PATH), and musl's last
PRELOAD = "/etc/ld.so.preload"
VDSO = "linux-vdso.so.1"  # mapped by the kernel under this name


@dataclass
class Process:
    """What one program maps: by the names it can be asked for, by real path, and in load order."""

    program: Loaded
    search: Search
    names: dict[str, str] = field(default_factory=dict)  # → path; empty: nowhere, or the kernel's
    real: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, Loaded] = field(default_factory=dict)  # by path

    def add(self, one: Loaded, *names: str, by_soname: bool = True) -> None:
        """Record a mapped file under the names it can be asked for; with glibc its own name (SONAME) is one."""
        self.loaded.setdefault(one.path, one)
        for name in (*names, *([one.file.soname] if by_soname and not self.search.rules.musl else [])):
            if name:
                self.names.setdefault(name, one.path)


@dataclass
class Walk:
    """What a walk has gathered. `lacking`: library → who needs it and a note; `unmet`: library, version, who."""

    guest: Guest
    environment: Mapping[str, str]
    directory: str = "/"
    complete: bool = True
    files: list[ClosureFile] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    lacking: dict[str, tuple[str, str]] = field(default_factory=dict)
    unmet: list[tuple[str, str, str]] = field(default_factory=list)
    wanting: dict[str, str] = field(default_factory=dict)  # libraries that what was opened lacks → who needs them
    warnings: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    checked: set[tuple[str, str]] = field(default_factory=set)
    defined: dict[str, frozenset[str] | None] = field(default_factory=dict)

    # ---- programs -------------------------------------------------------------------------------------------

    def program(self, path: str, needed_by: str = "", depth: int = 0) -> None:
        """Add a program with its interpreter and libraries; for a script, the programs its first line names."""
        words = self._script(path)
        if not words:
            self._elf_program(path, needed_by)
            return
        if depth >= SCRIPT_DEPTH:
            raise AnalysisError(f"{path}: its interpreter is a script again, {depth} deep", "name a program instead")
        for name in (words[0], *self._by_env(words)):
            if self.complete or self.guest.file(name):
                self.program(self.guest.tidy(posixpath.join(self.directory, name)), path, depth + 1)

    def _script(self, path: str) -> list[str]:
        """The words of a script's first line, or nothing."""
        if not self.guest.file(path):
            return []
        line = self.guest.start(path, SCRIPT_BYTES).split(b"\n", 1)[0]
        return line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []

    def _by_env(self, words: list[str]) -> Iterator[str]:
        """The program that env(1) starts, as execvp finds it."""
        if posixpath.basename(words[0]) != "env":
            return
        rest = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        folders = (self.environment.get("PATH") or EXEC_PATH).split(":")
        for name in rest[:1]:
            places = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in folders]
            places = [posixpath.join(self.directory, place) for place in places]
            yield next((place for place in places if self.guest.file(place)), places[0])

    def _elf_program(self, path: str, needed_by: str) -> None:
        file = self.guest.elf(path, needed_by)
        self._list(path, needed_by, file.soname, "program")
        machine = MACHINES[file.machine]
        interpreter = self.guest.tidy(file.interpreter) if file.interpreter else ""
        if interpreter and self.guest.file(interpreter) is None:  # a package that is still to be found brings it
            self.lacking.setdefault(posixpath.basename(interpreter), (path, ""))
            for name in file.needed:  # how it would look for them is not known, but these are nowhere at all
                if not self.guest.named(posixpath.basename(name)):
                    self.lacking.setdefault(name, (path, ""))
            return
        rules = search.rules(self.guest, machine, interpreter, self.environment, self.directory)
        one = Loaded(path, file, posixpath.dirname(self.guest.real(path)))
        process = Process(one, Search(self.guest, rules), {} if rules.musl else {VDSO: ""})
        process.add(one)
        process.real[self.guest.real(path)] = path
        self.processes.append(process)
        queue = deque([one])
        if interpreter:
            loader = self.guest.elf(interpreter, path)
            process.add(Loaded(interpreter, loader, posixpath.dirname(interpreter)), posixpath.basename(interpreter))
            process.real[self.guest.real(interpreter)] = interpreter
            self._list(interpreter, path, loader.soname, "interpreter")
            queue.extend(self._preloaded(process))
        self._libraries(process, queue)

    def library(self, path: str) -> None:
        """Add a shared object that no program of the walk opens, with what it needs, as a program of its C library
        would map it."""
        file = self.guest.elf(path)
        machine = MACHINES[file.machine]
        musl = any(name.startswith(("libc.musl-", "ld-musl-")) or name == "libc.so" for name in file.needed)
        self._list(path, "", file.soname, "plugin")
        rules = search.rules(self.guest, machine, "", self.environment, self.directory)
        if musl:
            rules = search.rules(self.guest, machine, f"/lib/{machine.musl_loader}", self.environment, self.directory)
        one = Loaded(path, file, posixpath.dirname(self.guest.real(path)))
        process = Process(one, Search(self.guest, rules), {} if musl else {VDSO: ""})
        process.add(one)
        process.real[self.guest.real(path)] = path
        self.processes.append(process)
        self._libraries(process, deque([one]))

    def _preloaded(self, process: Process) -> Iterator[Loaded]:
        """LD_PRELOAD, then (glibc) /etc/ld.so.preload; what is not found is passed over with a warning."""
        names = re.split(r"[ :]+" if not process.search.rules.musl else r"[\s:]+",
                         self.environment.get("LD_PRELOAD", ""))  # fmt: skip
        if not process.search.rules.musl:
            lines = self.guest.text(PRELOAD).splitlines()
            names += [name for line in lines for name in re.split(r"[ \t:]+", line.partition("#")[0])]
        for name in filter(None, names):
            yield from self._load(process, process.program, name, optional=True)
            if name not in process.names:
                self.warnings.append(f"{name}: cannot be preloaded into {process.program.path}: not found")

    # ---- libraries ------------------------------------------------------------------------------------------

    def _libraries(self, process: Process, queue: "deque[Loaded]") -> None:
        """Breadth first over what each file asks for; a file that is mapped is not mapped again, so cycles end."""
        while queue:
            asker = queue.popleft()
            for name, kind in _wanted(asker.file, process.search.rules.musl):
                place = self._place(asker.path) if kind != "needed" else None
                queue.extend(self._load(process, asker, name, place=place, optional=kind == "auxiliary"))
        self._versions(process)

    def _load(
        self, process: Process, asker: Loaded, name: str, *, place: int | None = None, optional: bool = False
    ) -> list[Loaded]:
        """Map a library that `asker` wants, and those that some processors take instead. Returns what is new: nothing
        where it is mapped already or not found."""
        musl = process.search.rules.musl
        if name in process.names or (musl and MUSL_OWN.match(name)):
            return []
        found = process.search.locate(asker, name)
        if not found.path:
            if not optional:
                self.lacking.setdefault(name, (asker.path, found.note))
            return []
        # a name that only some of them call themselves is free on the processors that take another
        alike = len({self.guest.elf(path, asker.path).soname for path in (found.path, *found.variants)}) == 1
        new = self._map(process, asker, name, found.path, "needed", place, by_soname=alike)
        for variant in found.variants:
            new += self._map(process, asker, name, variant, "plugin", place, by_soname=alike)
        return new

    def _map(
        self,
        process: Process,
        asker: Loaded,
        name: str,
        path: str,
        why: str,
        place: int | None,
        *,
        by_soname: bool,
    ) -> list[Loaded]:
        file = self.guest.elf(path, asker.path)
        self._list(path, asker.path, file.soname, why, place)
        real = self.guest.real(path)
        if real in process.real:  # the same file by another path
            process.names.setdefault(name, process.real[real])
            return []
        process.real[real] = path
        one = Loaded(path, file, posixpath.dirname(path), (asker, *asker.chain))
        process.add(one, name, by_soname=by_soname)
        return [one]

    def _versions(self, process: Process) -> None:
        """Hold every version a mapped file asks for against the library that is mapped under that name (glibc)."""
        for one in process.loaded.values() if not process.search.rules.musl else ():
            for want in versions.wanted(one.file) if (one.path, process.program.path) not in self.checked else ():
                if target := process.names.get(want.library):
                    self._version(one.path, target, want)
            self.checked.add((one.path, process.program.path))

    def _version(self, asker: str, target: str, want: versions.Wanted) -> None:
        if target not in self.defined:
            self.defined[target] = versions.defined(self.guest.elf(target))
        known = self.defined[target]
        if known is None:
            self.warnings.append(f"{target}: no version information available (required by {asker})")
        elif want.version not in known and want.weak:
            self.warnings.append(f"{target}: weak version `{want.version}' not found (required by {asker})")
        elif want.version not in known:
            self.unmet.append((target, want.version, asker))

    # ---- what is opened at run time -------------------------------------------------------------------------

    def plugin(self, path: str, asker: str = "") -> None:
        """Add a file that a program opens by its path, with what it needs."""
        process = self._process(asker)
        opener = process.loaded.get(asker, process.program) if process else None
        file = self.guest.elf(path, asker)
        if path not in self.seen:
            self._list(path, opener.path if opener else "", file.soname, "plugin")
            if process and opener and self.guest.real(path) not in process.real:
                one = Loaded(path, file, posixpath.dirname(path), (opener, *opener.chain))
                process.real[self.guest.real(path)] = path
                process.add(one, path)
                self._libraries(process, deque([one]))

    def opened(self, asker: str, name: str) -> bool:
        """Add what a file of the closure opens by a name (`dlopen`); whether it could be. If not, all is as before."""
        process = self._process(asker)
        if process is None:
            return False
        if process.names.get(name) or name == "" or (process.search.rules.musl and MUSL_OWN.match(name)):
            return True
        found = process.search.locate(process.loaded.get(asker, process.program), name)
        if not found.path:
            return False
        before = (list(self.files), set(self.seen), dict(self.lacking), list(self.unmet))
        maps = (dict(process.names), dict(process.real), dict(process.loaded), set(self.checked))
        try:
            for path in (found.path, *found.variants):
                self.plugin(path, asker)
            whole = len(self.lacking) == len(before[2]) and len(self.unmet) == len(before[3])
        except AnalysisError:  # what is there cannot be loaded
            whole = False
        if whole:
            process.names.setdefault(name, found.path)
        else:
            self.wanting.update({n: by for n, (by, _) in self.lacking.items() if n not in before[2]})
            self.files, self.seen, self.lacking, self.unmet = before
            process.names, process.real, process.loaded, self.checked = maps
        return whole

    def promote(self, asker: str, name: str) -> None:
        """Say of a mapped library that functions in it are looked up by name, whoever else needs it."""
        process = self._process(asker)
        path = process.names.get(name, "") if process else ""
        for i, file in enumerate(self.files):
            if file.path == path and file.why == "needed":
                self.files[i] = replace(file, why="plugin")

    def _process(self, asker: str) -> Process | None:
        """The process a file is mapped in; else the first that has a loader; else the first."""
        owners = [p for p in self.processes if asker in p.loaded]
        dynamic = [p for p in self.processes if p.program.file.interpreter]
        return next(iter((*owners, *dynamic, *self.processes)), None)

    # ---- the list -------------------------------------------------------------------------------------------

    def _list(self, path: str, needed_by: str, soname: str, why: str, place: int | None = None) -> None:
        if path not in self.seen:
            self.seen.add(path)
            file = ClosureFile(path, needed_by, soname, why)  # type: ignore[arg-type]
            self.files.insert(len(self.files) if place is None else place, file)

    def _place(self, path: str) -> int:
        return next(i for i, file in enumerate(self.files) if file.path == path)


def _wanted(file: Elf, musl: bool) -> Iterator[tuple[str, str]]:
    """Names in DT_NEEDED, DT_FILTER and DT_AUXILIARY in the dynamic section's order; musl knows the first only."""
    kinds = {elf.DT_NEEDED: "needed", elf.DT_FILTER: "filter", elf.DT_AUXILIARY: "auxiliary"}
    for tag, value in file.dynamic:
        if (kind := kinds.get(tag)) and (kind == "needed" or not musl):
            yield file.dynamic_text(value, f"DT_{kind.upper()}"), kind
