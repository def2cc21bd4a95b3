"""A virtual machine as a process: started, listened to on its serial console, asked over QMP, never left behind."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from builder.errors import HostError

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2  # include/uapi/linux/falloc.h
PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
QMP_LIMIT_S = 2.0
TEMPORARY, LONGEST = "/tmp", 80  # noqa: S108 - a folder of our own is made in it
INSTALL = "install it: sudo apt-get install qemu-system-x86"


class Machine:
    """A running QEMU. As a context manager it is ended on leaving, however that happens.

    Its serial console is to be its standard input and output (`-serial stdio`); `qmp` is where its QMP socket goes.
    (A socket with a log file would not do: with a slow reader QEMU writes bytes twice into the log.)
    """

    def __init__(self, log_folder: Path) -> None:
        # sockets have paths of at most 108 bytes (unix(7)): a short folder of our own, wherever TMPDIR points
        short = len(os.fsencode(tempfile.gettempdir())) <= LONGEST
        self._private = Path(tempfile.mkdtemp(prefix="kiln-", dir=None if short else TEMPORARY))
        self.qmp = str(self._private / "qmp")
        self._log = self._private / "serial.log"
        self._folder = log_folder
        self._process: subprocess.Popen[bytes] | None = None
        self._limit: threading.Timer | None = None
        self._is_whole = True  # the serial log
        self.started_at = 0.0

    def start(self, argv: Sequence[str], until: float | None = None) -> None:
        """Start QEMU; its own words go to `qemu.log` in the log folder. Raises HostError when it is not installed.

        When the monotonic clock reaches `until`, QEMU is ended, so that nobody waits for longer on what a guest sends.
        """
        with (self._folder / "qemu.log").open("wb") as log, self._log.open("wb") as console:
            self.started_at = time.monotonic()
            try:
                self._process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.PIPE,
                    stdout=console,
                    stderr=log,
                    bufsize=0,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl(2), no locks
                )
            except FileNotFoundError as error:
                raise HostError(f"{argv[0]}: not found", INSTALL) from error
        if until is not None:
            self._limit = threading.Timer(until - time.monotonic(), self.end)
            self._limit.daemon = True
            self._limit.start()

    def exit_code(self) -> int | None:
        """QEMU's exit code, or None while it runs."""
        return self._process.poll() if self._process else None

    def serial(self, since: int = 0) -> bytes:
        """The serial log so far, from byte `since` on."""
        with self._log.open("rb") as stream:
            stream.seek(since)
            return stream.read()

    def forget(self, size: int) -> None:
        """Give back the disk space of the serial log's first bytes: they read as zeros from now on, and the log is not
        kept at the end. For machines that run for long; does nothing where the file system cannot."""
        with self._log.open("r+b") as stream:
            keep = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
            ctypes.CDLL(None).fallocate64(stream.fileno(), keep, ctypes.c_int64(0), ctypes.c_int64(size))
        self._is_whole = False

    def words(self) -> str:
        """What QEMU itself had to say."""
        try:
            return (self._folder / "qemu.log").read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def say(self, line: str) -> None:
        """Write a line to the guest's serial console."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):  # it has ended
                self._process.stdin.write(line.encode() + b"\n")

    def ask(self, command: str, **arguments: object) -> object:
        """The answer to a QMP command (QEMU's qapi), or None when QEMU does not answer within two seconds."""
        import asyncio  # noqa: PLC0415 - slow to import, rarely needed
        import logging  # noqa: PLC0415

        from qemu.qmp import QMPClient  # noqa: PLC0415

        async def conversation() -> object:
            client = QMPClient()
            await client.connect(self.qmp)
            try:
                return await client.execute(command, arguments)
            finally:
                await client.disconnect()

        async def within_the_limit() -> object:
            return await asyncio.wait_for(conversation(), QMP_LIMIT_S)

        logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())  # else it would complain on our stderr
        try:
            return asyncio.run(within_the_limit())
        except Exception:  # noqa: BLE001 - a machine that cannot answer is what we are asking about
            return None

    def wait(self, done: Callable[[], bool], until: float, step_s: float = 0.004) -> bool:
        """Wait until `done()` or the machine ended or the monotonic clock passes `until`; whether `done()`."""
        while not done():
            if self.exit_code() is not None or time.monotonic() > until:
                return done()
            time.sleep(step_s)
        return True

    def end(self) -> None:
        """End QEMU if it still runs."""
        if self._process and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._limit:
            self._limit.cancel()
        self.end()
        if self._process and self._process.stdin:
            self._process.stdin.close()
        with contextlib.suppress(OSError):
            if self._is_whole:
                shutil.copyfile(self._log, self._folder / "serial.log")
        shutil.rmtree(self._private, ignore_errors=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def version(binary: str) -> str:
    """QEMU's version line. Raises HostError when it is not installed."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, timeout=20, check=False)
    except FileNotFoundError as error:
        raise HostError(f"{binary}: not found", INSTALL) from error
    return done.stdout.decode(errors="replace").splitlines()[0] if done.stdout else ""
