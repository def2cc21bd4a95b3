"""The running machines of this user: each has a folder with what it is and what it said, and its keeper holds a lock
there for as long as it runs. Folders of ended machines stay for a while, so that what they said can be read."""

import errno
import fcntl
import logging
import logging.handlers
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from builder.documents import Ended, Running
from builder.edges.store import data_root
from builder.errors import HostError

LOG, LOG_BYTES, LOG_FILES = "console.log", 8 << 20, 3
KEPT = 5  # ended machines of an image whose folders stay
NAME = re.compile(r"(?P<app>[a-z0-9][a-z0-9-]*)-(?P<number>[1-9][0-9]*)")


def root() -> Path:
    """Where the folders lie."""
    return data_root() / "machines"


def claim(app: str) -> Path:
    """A new folder for a machine of an image, named after it and a number; old ones of it are removed."""
    root().mkdir(parents=True, exist_ok=True, mode=0o700)
    there = _folders(app)
    for old in [folder for folder in there if not is_running(folder)][:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    number = max((_number(folder) for folder in there), default=0) + 1
    while True:
        folder = root() / f"{app}-{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:  # another one was quicker
            number += 1
            continue
        return folder


def _number(folder: Path) -> int:
    match = NAME.fullmatch(folder.name)
    return int(match["number"]) if match else 0


def _folders(app: str = "") -> list[Path]:
    """The folders of an image's machines, or of all, in the order of their names and numbers."""
    try:
        named = [(match, folder) for folder in root().iterdir() if (match := NAME.fullmatch(folder.name))]
    except FileNotFoundError:
        return []
    chosen = [(match["app"], int(match["number"]), folder) for match, folder in named if app in ("", match["app"])]
    return [folder for _, _, folder in sorted(chosen)]


class Keeper:
    """What the process that keeps a machine writes down of it: what it said, and how it ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = _Log(folder / LOG)

    def write(self, line: str) -> None:
        """A line of the console. Where it cannot be written it is left out: the machine goes on."""
        self._log.emit(logging.makeLogRecord({"msg": line}))

    def ended(self, code: int) -> None:
        """The machine's exit code."""
        with suppress(OSError):
            (self.folder / "ended.json").write_bytes(msgspec.json.encode(Ended(code, time.time())))

    def close(self) -> None:
        self._log.close()


class _Log(logging.handlers.RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A full disk: nothing of it is the machine's business."""


@contextmanager
def kept(folder: Path, machine: Running) -> Iterator[Keeper]:
    """While this lasts the machine counts as running."""
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "machine.json").write_bytes(msgspec.json.encode(machine))
        keeper = Keeper(folder)
        try:
            yield keeper
        finally:
            keeper.close()


def is_running(folder: Path) -> bool:
    """Whether a keeper holds the lock of a machine's folder."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return True
    return False


def found(app: str = "", *, ended: bool = False) -> tuple[tuple[Running, Path], ...]:
    """The machines of an image, or of all, that run; with `ended` also those that do not any more. Each with its
    folder. One whose record is not readable (another version of Kiln, killed while it was written) is left out."""
    machines = []
    for folder in _folders(app):
        if not ended and not is_running(folder):
            continue
        with suppress(OSError, msgspec.DecodeError):
            machines.append((msgspec.json.decode((folder / "machine.json").read_bytes(), type=Running), folder))
    return tuple(machines)


def end_of(folder: Path) -> Ended | None:
    """How a machine ended; None while it runs, and where its keeper was killed."""
    try:
        return msgspec.json.decode((folder / "ended.json").read_bytes(), type=Ended)
    except (OSError, msgspec.DecodeError):
        return None


def last_heard(folder: Path) -> float:
    """When a machine last wrote to its log, in seconds since 1970; 0 where it never did."""
    try:
        return (folder / LOG).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def stop(machine: Running, folder: Path, limit_s: float) -> bool:
    """Ask a machine's keeper to stop it, and wait; whether it ended within the limit. Raises HostError where that is
    not permitted."""
    try:
        os.kill(machine.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError as error:
        raise HostError(f"{machine.id}: process {machine.pid} is another user's") from error
    until = time.monotonic() + limit_s
    while is_running(folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


# ---- what a machine said ---------------------------------------------------------------------------------------


class Follower:
    """Reads a machine's log from its beginning on, and goes on with what is added, also where it begins a new file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._all = [*(folder / f"{LOG}.{number}" for number in range(LOG_FILES, 0, -1)), self._path]
        self._stream: BinaryIO | None = None
        self._rest = b""

    def lines(self) -> list[str]:
        """The whole lines that are new since the last call."""
        data = self._rest
        while self._stream or self._open_next(0):
            assert self._stream
            inode = os.fstat(self._stream.fileno()).st_ino
            data += self._stream.read()
            if inode == _inode(self._path):
                break
            data += self._stream.read()  # it was closed and renamed by now: this is all of it
            if not self._open_next(inode):
                break
        whole, newline, self._rest = data.rpartition(b"\n")
        return whole.decode(errors="replace").split("\n") if newline else []

    def _open_next(self, inode: int) -> bool:
        """Open the file after the one with this inode, the oldest one where that is gone; whether there was one."""
        while True:
            there = [path for path in self._all if path.exists()]
            at = next((i + 1 for i, path in enumerate(there) if _inode(path) == inode), 0)
            if at >= len(there):
                return False
            expected = _inode(there[at])
            with suppress(FileNotFoundError):
                stream = there[at].open("rb")
                if os.fstat(stream.fileno()).st_ino == expected:
                    self.close()
                    self._stream = stream
                    return True
                stream.close()  # renamed between looking and opening

    def close(self) -> None:
        if self._stream:
            self._stream.close()
            self._stream = None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
