"""Files with the values of secrets: looked at before a machine starts, never copied, never shown."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.definition import Definition
from builder.errors import DefinitionError

LIMIT_BYTES = 65536  # MOST in recipes/agents/kiln/secret.c


def handed(app: str, declared: Sequence[str], wishes: Sequence[str]) -> Mapping[str, str]:
    """Name → absolute path of what `--secret NAME=FILE` hands over: exactly what the image declares.

    Raises DefinitionError for a wish that is none, a secret that is missing or not declared, an unreadable file.
    """
    found: dict[str, str] = {}
    for wish in wishes:
        name, equals, file = wish.partition("=")
        if not (name and equals and file):
            raise DefinitionError(f"--secret {name or '…'}: not NAME=FILE", f"for example {_example(declared)}")
        if name not in declared:
            known = f"it declares: {', '.join(declared)}" if declared else "it declares none; see [[secret]]"
            raise DefinitionError(f"--secret {name}: {app} declares no such secret", known)
        if name in found:
            raise DefinitionError(f"--secret {name}: given twice")
        found[name] = usable(Path(file), f"--secret {name}")
    if missing := [name for name in declared if name not in found]:
        hint = " ".join(f"--secret {name}=FILE" for name in missing)
        raise DefinitionError(f"{app} needs {', '.join(missing)}, and nothing was handed over", f"give {hint}")
    return found


def of_tests(definition: Definition, folder: Path) -> Mapping[str, str]:
    """Name → absolute path of the values that the smoke test and the trace hand over; `folder` is the definition's.

    Raises DefinitionError for a secret without such a file, and for a file that cannot be read.
    """
    found = {}
    for number, secret in enumerate(definition.secret):
        where = f"images/{definition.name}/image.toml: secret[{number}].test_file"
        if not secret.test_file:
            hint = "name a file beside image.toml with a value for tests alone, or build with --no-smoke"
            raise DefinitionError(f"{where}: is missing: no value for the smoke test's {secret.name}", hint)
        found[secret.name] = usable(folder / secret.test_file, where)
    return found


def usable(file: Path, where: str) -> str:
    """The file's absolute path. Raises DefinitionError, beginning with `where`, if it is nothing to hand over."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise DefinitionError(f"{where}: {file} cannot be read: {why}") from error
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise DefinitionError(f"{where}: {file} is not a regular file", "QEMU opens it once more by its name")
    if not 0 < found.st_size <= LIMIT_BYTES:
        size = f"has {found.st_size} bytes" if found.st_size else "is empty"
        raise DefinitionError(f"{where}: {file} {size}", f"a secret has 1 to {LIMIT_BYTES} bytes")
    return str(file.absolute())


def _example(declared: Sequence[str]) -> str:
    return f"--secret {declared[0] if declared else 'db-password'}=/path/to/file"
