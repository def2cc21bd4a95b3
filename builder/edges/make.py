"""Long builds in folders that are used again: output line by line, locks that last as long as any child, copies.

A build that is killed together with us leaves compilers running for a while. They inherit the folder's lock, so the
next build waits for them instead of writing beside them (flock(2): a lock belongs to the open file description).
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuilderError, HostError

LOCK_LIMIT_S = 3600.0
GRACE_S = 10.0  # from SIGTERM, on which make removes half-written targets, to SIGKILL


@contextmanager
def held(lock: Path, *, wait_s: float = LOCK_LIMIT_S) -> Iterator[int | None]:
    """Hold a lock file; gives its descriptor for children to inherit, or None when it was not free within `wait_s`."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as stream:
        if not _acquired(stream.fileno(), wait_s):
            yield None
            return
        try:
            yield stream.fileno()
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)


def _acquired(descriptor: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)


def build(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    lock: int,
    on_line: Callable[[str], None],
    limit_s: float,
) -> int:
    """Run a build, pass every line of its output to `on_line` and to the log file, and return its exit code.

    The children inherit the descriptor `lock`. When an exception arrives (Ctrl-C) the build is asked to end, so that
    it removes what it was writing. Raises HostError if the program is missing, BuilderError when the limit passes.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )
    except FileNotFoundError as error:
        raise HostError(f"{argv[0]}: not found", "run ./invoke doctor to see which host tools are missing") from error
    late = threading.Event()

    def give_up() -> None:
        late.set()
        _stop(process)

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        _copy_lines(process, log, on_line)
        code = process.wait()
    except BaseException:
        _stop(process)
        raise
    finally:
        timer.cancel()
        assert process.stdout is not None
        process.stdout.close()  # not before the build has ended: a broken pipe would keep make from tidying up
    if late.is_set():
        raise BuilderError(f"{argv[0]} did not finish within {limit_s:.0f} s", log=str(log))
    return code


def _copy_lines(process: "subprocess.Popen[bytes]", log: Path, on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with log.open("wb", buffering=0) as stream:
        for line in process.stdout:
            stream.write(line)
            on_line(line.decode(errors="replace").rstrip("\n"))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    try:
        _signal(process, signal.SIGTERM)
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, signal.SIGKILL)  # also what a dead leader left behind
        process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with modes, symbolic links and times to the nanosecond; `target` appears whole or not at all."""
    scratch = target.with_name(target.name + ".part")
    remove_tree(scratch)
    shutil.copytree(source, scratch, symlinks=True)
    scratch.rename(target)


def remove_tree(folder: Path) -> None:
    """Remove a folder; one that is not there is fine."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
