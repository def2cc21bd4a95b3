"""Hints take out what is reachable and never runs, only where their conditions hold, and never against a trace."""

from pathlib import Path

import pytest

from builder.analyse import closure, hints, needs, witness
from builder.analyse.hints import Hint, Lacks
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
    assert (found.hinted, found.hints) == (("syscall:sync",), ("never",))


def test_a_definition_s_hint_names_symbol_and_file(build: Build, store: Store) -> None:
    entry = HintEntry("never_runs@app", "argc is never above 5")
    assert analysed(build, store, hints.of_entry(entry)).hinted == ("syscall:sync",)


def test_a_hint_does_not_hold_where_a_function_it_excludes_is_reached(build: Build, store: Store) -> None:
    given = Hint("never", "app", "…", functions=("never_runs",), unless=("getppid",))
    assert analysed(build, store, given).hinted == ()


def test_needs_narrow_a_hint(build: Build, store: Store) -> None:
    narrow = Hint("narrow", "libc.so.6", "…", functions=("sync",), needs=("syscall:sync",))
    assert analysed(build, store, narrow).hinted == ("syscall:sync",)


def test_a_condition_on_configuration_looks_at_lines_that_are_no_comments(tmp_path: Path) -> None:
    def applies(text: str) -> bool:
        (tmp_path / "conf").write_text(text)
        tree = {"/etc/a.conf": File("/etc/a.conf", "file", host=str(tmp_path / "conf"))}
        given = Hint("c", "app", "…", functions=("x",), lacks=Lacks(("/etc/*.conf",), r"^\s*threads\s+on"))
        return bool(hints.applicable([given], tree))

    assert applies("# threads on\nthreads off\n")
    assert not applies("  threads on\n")


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
