"""A machine for the agent's tests: a kernel, an initramfs made here, QEMU, and the events the agent writes."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests

LIMIT_S = 60.0
DEVICES = {
    "/dev/console": (5, 1),
    "/dev/null": (1, 3),
    "/dev/kmsg": (1, 11),
    "/dev/ttyS0": (4, 64),
    "/dev/watchdog": (10, 130),
}
DIRECTORIES = ("/dev", "/proc", "/tmp", "/etc", "/etc/kiln", "/bin", "/data")
PARAMETERS = (
    "console=ttyS0 quiet panic=-1 oops=panic reboot=t noapic nolapic_timer lpj=2000000 "
    "kiln_ip=10.0.2.15/24 kiln_gw=10.0.2.2"
)
Event = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One entry of an initramfs."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def archive(entries: Sequence[Entry]) -> bytes:
    """A cpio archive in the format `newc` (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    whole = b"".join(_record(number, entry) for number, entry in enumerate(entries, 1))
    return whole + _record(0, Entry("/TRAILER!!!", 0))


def _record(inode: int, entry: Entry) -> bytes:
    name = entry.path[1:].encode() + b"\0"
    numbers = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def initramfs(agent: bytes, guest: bytes, conf: str, more: Mapping[str, bytes]) -> bytes:
    """The root file system: agent, its configuration, the test application as /bin/guest, device nodes, more files."""
    folders = [Entry(path, 0o041777 if path in {"/tmp", "/data"} else 0o040755) for path in DIRECTORIES]
    nodes = [Entry(path, 0o020666, device=device) for path, device in DEVICES.items()]
    files = [
        Entry("/init", 0o100755, agent),
        Entry("/bin/guest", 0o100755, guest),
        Entry("/etc/kiln/agent.conf", 0o100600, conf.encode()),
        *(Entry(path, 0o100600, data) for path, data in more.items()),
    ]
    return archive([*folders, *nodes, *files])


class Machine:
    """A running guest. A `deaf` one's console is not read before somebody sets `hearing`."""

    def __init__(self, process: "subprocess.Popen[bytes]", ports: Mapping[int, int], *, deaf: bool = False) -> None:
        self.process = process
        self.ports = ports
        self.lines: list[str] = []
        self.hearing = threading.Event()
        if not deaf:
            self.hearing.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.hearing.wait()
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\r\n"))

    @property
    def events(self) -> list[Event]:
        """What the agent has said so far. A line that begins like an event must be one."""
        return [json.loads(line) for line in list(self.lines) if line.startswith('{"event"')]

    def named(self, *names: str) -> list[Event]:
        """The events of some names."""
        return [event for event in self.events if event["event"] in names]

    @property
    def output(self) -> list[str]:
        """The lines the application wrote."""
        return [event["line"] for event in self.named("output")]

    def say(self, text: str) -> None:
        """Write to the serial console."""
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_for(self, condition: "Callable[[], object]", what: str) -> None:
        """Wait until something is so; fail with the console's log after a while."""
        until = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > until or self.process.poll() is not None:
                if condition():
                    return
                raise AssertionError(f"{what} did not happen\n" + "\n".join(self.lines))
            time.sleep(0.02)

    def wait_for_event(self, name: str, count: int = 1) -> None:
        self.wait_for(lambda: len(self.named(name)) >= count, f"event {name}")

    def end(self) -> int:
        """Wait for the machine's end; its verdict: the code of the last event, which is `halt`."""
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("the machine does not end\n" + "\n".join(self.lines)) from None
        self._reader.join(LIMIT_S)
        assert self.events, "\n".join(self.lines)
        assert self.events[-1]["event"] == "halt", "\n".join(self.lines)
        return int(self.events[-1]["code"])

    def get(self, path: str, port: int = 9100, method: str = "GET") -> requests.Response:
        """Ask the agent (or another port of the guest)."""
        return requests.request(method, f"http://127.0.0.1:{self.ports[port]}{path}", timeout=LIMIT_S)

    def connect(self, port: int = 9100) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[port]), timeout=LIMIT_S)


@dataclass(frozen=True)
class Lab:
    """What machines are made of."""

    kernel: Path
    agent: bytes
    guest: bytes
    folder: Path

    @contextmanager
    def boot(
        self,
        *arguments: str,
        conf: str = "",
        ports: Sequence[int] = (9100,),
        more: str = "",
        deaf: bool = False,
        files: Mapping[str, bytes] = MappingProxyType({}),
        qemu: Sequence[str] = (),
        netdev: str = "",
    ) -> Iterator[Machine]:
        """Boot with /bin/guest and its arguments as the application; `conf` are more lines for agent.conf, `files` more
        files of the image, `qemu` more arguments of QEMU, `netdev` another network than QEMU's own, as in `-netdev`."""
        words = "".join(f"argument {argument}\n" for argument in ("/bin/guest", *arguments))
        whole = f"{words}mount proc proc /proc nosuid,nodev,noexec\n{conf}"
        with self.boot_with(whole, ports=ports, more=more, deaf=deaf, files=files, qemu=qemu, netdev=netdev) as machine:
            yield machine

    @contextmanager
    def boot_with(
        self,
        conf: str,
        *,
        ports: Sequence[int] = (9100,),
        more: str = "",
        deaf: bool = False,
        files: Mapping[str, bytes] = MappingProxyType({}),
        qemu: Sequence[str] = (),
        netdev: str = "",
    ) -> Iterator[Machine]:
        """Boot with this agent.conf; `more` are further kernel parameters."""
        image = self.folder / f"{time.monotonic_ns()}.cpio"
        image.write_bytes(initramfs(self.agent, self.guest, conf, files))
        published = {guest: free_port() for guest in ports}
        process = subprocess.Popen(
            [*command(self.kernel, image, published, more, netdev), *qemu],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Machine(process, published, deaf=deaf)
        finally:
            process.kill()
            process.wait()
            image.unlink()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(kernel: Path, image: Path, ports: Mapping[int, int], more: str, netdev: str = "") -> list[str]:
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in ports.items())
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64,-tsc,+rdrand",
        "-M", "microvm,acpi=off,x-option-roms=off", "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-m", "64", "-serial", "stdio", "-kernel", str(kernel), "-initrd", str(image),
        "-netdev", f"{netdev or 'user'},id=n0{'' if netdev else forwards}", "-device", "virtio-net-device,netdev=n0",
        "-append", f"{PARAMETERS} {more}".strip(),
    ]  # fmt: skip
