"""A folder of programs and libraries on this machine, seen as a guest whose paths are this machine's, so that the real
loader can be asked what it does with the same files."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from builder.analyse import closure
from builder.analyse.guest import Guest
from builder.analyse.walk import Walk
from builder.model import File, Tree
from tests.unit.analyse.tiny import Tiny

LOADER = "/lib64/ld-linux-x86-64.so.2"
TRACE = {"LD_TRACE_LOADED_OBJECTS": "1", "LC_ALL": "C"}
LINE = re.compile(r"^\t(?:(?P<name>\S+) => )?(?P<path>/\S+|not found|\S+)(?: \(0x[0-9a-f]+\))?$")
HOST = ("/etc/ld.so.cache", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6", LOADER)


def tree_of(root: Path, host: tuple[str, ...] = HOST) -> dict[str, File]:
    """Everything under `root` at its own path, and this machine's loader, C library and loader's cache."""
    tree: dict[str, File] = {}
    for path in (Path(root), *Path(root).rglob("*")):
        tree[str(path)] = _entry(path)
    for name in host:
        _add(tree, Path(name))
    return tree


def _add(tree: dict[str, File], path: Path) -> None:
    """The file a path leads to, and every link on the way there, as the tree of a guest has them."""
    for part in (*reversed(path.parents), path):
        if part.is_symlink():
            tree[str(part)] = _entry(part)
            _add(tree, part.parent / part.readlink() / path.relative_to(part))
            return
    tree[str(path)] = _entry(path)


def _entry(path: Path) -> File:
    if path.is_symlink():
        return File(str(path), "symlink", target=str(path.readlink()))
    return File(str(path), "directory" if path.is_dir() else "file", host=str(path), mode=0o755)


def write(path: Path, content: Tiny | bytes) -> Path:
    """Put a file there, folders made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.content())
    path.chmod(0o755)
    return path


class Loader:
    """What the real loader says of a program: `paths` it maps (by name), `missing` names, `errors` on versions."""

    def __init__(self, program: Path, environment: Mapping[str, str] | None = None, *, cwd: Path | None = None) -> None:
        variables = {**TRACE, **(environment or {})}
        done = subprocess.run([str(program)], env=variables, capture_output=True, text=True, timeout=30,
                              cwd=cwd or "/", check=False)  # fmt: skip
        assert done.stdout, done.stderr
        self.paths: list[str] = []
        self.missing: set[str] = set()
        for match in filter(None, map(LINE.match, done.stdout.splitlines())):
            if match["path"] == "not found":
                self.missing.add(match["name"])
            elif not match["path"].startswith("linux-vdso"):
                path = os.path.join(cwd or "/", match["path"])  # noqa: PTH118 - keeps `..`
                tidy = os.path.normpath(path)
                self.paths.append(tidy if os.path.realpath(tidy) == os.path.realpath(path) else os.path.realpath(path))
        self.errors = set(re.findall(r": (\S+): version `(\S+)' not found \(required by (\S+)\)", done.stderr))


def walk(tree: Tree, program: Path, environment: Mapping[str, str] | None = None, directory: str = "/") -> Walk:
    """Kiln's walk over the same program."""
    return closure.walked(Guest(tree), [str(program)], [], environment or {}, directory)


def mapped(found: Walk, why: tuple[str, ...] = ("needed",)) -> list[str]:
    """Paths of what is mapped beside program and interpreter."""
    return [file.path for file in found.files if file.why in why]


class Host(Guest):
    """This machine itself as a guest, looked at file by file."""

    def real(self, path: str) -> str:
        return os.path.realpath(path)

    def file(self, path: str) -> File | None:
        return File(path, "file", host=path) if Path(path).is_file() else None

    def is_folder(self, path: str) -> bool:
        return Path(path).is_dir()
