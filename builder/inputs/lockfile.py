"""`images/<app>/image.lock`: the inputs of the last good build, by version and digest. Readable JSON, committed."""

import os
from pathlib import Path

import msgspec

from builder.errors import DefinitionError
from builder.model import SCHEMA_VERSION, Package, Value

MEND = "restore it from version control, or remove it to choose versions anew"


class Lock(Value, frozen=True):
    """Everything an image is made from. `packages` gave files to it; against `build_packages` it was compiled."""

    suite: str
    kernel: Package
    packages: tuple[Package, ...] = ()
    build_packages: tuple[Package, ...] = ()
    schema: int = SCHEMA_VERSION


def read_lock(path: Path) -> Lock | None:
    """The lock, or None when there is none. Raises DefinitionError when it was damaged or edited into nonsense."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if b"<<<<<<<" in data or b">>>>>>>" in data:
        raise DefinitionError(f"{path.parent.name}/{path.name}: has merge conflict markers", MEND)
    try:
        return msgspec.json.decode(data, type=Lock)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path.parent.name}/{path.name}: {error}", MEND) from error


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)  # there only when the disk is full or we were interrupted
