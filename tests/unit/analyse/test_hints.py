"""Hints take out what is reachable and never runs, only where their conditions hold, and never against a trace."""

from pathlib import Path

import pytest

from builder.analyse import closure, hints, needs, witness
from builder.analyse.configured import Lines, Start
from builder.analyse.hints import Hint, Passes
from builder.definition import HintEntry
from builder.edges.store import Store
from builder.errors import AnalysisError, DefinitionError
from builder.model import File, Needs
from builder.traced import Spot, TracedCall
from tests.unit.analyse.programs import Build, with_machine

CUT = Hint("never", "app", "argc is never above 5", functions=("never_runs",))


def analysed(build: Build, store: Store, *given: Hint, flags: tuple[str, ...] = ()) -> Needs:
    files = with_machine({"/bin/app": build("hinted.c", "-O1", "-rdynamic", *flags)})
    return needs.analyse(files, closure.resolve(files, ("/bin/app",)), store, hints=given)


def test_without_hints_all_that_is_reachable_counts(build: Build, store: Store) -> None:
    found = analysed(build, store)
    assert {"sync", "setsid", "getppid"} <= set(found.syscalls())
    assert (found.hinted, found.hints) == ((), ())


def test_a_hint_takes_out_what_only_its_function_reaches(build: Build, store: Store) -> None:
    found = analysed(build, store, CUT)
    assert "sync" not in found.syscalls()
    assert {"setsid", "getppid"} <= set(found.syscalls())
    assert (found.hinted, found.hints) == (("syscall:getpgrp", "syscall:sync"), ("never",))


def test_a_definition_s_hint_names_symbol_and_file(build: Build, store: Store) -> None:
    entry = HintEntry("never_runs@app", "argc is never above 5")
    assert analysed(build, store, hints.of_entry(entry)).hinted == ("syscall:getpgrp", "syscall:sync")


def test_a_hint_does_not_hold_where_a_function_it_excludes_is_reached(build: Build, store: Store) -> None:
    given = Hint("never", "app", "…", functions=("never_runs",), unless=("getppid",))
    assert analysed(build, store, given).hinted == ()


def test_needs_narrow_a_hint(build: Build, store: Store) -> None:
    narrow = Hint("narrow", "libc.so.6", "…", functions=("sync",), needs=("syscall:sync",))
    assert analysed(build, store, narrow).hinted == ("syscall:sync",)


def test_a_condition_on_what_is_passed_is_proven(build: Build, store: Store) -> None:
    def held(call: int) -> tuple[str, ...]:
        program = build("partial.c", "-O2", "-rdynamic", "-DWAY=4", f"-DCALL={call}", "-fno-ipa-cp", "-fno-inline")
        files = with_machine({"/bin/app": program})
        given = Hint("bits", "app", "…", functions=("main",), needs=("x",), passes=Passes("sysconf", 0, 1 << 20))
        return needs.analyse(files, closure.resolve(files, ("/bin/app",)), store, hints=(given,)).hints

    assert held(0) == ("bits",)
    assert held(2) == ()  # a number the user gives


def test_functions_without_a_name_that_only_one_leads_to_are_parts_of_it(build: Build, store: Store) -> None:
    program = build("hinted.c", "-O1", "-rdynamic", "-s")
    files = with_machine({"/bin/app": program})

    def hinted(*, helpers: bool) -> tuple[str, ...]:
        given = Hint("h", "app", "…", functions=("never_runs",), calls=("getpgrp",), helpers=helpers)
        return needs.analyse(files, closure.resolve(files, ("/bin/app",)), store, hints=(given,)).hinted

    assert hinted(helpers=False) == ()
    assert hinted(helpers=True) == ("syscall:getpgrp",)


def test_what_is_not_among_the_names_a_file_asks_for_is_not_looked_up(build: Build, store: Store) -> None:
    files = with_machine({"/bin/app": build("names.c", "-O1")})

    def found(*asks: str) -> set[str]:
        given = (Hint("a", "app", "…", asks=asks),) if asks else ()
        return set(needs.analyse(files, closure.resolve(files, ("/bin/app",)), store, hints=given).syscalls())

    assert "vhangup" in found()
    assert "vhangup" not in found("getppid")
    assert "vhangup" in found("vhangup")


# ---- conditions on configuration --------------------------------------------------------------------------------


def applies(tmp_path: Path, hint: Hint, text: str = "", at: str = "", command: str = "/bin/x", env: str = "") -> bool:
    """Whether a hint applies to an image with a configuration file, arguments and a variable."""
    (tmp_path / "conf").write_text(text)
    tree = {at: File(at, "file", host=str(tmp_path / "conf"))} if at else {}
    return bool(hints.applicable([hint], tree, Start(tuple(command.split()), {env: "1"} if env else {})))


SHIPPED = {hint.name: hint for hint in hints.load(Path(__file__).parents[3] / "recipes")}
NGINX, REDIS = "/etc/nginx/nginx.conf", "/etc/redis/redis.conf"
ON = {  # what switches on what a hint takes out, each alone
    "nginx-without-passwords": (NGINX, ["auth_basic off;", "location / { auth_basic 'x'; }"]),
    "nginx-without-threads": (NGINX, ["aio threads;", "thread_pool two threads=2;"]),
    "nginx-without-transparent-proxying": (NGINX, ["proxy_bind $remote_addr transparent;"]),
    "nginx-without-priorities": (NGINX, ["worker_priority -5;"]),
    "nginx-without-a-working-folder": (NGINX, ["working_directory /srv;"]),
    "nginx-without-read-ahead": (NGINX, ["read_ahead 64k;"]),
    "nginx-without-geo": (NGINX, ["geo $x {", "  geo $y { ranges; }"]),
    "nginx-without-the-real-root": (NGINX, ["root $realpath_root;", "ssi on;"]),
    "redis-without-systemd": (REDIS, ["supervised systemd", 'SUPERVISED "auto"', "--supervised auto"]),
    "redis-in-the-foreground": (REDIS, ["daemonize yes", "daemonize 'yes'", "--daemonize yes"]),
    "redis-without-a-cluster": (REDIS, ["cluster-enabled yes", "--cluster-enabled yes"]),
    "redis-without-nodes": (REDIS, ["cluster-enabled yes"]),
    "redis-is-no-sentinel": ("", ["--sentinel", "/bin/redis-sentinel"]),
    "redis-without-debug": (REDIS, ["enable-debug-command local", "--enable-debug-command yes"]),
    "redis-without-chosen-processors": (REDIS, ["server_cpulist 0", "bio_cpulist 0"]),
    "memcached-in-the-foreground": ("", ["-d", "-vd", "--daemon", "--da"]),
    "memcached-without-locked-memory": ("", ["-k", "-vk", "--lock-memory", "--lock"]),
    "memcached-without-a-pid-file": ("", ["-P /x", "--pidfile=/x", "--pid /x"]),
    "memcached-renames-nothing": ("", ["-P /x", "--pidfile=/x"]),
    "memcached-without-a-file-of-memory": ("", ["-e /x", "--memory-file=/x", "-o ext_path=/x:1G"]),
    "memcached-without-external-storage": ("", ["-o ext_path=/x:1G"]),
    "memcached-locks-no-external-storage": ("", ["-o ext_path=/x:1G"]),
    "memcached-without-a-unix-socket": ("", ["-s /x", "--unix-socket=/x", "-e /x"]),
    "memcached-removes-nothing": ("", ["-s /x", "-P /x", "-e /x", "--pid=/x"]),
    "memcached-without-udp": ("", ["-U 1", "--udp-port=1", "--udp=1"]),
    "memcached-without-sasl": ("", ["-S", "--enable-sasl", "-vS"]),
}


def test_every_hint_on_configuration_is_tried() -> None:
    assert {name for name, hint in SHIPPED.items() if hint.lacks} == ON.keys()


@pytest.mark.parametrize("name", sorted(ON))
def test_what_switches_it_on_ends_a_hint(tmp_path: Path, name: str) -> None:
    place, lines = ON[name]
    assert applies(tmp_path, SHIPPED[name], "# comment\nuser nobody;\n", place, "/bin/x -p 1")
    for line in lines:
        if place and not line.startswith("--"):
            assert not applies(tmp_path, SHIPPED[name], f"user nobody;\n{line}\n", place), line
            assert applies(tmp_path, SHIPPED[name], f"# {line}\n", place), line
        else:
            assert not applies(tmp_path, SHIPPED[name], "", place, f"/bin/x {line}"), line


def test_files_that_arguments_and_other_files_name_count(tmp_path: Path) -> None:
    given = Hint("c", "app", "…", functions=("x",), lacks=Lines(("/etc/a/*",), r"\bthreads\s+on"))
    assert not applies(tmp_path, given, "threads on\n", "/srv/own", "/bin/x -c /srv/own")
    assert applies(tmp_path, given, "threads on\n", "/srv/own", "/bin/x")
    (tmp_path / "first").write_text("include /srv/*.inc;\n")
    (tmp_path / "second").write_text("threads on;\n")
    tree = {p: File(p, "file", host=str(tmp_path / h)) for p, h in (("/etc/a/b", "first"), ("/srv/x.inc", "second"))}
    assert not hints.applicable([given], tree, Start(("/bin/x",)))


def test_a_hint_that_asks_for_a_line_looks_where_the_program_is_told_to(tmp_path: Path) -> None:
    given = SHIPPED["nginx-in-the-foreground"]
    assert applies(tmp_path, given, "user x; daemon off;\n", "/srv/own.conf", "/bin/nginx -c /srv/own.conf")
    assert applies(tmp_path, given, "daemon off;\n", NGINX, "/bin/nginx")
    assert applies(tmp_path, given, "", NGINX, "/bin/nginx -g daemon off;")
    assert not applies(tmp_path, given, "daemon off;\n", "/srv/other.conf", "/bin/nginx")
    assert not applies(tmp_path, given, "# daemon off;\ndaemon on;\n", NGINX, "/bin/nginx")


def test_a_variable_of_the_image_s_environment_ends_a_hint(tmp_path: Path) -> None:
    assert applies(tmp_path, SHIPPED["loader-without-profiling"], env="LANG")
    assert not applies(tmp_path, SHIPPED["loader-without-profiling"], env="LD_PROFILE")


def test_a_trace_contradicts_a_wrong_hint(build: Build, store: Store) -> None:
    files = with_machine({"/bin/app": build("hinted.c", "-O1", "-rdynamic")})
    found = closure.resolve(files, ("/bin/app",))
    result = needs.analyse(files, found, store, hints=(CUT,))
    calls = [TracedCall("sync", Spot("/lib/x86_64-linux-gnu/libc.so.6", 1))]
    with pytest.raises(AnalysisError, match=r"shows 1 needs the analysis lacks; syscall:sync"):
        witness.check(
            "app", calls, frozenset(n.id for n in result.needs), lambda: needs.reached(files, found, (CUT,), store)
        )


def test_a_wrong_key_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "hints").mkdir()
    (tmp_path / "hints" / "a.toml").write_text('[[hint]]\nname = "a"\nfile = "b"\nreason = "c"\nfunction = "d"\n')
    with pytest.raises(DefinitionError, match=r"a\.toml.*function"):
        hints.load(tmp_path)
