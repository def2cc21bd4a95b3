"""`images/<app>/image.lock`: the inputs of the last good build, by version and digest. Readable JSON, committed."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from builder.edges.content import write_whole
from builder.errors import DefinitionError
from builder.model import Package
from builder.value import SCHEMA_VERSION, Value

MEND = "restore it from version control, or remove it to choose versions anew"
# Debian policy 5.6.1 and 5.6.12; the digest becomes the name of a folder in the store
PATTERNS = {
    "name": re.compile(r"[a-z0-9][a-z0-9+.-]+"),
    "version": re.compile(r"[0-9][A-Za-z0-9.+:~-]*"),
    "architecture": re.compile(r"amd64|all"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}


class Lock(Value, frozen=True):
    """Everything an image is made from. `packages` gave files to it; against `build_packages` it was compiled.

    `made` are digests of what else went into the last good build, by name (definition, agent, recipes, compilers,
    Kiln's own stages); `image` are digests of what came out (needs, options, files)."""

    suite: str
    kernel: Package
    packages: tuple[Package, ...] = ()
    build_packages: tuple[Package, ...] = ()
    made: Mapping[str, str] = {}
    image: Mapping[str, str] = {}
    schema: int = SCHEMA_VERSION

    def inputs(self) -> "Lock":
        """The packages alone: what a build takes from the lock."""
        return msgspec.structs.replace(self, made={}, image={})


def read_lock(path: Path) -> Lock | None:
    """The lock, or None when there is none. Raises DefinitionError when it was damaged or edited into nonsense."""
    where = f"images/{path.parent.name}/{path.name}"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DefinitionError(f"{where}: cannot be read: {error.strerror}", MEND) from error
    if match := re.search(rb"^(<<<<<<<|=======|>>>>>>>)", data, re.MULTILINE):
        line = data.count(b"\n", 0, match.start()) + 1
        raise DefinitionError(f"{where}:{line}: has merge conflict markers", MEND)
    try:
        lock = msgspec.json.decode(data, type=Lock)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionError(f"{where}: {error}", MEND) from error
    for problem in _problems(lock):
        raise DefinitionError(f"{where}: {problem}", MEND)
    return lock


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock whole or not at all."""
    write_whole(path, encode(lock))


def encode(lock: Lock) -> bytes:
    """The lock as it is written."""
    return msgspec.json.format(msgspec.json.encode(lock, order="deterministic"), indent=1) + b"\n"


def _problems(lock: Lock) -> Iterator[str]:
    if lock.schema != SCHEMA_VERSION:
        yield f"schema {lock.schema} is of another Kiln; this one reads schema {SCHEMA_VERSION}"
    if not re.fullmatch(r"[a-z][a-z0-9-]*", lock.suite):
        yield f"suite: {lock.suite!r} is not the name of a Debian release"
    parts = {"kernel": (lock.kernel,), "packages": lock.packages, "build_packages": lock.build_packages}
    for key, packages in parts.items():
        for package in packages:
            for field, pattern in PATTERNS.items():
                if not pattern.fullmatch(value := getattr(package, field)):
                    yield f"{key}: {package.name!r}: {field} {value!r} is not one"
        names = [package.name for package in packages]
        yield from (f"{key}: {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
