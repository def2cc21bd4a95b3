"""One server under the tracer below a root folder of its own, and the clients that talk to it."""

import contextlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from builder.edges import net
from builder.traced import Trace
from tests.truth import recorded
from tests.truth.machine import ENVIRONMENT, tracer

START_LIMIT_S, STOP_LIMIT_S = 30.0, 30.0


class CannotRun(Exception):  # noqa: N818 - a reason to skip
    """A server cannot be run on this machine: the message says why."""


class Session:
    """Runs programs of a laid-out root folder; each run adds to the trace."""

    def __init__(self, root: Path, app: str, program: str) -> None:
        self.root = root
        self.app = app
        self.program = program
        self.real = f"/{(root / program.lstrip('/')).resolve().relative_to(root.resolve())}"
        self.traces: list[Trace] = []
        self.port = net.free_ports([1])[1]
        self.log = root / "run-output.txt"

    def path(self, name: str) -> Path:
        """A place below the root folder, its parents made."""
        place = self.root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file below the root folder."""
        self.path(name).write_text(text)
        self.path(name).chmod(mode)

    def start(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> "Running":
        """The program under the tracer, started and not waited for."""
        out = Path(tempfile.mkdtemp(prefix="trace")) / "out"
        argv = [str(tracer()), "-e", "-r", str(self.root), str(out), self.program, *arguments]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                argv, env={**ENVIRONMENT, **(env or {})}, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        if stdin is not None and process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
        return Running(self, process, out)

    @contextmanager
    def serving(
        self, *arguments: str, stop: signal.Signals = signal.SIGTERM, env: Mapping[str, str] | None = None
    ) -> Iterator["Running"]:
        """The server while it answers on the session's port; stopped with its own signal afterwards."""
        running = self.start(*arguments, env=env)
        try:
            running.wait_for_port(self.port)
            yield running
            running.process.send_signal(stop)
        except BaseException:
            running.process.kill()
            running.process.wait()
            raise
        running.finish()

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> int:
        """The program from start to end: its exit code."""
        return self.start(*arguments, stdin=stdin, env=env).finish()

    def http(
        self, path: str, method: str = "GET", data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> int:
        """The status of one request, or 0 without an answer."""
        address = f"http://127.0.0.1:{self.port}{path}"
        asked = urllib.request.Request(address, data=data, method=method, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def talk(self, *parts: bytes, pause_s: float = 0.02) -> bytes:
        """Send parts over one connection, and what came back within a moment."""
        got = b""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection,
            contextlib.suppress(OSError),  # the server may end a conversation that it does not like
        ):
            connection.settimeout(0.2)
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while chunk := connection.recv(65536):
                got += chunk
        return got


class Running:
    """A program under the tracer."""

    def __init__(self, session: Session, process: "subprocess.Popen[bytes]", out: Path) -> None:
        self.session = session
        self.process = process
        self.out = out

    def wait_for_port(self, port: int) -> None:
        """Until the port answers. Raises CannotRun with the program's words when it does not."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                said = self.session.log.read_text(errors="replace")[-500:]
                reason = "user and mount namespaces are not allowed" if self.process.returncode == 126 else said
                raise CannotRun(f"{self.session.app} ended ({self.process.returncode}): {reason}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise CannotRun(f"{self.session.app} did not answer within {START_LIMIT_S:.0f} s")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, by the tracer."""
        self.process.send_signal(number)
        time.sleep(0.4)

    def finish(self) -> int:
        """Wait for the end and keep the trace: the exit code."""
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise CannotRun(f"{self.session.app} did not end within {STOP_LIMIT_S:.0f} s") from error
        if self.process.returncode == 126:
            raise CannotRun("user and mount namespaces are not allowed")
        self.session.traces.append(recorded.read(self.out, self.session.app, self.session.real, self.session.root))
        self.out.unlink()
        self.out.parent.rmdir()
        return self.process.returncode
