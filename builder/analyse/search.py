"""Where the dynamic loader looks for a library, to the letter: glibc's (elf/dl-load.c) and musl's (ldso/dynlink.c).

Nothing is run. What the loader decides by the processor (glibc-hwcaps and older folders, `$PLATFORM`) is not decided
here: every file it may take is found, so that the closure holds on any machine.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from builder.analyse import elf, ldcache
from builder.analyse.elf import Elf
from builder.analyse.guest import Guest
from builder.analyse.ldcache import Cached
from builder.analyse.machine import MUSL_FOLDERS, Machine

TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)\b)")
TOKEN_MUSL = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})")
MUSL_OWN = re.compile(r"lib(c|pthread|rt|m|dl|util|xnet)\.")  # names musl's loader answers itself
SYSTEM_FOLDERS = re.compile(rb"(?:/[\x21-\x2e\x30-\x7e/]{0,120}/\0){2,16}")  # SYSTEM_DIRS in glibc's ld.so
CACHE = "/etc/ld.so.cache"
CACHE_BYTES = 16 << 20

Place = tuple[str, bool]  # a path, and whether it counts on some processors only


@dataclass(frozen=True)
class Loaded:
    """A mapped file: `path` as the loader opened it; `chain`: who caused it to be loaded, nearest first."""

    path: str
    file: Elf
    origin: str
    chain: tuple["Loaded", ...] = ()


@dataclass(frozen=True)
class Found:
    """What a search ended with: the file every processor can take, those that some take instead, and what was
    passed over (for the message when nothing was found)."""

    path: str
    variants: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Rules:
    """How one process's loader looks. `folders`: its own; `library_path`: LD_LIBRARY_PATH; `cache`: None without."""

    musl: bool
    machine: Machine
    folders: tuple[str, ...]
    library_path: str = ""
    directory: str = "/"  # the process's working directory, for relative names
    hwcaps: bool = True
    legacy: bool = False
    cache: Mapping[str, tuple[Cached, ...]] | None = None


def rules(guest: Guest, machine: Machine, interpreter: str, environment: Mapping[str, str], directory: str) -> Rules:
    """The rules of the loader at `interpreter` (empty: of a static program, which opens libraries as glibc does)."""
    library_path = environment.get("LD_LIBRARY_PATH", "")
    if posixpath.basename(interpreter).startswith("ld-musl"):
        own: tuple[str, ...] = MUSL_FOLDERS
        if guest.file(machine.musl_paths):
            own = tuple(part for part in re.split(r"[:\n]", guest.text(machine.musl_paths)) if part)
        return Rules(True, machine, own, library_path, directory)
    data = guest.content(interpreter) if interpreter else b""
    cache = None
    if guest.file(CACHE):
        cache = ldcache.read(guest.start(CACHE, CACHE_BYTES), machine.cache_flags)
    hwcaps = not data or b"glibc-hwcaps" in data  # since 2.33
    legacy = bool(data) and (b"Legacy HWCAP" in data or not hwcaps)  # up to 2.36
    return Rules(False, machine, _system_folders(data, machine), library_path, directory, hwcaps, legacy, cache)


def _system_folders(data: bytes, machine: Machine) -> tuple[str, ...]:
    """The folders compiled into glibc's loader: they differ between distributions. Debian's if it does not say."""
    for match in SYSTEM_FOLDERS.finditer(data):
        folders = tuple(part.decode().rstrip("/") for part in match[0].split(b"\0") if part)
        if any(folder.startswith(("/usr/lib", "/lib")) for folder in folders):
            return folders
    return machine.folders


@dataclass
class Search:
    """Searches of one process; `existing`: the processor-dependent folders that are there, by folder."""

    guest: Guest
    rules: Rules
    existing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def locate(self, asker: Loaded, name: str) -> Found:
        """Where the loader finds `name` when `asker` wants it; an empty path where it does not."""
        return self._first_musl(asker, name) if self.rules.musl else self._first_gnu(asker, name)

    def _first_gnu(self, asker: Loaded, name: str) -> Found:
        variants: list[str] = []
        note = ""
        for path, variant in self._gnu(asker, name):
            if self.guest.file(path) is None:
                continue
            tidy = self.guest.tidy(path)
            if self._foreign(path):
                note = f"; {tidy} is of another architecture"
            elif variant:
                variants.append(tidy)
            else:
                return Found(tidy, tuple(dict.fromkeys(v for v in variants if v != tidy)))
        if variants:
            return Found(variants[-1], tuple(dict.fromkeys(v for v in variants if v != variants[-1])))
        return Found("", (), note)

    def _foreign(self, path: str) -> bool:
        """Whether glibc passes a file over: ELF, but of another class or machine (open_verify)."""
        start = self.guest.start(path, 20)
        machine = self.rules.machine.number.to_bytes(2, "little")
        return start[:4] == b"\x7fELF" and (start[4:6] != b"\x02\x01" or start[18:20] != machine)

    def _gnu(self, asker: Loaded, name: str) -> Iterator[Place]:
        if "/" in name:
            yield from ((self._absolute(path), v) for path, v in self._expanded(asker, name))
            return
        for one in (asker, *asker.chain) if not asker.file.value(elf.DT_RUNPATH) else ():
            if not one.file.value(elf.DT_RUNPATH):
                yield from self._listed(one, one.file.text(elf.DT_RPATH, "DT_RPATH"), name)
        if self.rules.library_path:
            program = (asker, *asker.chain)[-1]
            yield from self._listed(program, self.rules.library_path.replace(";", ":"), name)
        yield from self._listed(asker, asker.file.text(elf.DT_RUNPATH, "DT_RUNPATH"), name)
        nodeflib = bool(asker.file.value(elf.DT_FLAGS_1) & elf.DF_1_NODEFLIB)
        for cached in (self.rules.cache or {}).get(name, ()):
            if not (nodeflib and cached.path.startswith(tuple(f"{folder}/" for folder in self.rules.folders))):
                yield cached.path, cached.variant
        for folder in self.rules.folders if not nodeflib else ():
            yield from self._within(folder, name)

    def _listed(self, owner: Loaded, text: str, name: str) -> Iterator[Place]:
        """In each folder of a list; an empty element is the working directory, an empty list no folder at all."""
        for part in text.split(":") if text else ():
            for folder, variant in self._expanded(owner, part):
                yield from ((path, v or variant) for path, v in self._within(self._absolute(folder), name))

    def _within(self, folder: str, name: str) -> Iterator[Place]:
        if folder not in self.existing:
            self.existing[folder] = tuple(self._processor_folders(folder))
        yield from ((f"{folder}/{sub}/{name}", True) for sub in self.existing[folder])
        yield f"{folder}/{name}", False

    def _processor_folders(self, folder: str) -> Iterator[str]:
        """Sub-folders that are there and that the loader enters on some processors, in its order."""
        there = self.guest.is_folder
        for level in self.rules.machine.hwcaps if self.rules.hwcaps and there(f"{folder}/glibc-hwcaps") else ():
            if there(f"{folder}/glibc-hwcaps/{level}"):
                yield f"glibc-hwcaps/{level}"
        parts = self.rules.machine.legacy if self.rules.legacy else ()
        if any(there(f"{folder}/{part}") for part in parts):
            for taken in product((True, False), repeat=len(parts)):
                sub = "/".join(part for part, use in zip(parts, taken, strict=True) if use)
                if sub and there(f"{folder}/{sub}"):
                    yield sub

    def _expanded(self, owner: Loaded, text: str) -> Iterator[Place]:
        """The text with its tokens replaced, once for each platform it may be on."""
        names = {m[1] or m[2] for m in TOKEN.finditer(text)}
        platforms = self.rules.machine.platforms if "PLATFORM" in names else self.rules.machine.platforms[-1:]
        for platform in platforms:
            values = {"ORIGIN": owner.origin, "LIB": self._lib(), "PLATFORM": platform}
            yield TOKEN.sub(lambda m, v=values: v[m[1] or m[2]], text), platform != platforms[-1]  # type: ignore[misc]

    def _lib(self) -> str:
        """`$LIB`: the loader's first own folder without its slash (DL_DST_LIB is made from the same setting)."""
        return (self.rules.folders or self.rules.machine.folders)[0].lstrip("/")

    def _absolute(self, path: str) -> str:
        return posixpath.join(self.rules.directory, path) if path else self.rules.directory

    def _first_musl(self, asker: Loaded, name: str) -> Found:
        """The first file of that name, whatever it is: musl passes nothing over."""
        for path in self._musl(asker, name):
            if self.guest.file(path) is not None:
                return Found(self.guest.tidy(path))
        return Found("")

    def _musl(self, asker: Loaded, name: str) -> Iterator[str]:
        if "/" in name:
            yield self._absolute(name)
            return
        own = [folder for one in (asker, *asker.chain) for folder in self._musl_own(one)]
        listed = re.split(r"[:\n]", self.rules.library_path)
        for folder in (*(part for part in listed if part), *own, *self.rules.folders):
            yield f"{self._absolute(folder)}/{name}"

    def _musl_own(self, owner: Loaded) -> tuple[str, ...]:
        """RUNPATH, or RPATH where there is none: to musl they are the same. An unknown token voids the list."""
        text = owner.file.text(elf.DT_RUNPATH, "DT_RUNPATH") or owner.file.text(elf.DT_RPATH, "DT_RPATH")
        if "$" in TOKEN_MUSL.sub("", text):
            return ()
        return tuple(TOKEN_MUSL.sub(lambda _: owner.origin, part) for part in text.split(":") if part)
