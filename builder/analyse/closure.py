"""The closure: every ELF file that can be mapped into the application, found by the dynamic loader's own rules.

Sources: ld.so(8), glibc's elf/dl-load.c, musl's ldso/dynlink.c. Nothing is run. Paths in the result are those the
loader opens: a symbolic link stays one, so that whoever copies files takes the link and what it leads to.
"""

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder import paths
from builder.analyse import elf
from builder.analyse.elf import Elf
from builder.errors import AnalysisError
from builder.model import ClosureFile, Tree

GNU_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
MUSL_OWN = re.compile(r"lib(c|pthread|rt|m|dl|util|xnet)\.")  # names musl's loader answers itself
TOKENS = {"LIB": "lib/x86_64-linux-gnu", "PLATFORM": "x86_64"}
TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)\b)")
SCRIPT_DEPTH = 4  # the kernel's own limit of interpreters that are scripts (BINPRM_MAX_RECURSION)


def resolve(tree: Tree, programs: Sequence[str], plugins: Sequence[str] = ()) -> tuple[ClosureFile, ...]:
    """The closure of the programs and of what they open by themselves (`plugins`: guest paths or globs).

    In the loader's order: each program, its interpreter, its libraries breadth first; plugins after all programs.
    Raises AnalysisError for a program, plugin or library that is not in the tree, or that is no x86-64 ELF file.
    """
    found = _walk(tree, programs, plugins)
    if found.lacking:
        name, (needed_by, note) = next(iter(found.lacking.items()))
        others = [other for other in found.lacking if other != name]
        more = f" (missing too: {', '.join(others)})" if others else ""
        raise AnalysisError(
            f"{name}: shared library not found, needed by {needed_by}{note}{more}",
            "add the package that contains it to source.packages, or put the file under the image's files/ folder",
        )
    return tuple(found.files)


def missing(tree: Tree, programs: Sequence[str], plugins: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the shared libraries the closure asks for and the tree lacks, in the order they are asked for."""
    present = tuple(p for p in programs if paths.find(tree, p))
    return tuple(_walk(tree, present, plugins, complete=False).lacking)


def split_elf(tree: Tree, candidates: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The programs and the shared objects among some of the tree's files; what is no ELF file for this machine, or
    no file at all, is left out. A program asks for an interpreter, has a fixed address, or says it is one."""
    programs: list[str] = []
    objects: list[str] = []
    for path in candidates:
        entry = paths.find(tree, path)
        if entry is None or not _is_ours(Path(entry.host)):
            continue
        file = elf.parse(Path(entry.host).read_bytes(), path)
        alone = file.kind == elf.ET_EXEC or file.interpreter or file.value(elf.DT_FLAGS_1) & elf.DF_1_PIE
        (programs if alone else objects).append(path)
    return tuple(programs), tuple(objects)


def _is_ours(content: Path) -> bool:
    """Whether a file begins as an ELF program or shared object of 64-bit x86 does."""
    with content.open("rb") as stream:
        start = stream.read(20)
    return start[:6] == b"\x7fELF\x02\x01" and start[16:20] in (b"\x02\0\x3e\0", b"\x03\0\x3e\0")


@dataclass(frozen=True)
class _Loaded:
    """A file in the closure while its libraries are looked up: `chain` are those who caused it to be loaded."""

    path: str
    file: Elf
    chain: tuple["_Loaded", ...] = ()


@dataclass
class _Walk:
    """What one walk has gathered; private to this module."""

    tree: Tree
    folders: tuple[str, ...] = GNU_FOLDERS
    files: list[ClosureFile] = field(default_factory=list)
    parsed: dict[str, Elf] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # soname or asked-for name → path
    lacking: dict[str, tuple[str, str]] = field(default_factory=dict)


def _walk(tree: Tree, programs: Sequence[str], plugins: Sequence[str], *, complete: bool = True) -> _Walk:
    walk = _Walk(tree)
    first: list[_Loaded] = []
    for program in programs:
        walk.names.clear()  # each program is a process of its own
        first.append(loaded := _program(walk, paths.normalise(program)))
        _libraries(walk, [loaded])
    for plugin in _expand(tree, plugins, complete):
        if not any(f.path == plugin for f in walk.files):
            loaded = _Loaded(plugin, _parse(walk, plugin), tuple(first[:1]))
            walk.files.append(ClosureFile(plugin, first[0].path if first else "", loaded.file.soname, "plugin"))
            _libraries(walk, [loaded])
    return walk


def _program(walk: _Walk, path: str, needed_by: str = "", depth: int = 0) -> _Loaded:
    """Add a program and its interpreter; for a script, the program its first line names."""
    if script := _script(walk.tree, path):
        if depth >= SCRIPT_DEPTH:
            raise AnalysisError(f"{path}: its interpreter is a script again, {depth} deep", "name a program instead")
        return _program(walk, paths.normalise(script), path, depth + 1)
    file = _parse(walk, path, needed_by)
    walk.files.append(ClosureFile(path, needed_by, file.soname, "program"))
    if file.interpreter:
        interpreter = paths.normalise(file.interpreter)
        if paths.find(walk.tree, interpreter) is None:  # a package that is still to be found brings it
            walk.lacking.setdefault(posixpath.basename(interpreter), (path, ""))
            return _Loaded(path, file)
        loader = _parse(walk, interpreter, path)
        walk.folders = MUSL_FOLDERS if "ld-musl" in interpreter else GNU_FOLDERS
        walk.names[loader.soname or posixpath.basename(interpreter)] = interpreter
        if not any(f.path == interpreter for f in walk.files):
            walk.files.append(ClosureFile(interpreter, path, loader.soname, "interpreter"))
    return _Loaded(path, file)


def _script(tree: Tree, path: str) -> str:
    """The interpreter a script's first line names, or an empty text."""
    entry = paths.find(tree, path)
    if entry is None:
        return ""
    with Path(entry.host).open("rb") as stream:
        line = stream.read(256).split(b"\n", 1)[0]
    words = line[2:].split() if line.startswith(b"#!") else []
    return words[0].decode(errors="replace") if words else ""


def _parse(walk: _Walk, path: str, needed_by: str = "") -> Elf:
    entry = paths.find(walk.tree, path)
    if entry is None:
        by = f", needed by {needed_by}" if needed_by else ""
        name = posixpath.basename(path)
        near = sorted(p for p, f in walk.tree.items() if posixpath.basename(p) == name and f.kind != "directory")
        hint = f"did you mean {near[0]}?" if near else "add the package that contains it, or correct the path"
        raise AnalysisError(f"{path}: no such file among the image's files{by}", hint)
    if path not in walk.parsed:
        walk.parsed[path] = elf.parse(Path(entry.host).read_bytes(), path)
    return walk.parsed[path]


def _libraries(walk: _Walk, queue: list[_Loaded]) -> None:
    """Breadth first over DT_NEEDED; a name that is already loaded is not looked up again, so cycles end."""
    while queue:
        asker = queue.pop(0)
        for name in asker.file.needed:
            if name in walk.names or (walk.folders is MUSL_FOLDERS and MUSL_OWN.match(name)):
                continue
            path, note = _locate(walk, asker, name)
            if not path:
                walk.lacking.setdefault(name, (asker.path, note))
                walk.names[name] = ""
                continue
            file = _parse(walk, path, asker.path)
            walk.names[name] = path
            if file.soname:
                walk.names.setdefault(file.soname, path)
            if not any(f.path == path for f in walk.files):
                walk.files.append(ClosureFile(path, asker.path, file.soname, "needed"))
            queue.append(_Loaded(path, file, (asker, *asker.chain)))


def _locate(walk: _Walk, asker: _Loaded, name: str) -> tuple[str, str]:
    """Where the loader finds a library, or an empty path and a note on what it passed over."""
    if "/" in name:
        candidates = [_expand_tokens(asker, name)]
    else:
        candidates = [f"{folder}/{name}" for folder in (*_own_folders(asker), *walk.folders)]
    note = ""
    for candidate in candidates:
        path = paths.normalise(candidate)
        entry = paths.find(walk.tree, path)
        if entry is None:
            continue
        with Path(entry.host).open("rb") as stream:
            start = stream.read(20)
        foreign = start[:4] == b"\x7fELF" and (start[4:6] != b"\x02\x01" or start[18:20] != b"\x3e\x00")
        if not foreign:
            return path, ""
        note = f"; {path} is of another architecture"
    return "", note


def _own_folders(asker: _Loaded) -> tuple[str, ...]:
    """RPATH of the asker and of those that loaded it, unless the asker has a RUNPATH, which alone counts then."""
    runpath = asker.file.texts(elf.DT_RUNPATH, "DT_RUNPATH")
    if runpath:
        return _folders(asker, runpath)
    found: list[str] = []
    for one in (asker, *asker.chain):
        if not one.file.value(elf.DT_RUNPATH):
            found.extend(_folders(one, one.file.texts(elf.DT_RPATH, "DT_RPATH")))
    return tuple(found)


def _folders(owner: _Loaded, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_expand_tokens(owner, part) for text in texts for part in text.split(":") if part)


def _expand_tokens(owner: _Loaded, text: str) -> str:
    values = {**TOKENS, "ORIGIN": posixpath.dirname(owner.path)}
    return TOKEN.sub(lambda m: values[m[1] or m[2]], text)


def _expand(tree: Tree, patterns: Sequence[str], complete: bool) -> list[str]:
    """Paths of plugins, globs expanded (`*` within one level, `**` across levels), sorted within each glob."""
    found: list[str] = []
    for pattern in patterns:
        if not re.search(r"[*?\[]", pattern):
            if complete or paths.find(tree, pattern):
                found.append(paths.normalise(pattern))
            continue
        parts = re.split(r"(\*\*/?|\*|\?)", pattern)
        known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        matcher = re.compile("".join(known.get(p) or re.escape(p) for p in parts))
        matches = sorted(p for p in tree if matcher.fullmatch(p) and paths.find(tree, p))
        if not matches and complete:
            raise AnalysisError(f"{pattern}: no such plugin among the image's files", "correct files.plugins")
        found.extend(matches)
    return list(dict.fromkeys(found))
