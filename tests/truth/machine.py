"""This machine's own programs as guest files, and the tracer that watches programs run."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from builder.model import File, Tree
from builder.traced import Trace
from tests.truth import recorded

TRACER = Path(__file__).parents[1] / "c" / "analyse" / "tracer.c"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
DEEP = ("gconv", "perl-base", "perl", "engines-3", "ossl-modules", "security", "sasl2")  # folders of plugins
SETTINGS = ("/etc/ld.so.conf", "/etc/ld.so.conf.d/*.conf", "/etc/nsswitch.conf", "/etc/ld.so.preload")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp", "TZ": "UTC"}
RUN_LIMIT_S = 60.0


@cache
def tracer() -> Path:
    """The compiled tracer, once in a process."""
    out = Path(tempfile.mkdtemp(prefix="tracer")) / "tracer"
    subprocess.run(["gcc", "-O2", "-o", str(out), str(TRACER)], check=True, timeout=60)
    return out


def traced_run(
    argv: Sequence[str],
    app: str,
    program: str,
    folder: Path,
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> tuple[Trace, int]:
    """Run a program of this machine in `folder` under the tracer: what `program` did meanwhile and the exit code."""
    out = Path(tempfile.mkdtemp(prefix="trace")) / "out"
    done = subprocess.run(
        [str(tracer()), "-e", str(out), *argv], cwd=folder, env={**ENVIRONMENT, **(env or {})}, input=stdin,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=RUN_LIMIT_S, check=False,
    )  # fmt: skip
    try:
        return recorded.read(out, app, program), done.returncode
    finally:
        out.unlink(missing_ok=True)
        out.parent.rmdir()


@cache
def libraries() -> Tree:
    """This machine's libraries, links and loader settings as guest files."""
    tree: dict[str, File] = {}
    for name in ("/bin", "/sbin", "/lib", "/lib64", "/lib32"):
        _add(tree, Path(name))
    for path in (*LIBRARIES.iterdir(), *Path("/usr/lib64").iterdir()):
        if path.is_symlink() or ".so" in path.name:
            _add(tree, path)
    for folder in DEEP:
        for path in (LIBRARIES / folder).rglob("*"):
            _add(tree, path)
    for pattern in SETTINGS:
        for path in Path("/").glob(pattern.lstrip("/")):
            _add(tree, path)
    return tree


def with_program(*programs: Path) -> dict[str, File]:
    """The same with some programs, links to them followed."""
    tree = dict(libraries())
    for program in programs:
        for path in (program, program.resolve()):
            _add(tree, path)
    return tree


def _add(tree: dict[str, File], path: Path) -> None:
    if path.is_symlink():
        tree[str(path)] = File(str(path), "symlink", 0o777, target=os.readlink(path))  # noqa: PTH115
    elif path.is_dir():
        tree[str(path)] = File(str(path), "directory", 0o755)
    elif path.is_file():
        tree[str(path)] = File(str(path), "file", 0o755, size_bytes=path.stat().st_size, host=str(path))
