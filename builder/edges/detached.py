"""Work that goes on in the background when the command that began it has ended."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from builder.errors import BuilderError

FAILURE = "failure.json"


class Failure(msgspec.Struct):
    """What a BuilderError said, to be raised again elsewhere."""

    exit_code: int
    message: str
    hint: str


def detach(folder: Path, work: Callable[[], int]) -> int:
    """Do `work` in a process of its own session; returns its number. Its output goes to `keeper.log` in the folder, a
    BuilderError to a file there that `failure` reads."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setsid()
        _redirect(folder / "keeper.log")
        code = work()
    except BuilderError as error:
        code = error.exit_code
        (folder / FAILURE).write_bytes(msgspec.json.encode(Failure(code, error.message, error.hint)))
    except BaseException:  # noqa: BLE001 - nothing of the parent's may run here after this
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, target)
    for source in {nothing, written} - {0, 1, 2}:
        os.close(source)


def exit_code(pid: int) -> int | None:
    """The exit code of a detached process that this one began, None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def failure(folder: Path, code: int) -> BuilderError:
    """Why detached work ended, as the error that it was."""
    try:
        said = msgspec.json.decode((folder / FAILURE).read_bytes(), type=Failure)
    except (OSError, msgspec.DecodeError):
        return BuilderError(f"the machine's keeper ended with exit code {code}", log=str(folder / "keeper.log"))
    kind = next((one for one in BuilderError.__subclasses__() if one.exit_code == said.exit_code), BuilderError)
    return kind(said.message, said.hint)
