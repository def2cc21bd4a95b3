"""What an analysis of binaries is known to stumble over, each with the program that shows it."""

from pathlib import Path

import pytest

from builder.analyse import closure, needs
from builder.analyse.table import names
from builder.edges.store import Store
from builder.model import Needs
from tests.unit.analyse.programs import Build, tree, with_machine

NO_RECORDS = ("-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-O2")
ALL = len(names())
BARE = ("-nostdlib", "-static")


def dynamic(store: Store, program: Path, *plugins: Path) -> Needs:
    extra = {f"/plugins/{i}.so": p for i, p in enumerate(plugins)}
    files = with_machine({"/bin/app": program, **extra})
    return needs.analyse(files, closure.resolve(files, ("/bin/app",), tuple(extra)), store)


def static(store: Store, program: Path) -> Needs:
    files = tree({"/bin/app": program})
    return needs.analyse(files, closure.resolve(files, ("/bin/app",)), store)


def calls(found: Needs) -> set[str]:
    assert len(found.syscalls()) < ALL, found.unresolved
    return set(found.syscalls())


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-no-pie")])
def test_functions_in_copied_structures_are_reached(build: Build, store: Store, flags: tuple[str, ...]) -> None:
    assert calls(dynamic(store, build("pointers.c", *flags, strip=True))) >= {"getpgrp", "getppid", "sync"}


@pytest.mark.parametrize("flags", [(), ("-fPIE", "-static-pie"), ("-no-pie",)])
def test_and_in_static_programs_too(build: Build, store: Store, flags: tuple[str, ...]) -> None:
    program = build("pointers.c", "-static", *flags, compiler="musl-gcc", strip=True)
    assert calls(static(store, program)) >= {"getpgid", "getppid", "sync"}


def test_the_signal_trampoline_is_found_in_the_c_library(build: Build, store: Store) -> None:
    found = dynamic(store, build("handler.c"))
    evidence = next(n for n in found.needs if n.id == "syscall:rt_sigreturn").evidence
    assert any(e.file == "/lib/x86_64-linux-gnu/libc.so.6" and e.address for e in evidence)


def test_a_number_put_together_in_two_steps_is_read(build: Build, store: Store) -> None:
    assert "clone" in calls(static(store, build("handler.c", "-static", compiler="musl-gcc")))
    expected = {"clone", "getppid", "getpgrp", "getpid", "getuid", "getgid", "exit_group"}
    found = calls(static(store, build("copied.S", *BARE)))
    assert expected <= found <= expected | {"exit", "restart_syscall"}


@pytest.mark.parametrize("flags", [("-fPIE", "-pie"), ("-fno-pie", "-no-pie")])
def test_jump_tables_and_tail_calls_are_followed_in_stripped_code(
    build: Build, store: Store, flags: tuple[str, ...]
) -> None:
    found = dynamic(store, build("switch.c", *NO_RECORDS, *flags, strip=True))
    assert calls(found) >= {"getpgrp", "getppid", "getuid", "getgid", "geteuid", "getegid"}


def test_and_so_they_are_in_stripped_static_code(build: Build, store: Store) -> None:
    found = static(store, build("switch.c", *NO_RECORDS, "-static", compiler="musl-gcc", strip=True))
    assert calls(found) >= {"getpgid", "getppid", "getuid", "getgid", "geteuid", "getegid"}


def test_constants_between_functions_neither_hide_code_nor_count_as_code(build: Build, store: Store) -> None:
    found = calls(static(store, build("constants.S", *BARE)))
    assert {"getpid", "exit"} <= found <= {"getpid", "exit", "exit_group", "restart_syscall"}


def test_a_go_program_counts_as_a_whole(build: Build, store: Store) -> None:
    program = build("gomark.S", *BARE)
    assert "getppid" in calls(static(store, program))


def test_everything_a_plugin_exports_is_reached(build: Build, store: Store) -> None:
    program, plugin = build("pointers.c", "-O1", "-DPLAIN"), build("plugin.c", "-shared", "-fPIC", strip=True)
    assert calls(dynamic(store, program, plugin)) >= {"getpgrp", "sync"}


def test_functions_asked_for_by_name_are_reached(build: Build, store: Store) -> None:
    assert "getpgrp" in calls(dynamic(store, build("names.c", "-O1", "-DCONSTANT")))
    assert "vhangup" not in calls(dynamic(store, build("names.c", "-O1", "-DCONSTANT")))
    assert calls(dynamic(store, build("names.c", "-O1"))) >= {"vhangup", "sync"}


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-Os"])
def test_numbers_passed_through_functions_are_found_at_their_callers(build: Build, store: Store, level: str) -> None:
    found = calls(dynamic(store, build("wrapper.c", level, strip=True)))
    assert found >= {"getsid", "getpgid", "sched_get_priority_max"}


def test_a_number_nobody_can_know_keeps_every_call(build: Build, store: Store) -> None:
    found = dynamic(store, build("unknown.c", "-O2"))
    assert len(found.syscalls()) == ALL
    place = next(u for u in found.unresolved if u.assumed == ("syscall:*",))
    assert (place.file, place.function) == ("/bin/app", "main")
    assert "not a constant" in place.why


def test_set_id_numbers_that_pass_through_memory_are_known_by_their_reason(build: Build, store: Store) -> None:
    for found in (
        dynamic(store, build("identity.c", "-O1")),
        static(store, build("identity.c", "-static", compiler="musl-gcc", strip=True)),
    ):
        assert calls(found) >= {"setuid", "setgid", "setgroups"}
        assert any("set*id" in u.why for u in found.unresolved)
