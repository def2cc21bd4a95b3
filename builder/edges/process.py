"""Subprocesses: argv lists, never a shell, always a time limit, killed as a group when we are interrupted."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuilderError, HostError, StorageError

NO_SPACE = b"No space left on device"  # strerror(ENOSPC): how every tool says it


@dataclass(frozen=True)
class Finished:
    """A finished command: its exit code, what it printed, and its argv (to show how to repeat it)."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    stdin: bytes = b"",
) -> Finished:
    """Run a command to its end and return what it printed; a non-zero exit code is the caller's to judge.

    With `log`, both output streams go to that file instead. The command has its own process group, killed when the
    time limit passes or an exception (Ctrl-C) arrives. Raises HostError if the program is missing, BuilderError
    when the limit passes, StorageError when it failed for want of space.
    """
    output = log.open("wb") if log else None
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT if output else subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise HostError(f"{argv[0]}: not found", "run ./invoke doctor to see which host tools are missing") from error
    finally:
        if output:
            output.close()
    try:
        stdout, stderr = process.communicate(stdin or None, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        _kill_group(process)
        raise BuilderError(f"{argv[0]} did not finish within {timeout_s:.0f} s", log=str(log or "")) from error
    except BaseException:
        _kill_group(process)
        raise
    if process.returncode and NO_SPACE in (stdout or b"") + (stderr or b"") + _end_of(log):
        raise StorageError(f"{argv[0]}: the disk is full", "make room, or move Kiln's cache with KILN_CACHE=/path")
    return Finished(tuple(argv), process.returncode, stdout or b"", stderr or b"")


def _end_of(log: Path | None) -> bytes:
    return log.read_bytes()[-65536:] if log and log.exists() else b""


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(text: bytes, lines: int = 15) -> str:
    """The last lines of a command's output, decoded for showing."""
    return "\n".join(text.decode(errors="replace").rstrip().splitlines()[-lines:])
