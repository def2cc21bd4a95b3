"""What the guard is told follows from the definition and from what the analysis found."""

import re

import pytest

from builder import protection
from builder.analyse import implied, table
from builder.definition import BuildSource, Definition, Network, Run
from builder.definition_guard import Protect
from builder.inputs.definition_rules import GUARD_LIST, problems
from builder.model import Evidence, Need, Needs
from tests.conftest import REPOSITORY

KERNEL = REPOSITORY / "recipes/agents/kiln/kernel"
PROGRAMS = ("/bin/app", "/usr/lib//helper")


def needs(*ids: str) -> Needs:
    return Needs((), tuple(Need(name, (Evidence(how="a test"),)) for name in ids))


def definition(protect: Protect, ports: tuple[int, ...] = ()) -> Definition:
    return Definition(BuildSource(), Run(("/bin/app",)), network=Network(ports), protect=protect)


def stances(protect: Protect, *ids: str) -> dict[str, str]:
    lines = protection.policy(definition(protect), needs(*ids), PROGRAMS)
    found = dict(line.split(" ")[1:] for line in lines if line.startswith("stance "))
    return {kind: found[kind] for kind in protection.KINDS}


def lists(protect: Protect, *ids: str, ports: tuple[int, ...] = ()) -> list[str]:
    lines = protection.policy(definition(protect, ports), needs(*ids), PROGRAMS)
    return [line for line in lines if not line.startswith("stance ")]


def test_everything_is_denied_that_is_not_needed() -> None:
    assert stances(Protect()) == dict.fromkeys(protection.KINDS, "deny")
    assert lists(Protect()) == []


def test_kinds_are_those_of_the_kernel() -> None:
    words = re.findall(r'\[KILN_\w+\] = "(\w+)"', (KERNEL / "report.c").read_text())
    assert tuple(words) == (*protection.KINDS, *protection.REFUSED)
    [room] = re.findall(r"#define KILN_LIST\s+(\d+)", (KERNEL / "guard.h").read_text())
    assert int(room) == GUARD_LIST


def test_what_the_kernel_refuses_by_itself_is_told_or_only_counted() -> None:
    lines = protection.policy(definition(Protect(quiet=("access", "limit"))), needs(), PROGRAMS)
    assert lines[-3:] == ("stance access allow", "stance limit allow", "stance death audit")


@pytest.mark.parametrize(
    ("need", "kind"),
    [
        ("syscall:connect", "connect"),
        ("syscall:ptrace", "ptrace"),
        ("syscall:process_vm_readv", "ptrace"),
        ("syscall:mount", "mount"),
        ("socket:AF_PACKET", "socket"),
        ("socket:SOCK_RAW/AF_INET", "socket"),
    ],
)
def test_what_the_application_may_ask_for_is_reported(need: str, kind: str) -> None:
    assert [name for name, stance in stances(Protect(), need).items() if stance == "audit"] == [kind]


def test_usual_sockets_leave_the_others_denied() -> None:
    usual = ("socket:AF_INET", "socket:AF_INET6", "socket:AF_UNIX", "socket:AF_NETLINK/ROUTE", "socket:IPPROTO_TCP")
    assert set(stances(Protect(), *usual).values()) == {"deny"}


def test_an_audit_denies_nothing_and_off_says_nothing() -> None:
    assert stances(Protect("audit")) == dict.fromkeys(protection.KINDS, "audit")
    assert stances(Protect("audit", writable_code=True))["code"] == "allow"
    assert protection.policy(definition(Protect("off")), needs("syscall:execve"), PROGRAMS) == ()


def test_programs_are_those_of_the_image_only_if_it_starts_any() -> None:
    assert lists(Protect(), "syscall:execve") == ["program /bin/app", "program /usr/lib/helper"]
    assert lists(Protect(exec=("/bin/sh", "/bin/sh"))) == ["program /bin/sh"]
    assert lists(Protect(exec=()), "syscall:execve") == []


def test_ports_and_peers_are_written_as_the_kernel_reads_them() -> None:
    protect = Protect(listen=("53/udp", "0080", "443/tcp"), connect=("10.0.0.5:5432", "[fe80::1]:*", "*:53"))
    assert lists(protect, "syscall:connect", ports=(443,)) == [
        "port tcp 443",
        "port udp 53",
        "port tcp 80",
        "peer 10.0.0.5 5432",
        "peer fe80::1 *",
        "peer * 53",
    ]
    assert stances(protect, "syscall:connect")["connect"] == "deny"


def test_the_kernel_has_a_guard_unless_it_is_off() -> None:
    asked = [
        [need.id for need in implied.by_definition(definition(Protect(mode)))] for mode in ("enforce", "audit", "off")
    ]
    assert ["guard" in ids for ids in asked] == [True, True, False]


@pytest.mark.parametrize(
    ("protect", "key"),
    [
        (Protect("off", writable_code=True), "protect.mode"),
        (Protect(listen=("0",)), "protect.listen[0]"),
        (Protect(listen=("80", "65536/udp")), "protect.listen[1]"),
        (Protect(connect=("10.0.0.256:1",)), "protect.connect[0]"),
        (Protect(connect=("10.0.0.1:0",)), "protect.connect[0]"),
        (Protect(connect=("[::1]:80", "[fe80::g]:1")), "protect.connect[1]"),
        (Protect(exec=("/bin/a",) * 65), "protect.exec"),
        (Protect(listen=("80",) * 65), "protect.listen"),
    ],
)
def test_what_cannot_work_is_named(protect: Protect, key: str) -> None:
    assert [found for found, _ in problems(definition(protect, (9000,)))] == [key]


def test_ports_and_peers_are_of_images_with_a_network() -> None:
    protect = Protect(listen=("80",), connect=("*:53",))
    assert [found for found, _ in problems(definition(protect))] == ["protect.listen", "protect.connect"]
    assert not list(problems(definition(protect, (9000,))))


def test_calls_that_the_kernel_has_for_the_agent_are_foreign_to_the_application() -> None:
    def foreign(found: Needs, mode: str = "enforce") -> list[str]:
        own = definition(Protect(mode))  # type: ignore[arg-type]
        lines = protection.directives(own, found, PROGRAMS, (), ("mount", "read", "setuid", "rt_sigreturn", "write"))
        return [line for key, line in lines if key == "guard" and line.startswith("foreign")]

    assert foreign(needs("syscall:read", "syscall:write")) == ["foreign 105 165"]
    assert foreign(needs("syscall:read", "syscall:write", "syscall:mount", "syscall:setuid")) == []
    assert foreign(needs("syscall:read"), "off") == []


def test_many_foreign_calls_take_several_lines() -> None:
    kept = tuple(table.names().values())
    lines = [line for key, line in protection.directives(definition(Protect()), needs(), PROGRAMS, (), kept)]
    long = [line for line in lines if line.startswith("foreign")]
    assert len(long) > 5
    assert all(len(line) < 300 for line in long)
