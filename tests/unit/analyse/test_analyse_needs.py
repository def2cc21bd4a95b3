"""Needs: evidence that a reader can follow, features beside numbers, declarations, and the store as memory."""

import msgspec
import pytest

from builder.analyse import closure, needs
from builder.definition import Declared
from builder.edges.store import Store
from builder.errors import AnalysisError
from builder.model import Need, Needs, Tree
from tests.unit.analyse.programs import Build, with_machine


def analysed(store: Store, files: Tree, declared: Declared | None = None) -> Needs:
    return needs.analyse(files, closure.resolve(files, ("/bin/app",)), store, declared=declared)


def need(found: Needs, name: str) -> Need:
    return next(n for n in found.needs if n.id == name)


def test_a_need_says_where_it_is_and_how_it_is_reached(build: Build, store: Store) -> None:
    found = analysed(store, with_machine({"/bin/app": build("pointers.c", "-O1")}))
    first = need(found, "syscall:sync").evidence[0]
    assert first.how == "calls sync"
    assert first.file == "/lib/x86_64-linux-gnu/libc.so.6"
    assert first.function == "sync"
    assert first.chain[-3:] == ("table@/bin/app", "three@/bin/app", "sync@/lib/x86_64-linux-gnu/libc.so.6")
    assert first.address > 0
    assert need(found, "syscall:mmap").sites >= 2
    assert [n.id for n in found.needs] == sorted(n.id for n in found.needs)


def test_constant_socket_families_are_needs_and_others_are_assumed(build: Build, store: Store) -> None:
    def families(*flags: str) -> tuple[set[str], int]:
        found = analysed(store, with_machine({"/bin/app": build("families.c", "-O2", *flags)}))
        mine = [n for n in found.needs if n.id.startswith("socket:") and any(e.file == "/bin/app" for e in n.evidence)]
        return {n.id for n in mine}, sum(u.file == "/bin/app" for u in found.unresolved)

    assert families() == ({"socket:AF_NETLINK", "socket:AF_NETLINK/ROUTE", "socket:AF_PACKET"}, 0)
    more = {"socket:AF_NETLINK", "socket:AF_NETLINK/ROUTE", "socket:AF_PACKET", "socket:AF_INET", "socket:AF_UNIX"}
    assert families("-DOUTSIDE") == (more, 1)


def test_declared_needs_are_added_and_say_so(build: Build, store: Store) -> None:
    files = with_machine({"/bin/app": build("pointers.c", "-O1")})
    found = analysed(store, files, Declared(features=("path:/sys",), syscalls=("mount",)))
    assert need(found, "syscall:mount").evidence[0].how == "declared in image.toml"
    assert need(found, "path:/sys").evidence[0].how == "declared in image.toml"
    with pytest.raises(AnalysisError, match="there is no system call 'mout'"):
        analysed(store, files, Declared(syscalls=("mout",)))


def test_what_the_kernel_itself_makes_programs_call_is_always_there(build: Build, store: Store) -> None:
    found = analysed(store, with_machine({"/bin/app": build("pointers.c", "-O1")}))
    assert {"restart_syscall", "exit_group", "exit", "rt_sigreturn"} <= set(found.syscalls())


def test_a_second_analysis_takes_everything_from_the_store(build: Build, empty_store: Store) -> None:
    files = with_machine({"/bin/app": build("pointers.c", "-O1")})
    first = analysed(empty_store, files)
    made = len(empty_store.made)
    assert made == 5  # one summary for each of three files, what runs of clock_nanosleep, and the result
    assert analysed(empty_store, files) == first
    assert len(empty_store.made) == made
    other = with_machine({"/bin/app": build("wrapper.c", "-O1")})
    analysed(empty_store, other)
    assert len(empty_store.made) == made + 2  # the C library and the loader are known already


def test_needs_survive_json(build: Build, store: Store) -> None:
    found = analysed(store, with_machine({"/bin/app": build("pointers.c", "-O1")}))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Needs) == found


def test_only_reachable_functions_count(build: Build, store: Store) -> None:
    found = set(analysed(store, with_machine({"/bin/app": build("pointers.c", "-O1")})).syscalls())
    assert not found & {"ptrace", "reboot", "mount", "init_module", "shmget", "swapon"}
    assert len(found) < 90
