"""Between Invoke and the pipeline: errors become one clear line and their exit code, `--json` one document."""

import errno
import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec
from invoke.exceptions import Exit

from builder.console import Console
from builder.edges.store import WouldMake
from builder.errors import BuilderError, Interrupted, StorageError
from builder.value import SCHEMA_VERSION

ROOT = Path(__file__).parents[1]  # the checkout
APP = "name of an image definition, images/NAME/image.toml"
P = ParamSpec("P")
R = TypeVar("R")
DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
}


def mapped(task: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors a user can mend into a message and `Exit` with their documented code; bugs stay tracebacks."""

    @functools.wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        as_json = bool(kwargs.get("json"))
        try:
            with _signals():
                return task(*args, **kwargs)
        except BuilderError as error:
            raise _exit(error, as_json) from None
        except KeyboardInterrupt:
            raise _exit(
                Interrupted("interrupted", "what was finished is kept; run it again to go on"), as_json
            ) from None
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            where = f"{error.filename}: " if error.filename else ""
            hint = "make room or fix the permission, or move Kiln's cache with KILN_CACHE=/path"
            raise _exit(StorageError(where + DISK_ERRORS[error.errno], hint), as_json) from None

    return run


def emit(value: object) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def _exit(error: BuilderError, as_json: bool) -> Exit:
    Console().error(error)
    if as_json:
        facts: dict[str, Any] = {"exit_code": error.exit_code, "message": error.message, "hint": error.hint}
        emit({"schema": SCHEMA_VERSION, "error": facts | {"log": error.log}})
    return Exit(code=error.exit_code)


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a build as Ctrl-C does, so that children are ended and locks are released."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


__all__ = ["WouldMake", "emit", "mapped"]
