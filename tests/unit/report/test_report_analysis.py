"""The page that `invoke analyse` prints: golden, stable for the same analysis, and never wider than its limit."""

import msgspec
import pytest

from builder.analysis_documents import (
    Analysis,
    Call,
    Change,
    Difference,
    Feature,
    FileChange,
    Mapped,
    Opened,
    Proof,
    Saving,
    SwitchedOn,
)
from builder.model import Unresolved
from builder.report import analysis, difference
from tests.conftest import REPOSITORY

GOLDEN = REPOSITORY / "tests/golden/analyse"
LIBC, APP = "/lib/x86_64-linux-gnu/libc.so.6", "/usr/sbin/service"
POLL = Proof(
    "constant at the instruction",
    "calls epoll_wait",
    LIBC,
    0x10A2C4,
    "epoll_wait",
    (f"_start@{APP}", f"main@{APP}", f"loop@{APP}", f"epoll_wait@{LIBC}"),
    "libc6 2.36-9",
    "93ac61ec",
)
ACCEPT = ("syscall:accept", "syscall:bind", "syscall:connect", "syscall:socket")
PASSED = "socket: what is passed is not a constant"
GUESS = Proof("assumed: unresolved", "assumed: socket: what is passed is not a constant", APP, 0x4242, "listen_on")
FOUND = Analysis(
    machine="x86_64",
    syscalls=(
        Call("epoll_wait", 232, "traced", "app", 2, (POLL,)),
        Call("exit", 60, "reachable", "app", 1, (Proof("implied by the kernel", "how a thread ends"),)),
        Call("reboot", 169, "hinted out", "app", 0, ()),
        Call("socket", 41, "reachable", "app", 4, (POLL, GUESS)),
    ),
    features=(
        Feature("exec:i386 int 0x80", "reachable", "app", 1, (POLL,)),
        Feature("socket:AF_UNIX", "unresolved", "app", 2, (GUESS,)),
    ),
    options=(
        SwitchedOn("EPOLL", "y", ("syscall:epoll_wait",), "traced"),
        SwitchedOn("NET", "y", ("socket:AF_UNIX", *ACCEPT)),
        SwitchedOn("LOG_BUF_SHIFT", "12", ("syscall:exit",)),
    ),
    unresolved=(
        *(Unresolved(APP, 0x4242 + i, "listen_on", PASSED, ("socket:AF_UNIX",)) for i in range(3)),
        Unresolved(LIBC, 0x99, "sub_90", "system call: its number is not a constant here", ("syscall:*",)),
    ),
    closure=(
        Mapped(APP, "program", "", "service", "service 1.0-1", "aa", "74429228"),
        Mapped(LIBC, "needed", APP, "libc.so.6", "libc6 2.36-9", "bb", "93ac61ec"),
    ),
    plugins=(
        Opened("/usr/lib/x86_64-linux-gnu/gconv/*.so", LIBC, "converters between character sets (iconv)", False, 250),
        Opened("libnss_files.so.2", LIBC, "the name service asks files for passwd", True),
    ),
    app="service",
    traced=True,
    hints=("glibc: no iconv", "image.toml: getaddrinfo@libc.so.6"),
    seconds=0.123,
)  # fmt: skip
SAVINGS = (
    Saving("look_up@service", "getaddrinfo@libc.so.6", ("service",),
           '[[hint]]\nfunction = "look_up@service"\nreason = "…"',
           ("INET", "UNIX"), ("sendmmsg",), ("socket:AF_INET6",)),
    Saving("sub_90@libc.so.6", "", (), "", (), ("reboot",), (), POLL.chain),
)  # fmt: skip
CHANGES = Difference(
    "nginx=1.22.1-9",
    "nginx",
    (Change("epoll_pwait2", "comes", ("wait_long@nginx", "epoll_pwait2@libc.so.6"), POLL.chain),
     Change("epoll_wait", "goes", (), POLL.chain)),
    (Change("socket:AF_VSOCK", "comes", ("sub_40@nginx",)),),
    (Change("VSOCKETS", "comes", ("sub_40@nginx",), (), ("socket:AF_VSOCK",)),),
    (FileChange("/usr/sbin/nginx", "changed", "nginx 1.22.1-9", "nginx 1.26.0-1"),
     FileChange("/lib/x86_64-linux-gnu/libz.so.1", "goes", "zlib1g 1.2")),
    117,
    0.5,
)  # fmt: skip

PAGES = {
    "page": analysis.render(FOUND),
    "page-verbose": analysis.render(FOUND, verbose=True),
    "alone": analysis.alone(SAVINGS),
    "difference": difference.render(CHANGES),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_the_golden_one(name: str) -> None:
    assert PAGES[name] + "\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_wider_than_a_hundred_columns(name: str) -> None:
    assert [line for line in PAGES[name].splitlines() if len(line) > 100] == []


def test_lists_without_end_are_cut_and_say_how_to_see_the_rest() -> None:
    many = msgspec.structs.replace(FOUND, plugins=tuple(Opened(f"/lib/{i}.so", APP, "why", False) for i in range(40)))
    assert "and 28 more (--verbose)" in analysis.render(many)
    assert "/lib/39.so" in analysis.render(many, verbose=True)


def test_nothing_alone_and_no_difference_are_said_in_words() -> None:
    assert "nothing hangs on one function alone" in analysis.alone(())
    assert "the same system calls" in difference.render(Difference("a", "b", (), (), (), (), 3))
