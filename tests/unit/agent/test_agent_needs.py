"""What the agent asks of a kernel is little, known, and found by the analysis without a doubt."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.analyse import closure, needs
from builder.compile import agent
from builder.edges.store import Store
from builder.model import Needs

FOLDER = Path(__file__).parents[3] / "recipes" / "agents" / "kiln"
RECIPE = tomllib.loads((FOLDER / "agent.toml").read_text())
# how musl starts a program and ends it, and what the kernel itself makes programs call
START = {
    "arch_prctl", "exit", "exit_group", "futex", "mmap", "poll", "rt_sigreturn", "restart_syscall", "set_tid_address",
}  # fmt: skip
ALWAYS = {
    "chdir", "chown", "clock_gettime", "clone", "close", "dup2", "execve", "fchown", "getdents64", "getpid", "ioctl",
    "kill", "mkdir", "mount", "open", "pipe2", "ppoll", "prctl", "read", "readlink", "reboot", "rt_sigaction",
    "rt_sigprocmask", "setgid", "setgroups", "sethostname", "setrlimit", "setsid", "setuid", "stat", "sync", "sysinfo",
    "umount2", "wait4", "write",
}  # fmt: skip
NETWORK = {"accept4", "bind", "listen", "shutdown", "socket"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def analysed(store: Store, *, network: bool, further: Sequence[str] = ()) -> Needs:
    tree = agent.build(FOLDER, store, network=network, further=further)
    return needs.analyse(tree, closure.resolve(tree, ["/init"]), store, by="agent")


def features(found: Needs) -> set[str]:
    return {need.id for need in found.needs if not need.id.startswith("syscall:")}


def test_with_a_network(store: Store) -> None:
    found = analysed(store, network=True)
    assert not found.unresolved
    assert set(found.syscalls()) - START == ALWAYS | NETWORK
    assert features(found) == {*RECIPE["needs"], *RECIPE["network_needs"]}


def test_without_network_it_asks_for_no_socket(store: Store) -> None:
    found = analysed(store, network=False)
    assert not found.unresolved
    assert set(found.syscalls()) - START == ALWAYS
    assert features(found) == set(RECIPE["needs"])


@pytest.mark.parametrize("network", [True, False])
def test_with_secrets_it_asks_for_two_file_systems_and_no_further_call(store: Store, network: bool) -> None:
    found = analysed(store, network=network, further=["secrets"])
    assert not found.unresolved
    assert set(found.syscalls()) - START == ALWAYS | (NETWORK if network else set())
    own = {*RECIPE["needs"], *RECIPE["further"]["secrets"]["needs"]}
    assert features(found) == own | {*(RECIPE["network_needs"] if network else ())}


def test_with_health_checks_it_also_connects(store: Store) -> None:
    found = analysed(store, network=True, further=["health"])
    assert not found.unresolved
    assert set(found.syscalls()) - START == ALWAYS | NETWORK | {"connect"}
    assert features(found) == {*RECIPE["needs"], *RECIPE["network_needs"]}


def test_with_an_address_from_the_network_it_also_asks_for_one(store: Store) -> None:
    found = analysed(store, network=True, further=["dhcp"])
    assert not found.unresolved
    assert set(found.syscalls()) - START == ALWAYS | NETWORK | {"sendto", "setsockopt"}
    own = {*RECIPE["needs"], *RECIPE["further"]["dhcp"]["needs"]}
    assert features(found) == {*RECIPE["network_needs"], *own}
