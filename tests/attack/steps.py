"""What an attacker tries once the service does its bidding, and what is declared to come of it.

Numbers are those of x86-64 Linux (include/uapi/): the attacker brings them, as real code would.
"""

import errno
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.attack.attacker import At, Attacker

READ, WRITE, EXEC = 1, 2, 4
PRIVATE, ANONYMOUS = 2, 0x20
WRITE_ONLY, READ_WRITE, CREATE = 1, 2, 0o100
INTERNET, PACKET, STREAM, DATAGRAM, RAW = 2, 17, 1, 2, 3
DROPPED = "/tmp/dropped"
PAGE = 4096
ENDED = "the process was ended"


@dataclass(frozen=True)
class Step:
    """One thing tried. `attempt` gives the last result, negative where it was refused; `event` is the event that must
    tell of it, by name, kind and the beginning of what it says; `rule` the rule whose alert must follow."""

    name: str
    does: str
    attempt: Callable[[Attacker], int]
    refused_with: str  # an error's name, ENDED, or empty: then `blocked` says whether the result is harmless
    event: tuple[str, str, str]
    rule: str
    harmless: Callable[[int], bool] | None = None

    def blocked(self, result: int, ended: bool) -> bool:
        """Whether the attempt came to nothing."""
        if self.harmless:
            return ended or self.harmless(result)
        return ended if self.refused_with == ENDED else result == -getattr(errno, self.refused_with)


def _address(host: str, port: int) -> bytes:
    return struct.pack("<H", INTERNET) + struct.pack(">H", port) + bytes(map(int, host.split("."))) + bytes(8)


def _drop(attacker: Attacker) -> None:
    fd = attacker.call("open", DROPPED, WRITE_ONLY | CREATE, 0o755)
    attacker.call("write", fd, "#!/usr/bin/victim\n", 18)
    attacker.call("close", fd)


def _run(attacker: Attacker, path: str) -> int:
    text = path.encode() + b"\0"
    return attacker.call("execve", At(), 0, 0, data=text + bytes(-len(text) % 8))


def _run_dropped(attacker: Attacker) -> int:
    _drop(attacker)
    return _run(attacker, DROPPED)


def _map_dropped(attacker: Attacker) -> int:
    _drop(attacker)
    fd = attacker.call("open", DROPPED, 0)
    return attacker.call("mmap", 0, PAGE, READ | EXEC, PRIVATE, fd, 0)


def _serve(attacker: Attacker) -> int:
    fd = attacker.call("socket", INTERNET, STREAM, 0)
    return attacker.call("bind", fd, _address("0.0.0.0", 4444), 16)


def _connect(kind: int) -> Callable[[Attacker], int]:
    def attempt(attacker: Attacker) -> int:
        fd = attacker.call("socket", INTERNET, kind, 0)
        return attacker.call("connect", fd, _address("10.0.2.2", 53), 16)

    return attempt


def _fill_disk(attacker: Attacker) -> int:
    fd = attacker.call("open", "/tmp/full", WRITE_ONLY | CREATE, 0o600)
    result = attacker.call("write", fd, At(), 32768, data=bytes(32768), times=100)
    attacker.call("open", "/tmp/full", WRITE_ONLY | 0o1000, 0)
    return result


def _call(name: str, *arguments: int | str) -> Callable[[Attacker], int]:
    return lambda attacker: attacker.call(name, *arguments)


def _foreign(name: str, does: str, call: str, *arguments: int | str) -> Step:
    """A system call that the service does not need: its kernel does not have it."""
    return Step(name, does, _call(call, *arguments), "ENOSYS", ("refused", call, ""), "foreign-call")


def _guarded(name: str, does: str, attempt: Callable[[Attacker], int], kind: str, what: str, rule: str) -> Step:
    return Step(name, does, attempt, "EPERM", ("guard", kind, what), rule)


def _forbidden(name: str, does: str, attempt: Callable[[Attacker], int], error: str, what: str) -> Step:
    return Step(name, does, attempt, error, ("guard", "access", f"call {what}"), "forbidden")


def steps() -> Iterator[Step]:
    """All of them, in the order they are tried."""
    yield from _programs()
    yield from _files()
    yield from _code()
    yield from _network()
    yield from _others()
    yield from _machine()
    yield from _exhaustion()


def _programs() -> Iterator[Step]:
    yield _forbidden("shell", "starts /bin/sh", lambda a: _run(a, "/bin/sh"), "ENOENT", "59 ENOENT /bin/sh")
    yield _guarded(
        "dropped program", "writes a program and starts it", _run_dropped, "exec", DROPPED, "foreign-program"
    )
    yield _guarded(
        "another program", "starts another program of the image", lambda a: _run(a, "/init"), "exec", "/init",
        "foreign-program",
    )  # fmt: skip
    yield _foreign("program without a file", "makes a file in memory to start it", "memfd_create", "x", 0)


def _files() -> Iterator[Step]:
    yield _forbidden(
        "system file", "opens /etc/passwd to write", _call("open", "/etc/passwd", WRITE_ONLY), "EROFS",
        "2 EROFS /etc/passwd",
    )  # fmt: skip
    yield _forbidden(
        "new file", "makes a file beside the programs", _call("open", "/usr/bin/new", WRITE_ONLY | CREATE, 0o755),
        "EROFS", "2 EROFS /usr/bin/new",
    )  # fmt: skip
    yield _forbidden(
        "changed mode", "makes its program writable", _call("chmod", "/usr/bin/victim", 0o777), "EROFS",
        "90 EROFS /usr/bin/victim",
    )  # fmt: skip
    yield _foreign("replaced program", "puts a file in the program's place", "rename", DROPPED, "/usr/bin/victim")


def _code() -> Iterator[Step]:
    writable = _call("mmap", 0, PAGE, READ | WRITE | EXEC, PRIVATE | ANONYMOUS, -1, 0)
    yield _guarded("writable code", "maps memory to write and run", writable, "code", "mmap writable", "foreign-code")
    yield _guarded(
        "data as code", "makes its data executable", lambda a: a.call("mprotect", At(), PAGE, READ | EXEC), "code",
        "mprotect", "foreign-code",
    )  # fmt: skip
    yield _guarded(
        "dropped code", "maps a file it wrote as code", _map_dropped, "code", f"mmap {DROPPED}", "foreign-code"
    )
    yield Step("jump into data", "runs bytes it sent", _call("jump"), ENDED, ("guard", "death", "signal 11"), "fault")
    yield Step(
        "old calls", "enters the kernel the 32-bit way", _call("32-bit call"), ENDED, ("guard", "death", "signal 11"),
        "fault",
    )  # fmt: skip


def _network() -> Iterator[Step]:
    yield _guarded("back door", "serves a port of its own", _serve, "listen", "bind tcp port 4444", "foreign-port")
    yield _guarded("call home", "connects out", _connect(STREAM), "connect", "tcp 10.0.2.2:53", "foreign-peer")
    yield _guarded(
        "name tunnel", "reaches out by UDP", _connect(DATAGRAM), "connect", "udp 10.0.2.2:53", "foreign-peer"
    )
    yield _guarded(
        "raw socket", "opens a raw socket", _call("socket", INTERNET, RAW, 1), "socket", "family 2 type 3",
        "foreign-socket",
    )  # fmt: skip
    yield _guarded(
        "sniffer", "opens a packet socket", _call("socket", PACKET, RAW, 0x300), "socket", "family 17", "foreign-socket"
    )


def _others() -> Iterator[Step]:
    yield _forbidden("agent killed", "kills process 1", _call("kill", 1, 9), "EPERM", "62 EPERM")
    yield _forbidden(
        "agent's memory", "opens the memory of process 1", _call("open", "/proc/1/mem", READ_WRITE), "EACCES",
        "2 EACCES /proc/1/mem",
    )  # fmt: skip
    yield _forbidden(
        "policy changed", "opens the guard's file", _call("open", "/proc/kiln", READ_WRITE), "EACCES",
        "2 EACCES /proc/kiln",
    )  # fmt: skip
    yield _guarded(
        "memory through /proc", "opens its own memory to write what is protected",
        _call("open", "/proc/self/mem", READ_WRITE), "file", "/proc/", "special-file",
    )  # fmt: skip
    yield _foreign("debugger", "attaches to process 1", "ptrace", 16, 1, 0, 0)
    yield _foreign("foreign memory", "reads the memory of process 1", "process_vm_readv", 1, 0, 0, 0, 0, 0)


def _machine() -> Iterator[Step]:
    yield _guarded("becoming root", "becomes root", _call("setuid", 0), "call", "call 105", "agents-call")
    mount = _call("mount", "tmpfs", "/tmp", "tmpfs", 0, 0)
    yield _guarded("mount", "mounts a file system", mount, "call", "call 165", "agents-call")
    yield _foreign("module", "loads a module", "init_module", 0, 0, 0)
    yield _foreign("clock", "sets the clock", "clock_settime", 0, 0)
    reboot = _call("reboot", 0xFEE1DEAD, 0x28121969, 0x1234567, 0)
    yield _guarded("reboot", "reboots", reboot, "call", "call 169", "agents-call")
    yield _foreign("new root", "changes the root directory", "chroot", "/tmp")
    yield _foreign("namespaces", "makes a user namespace", "unshare", 0x10000000)
    yield _foreign("kernel programs", "loads a program into the kernel", "bpf", 5, 0, 0)
    yield _foreign("unwatched calls", "sets up a ring for system calls", "io_uring_setup", 8, 0)
    yield _foreign("key ring", "reaches for the kernel's keys", "keyctl", 0, 0)
    yield _foreign("another kernel", "loads another kernel", "kexec_load", 0, 0, 0, 0)


def _exhaustion() -> Iterator[Step]:
    limit = ("guard", "limit")
    yield Step("full disk", "fills its scratch space", _fill_disk, "ENOSPC", (*limit, "call 1 ENOSPC"), "limit-reached")
    yield Step(
        "fork bomb", "starts processes without end", _call("fork bomb", 4000), "", (*limit, "call 57 EAGAIN"),
        "limit-reached", lambda made: made < 64,
    )  # fmt: skip
    yield Step(
        "descriptors", "opens files without end", lambda a: a.call("open", "/dev/null", 0, times=200), "EMFILE",
        (*limit, "call 2 EMFILE"), "limit-reached",
    )  # fmt: skip
    yield Step(
        "memory", "uses memory without end", _call("memory", 4096), ENDED, ("kernel", "", "Out of memory"),
        "out-of-memory",
    )  # fmt: skip
    yield Step(
        "log flood", "hides among 50,000 lines", _call("log flood", 50000), "", ("alert", "stdout", ""), "log-flood",
        lambda _: True,
    )  # fmt: skip
