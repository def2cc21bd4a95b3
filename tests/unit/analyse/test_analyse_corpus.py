"""Small programs of this machine, each really run and traced: no call they make is missed by the analysis."""

from pathlib import Path

import pytest

from builder.edges.store import Store
from builder.traced import Spot, Trace, TracedCall
from tests.truth import judge, machine, recorded, small, symbols
from tests.unit.analyse.programs import Build, with_machine

QUICK = ("cat", "sort", "timeout", "dash")  # a thread, a child, a shell: the others take a minute
LEAST = 60
FEWEST = 12  # calls of a program that really started: the loader alone makes as many
LIBC, LOADER = "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"


@pytest.mark.parametrize(
    "program",
    [pytest.param(p, id=p.name, marks=[] if p.name in QUICK else [pytest.mark.slow]) for p in small.programs()],
)
def test_no_call_of_a_small_program_is_missed(program: small.Small, store: Store, tmp_path: Path) -> None:
    truth = judge.small_truth(program, tmp_path)
    found = judge.judged(truth, store)
    assert judge.judged(truth, store, hinted=True).misses == ()
    assert found.misses == ()
    assert [need for need in found.feature_misses if not need.startswith("path:")] == []
    assert len(found.traced) > FEWEST


def test_enough_programs_are_tried() -> None:
    assert len(small.programs()) >= LEAST


def traced(build: Build, tmp_path: Path, source: str, *flags: str) -> Trace:
    """What a compiled program was seen to do."""
    program = build(source, *flags)
    return machine.traced_run([str(program)], "app", str(program), tmp_path)[0]


def test_a_traced_call_says_where_it_was_made_and_from_where(build: Build, tmp_path: Path) -> None:
    trace = traced(build, tmp_path, "families.c", "-O1")
    calls = [call for call in trace.calls if call.name == "socket"]
    assert {call.arguments[0] for call in calls} == {17}  # AF_PACKET
    call, real = calls[0], str(Path(LIBC).resolve())
    assert (call.site.file, call.command) == (real, "families")
    assert symbols.function_at(Path(real), call.site.address).partition("+")[0] == "socket"
    program = Path(call.program)
    named = {symbols.function_at(program, s.address).partition("+")[0] for s in call.callers if s.file == str(program)}
    assert "main" in named
    assert {str(program), real, str(Path(LOADER).resolve())} == set(trace.files)


def test_a_library_s_exported_constructor_runs(build: Build, store: Store, tmp_path: Path) -> None:
    """As libcap's, whose first work is to ask for the bounding set."""
    library = build("constructor.c", "-shared", "-fPIC", "-Wl,-soname,libconstructor.so")
    program = build("handler.c", "-O1", "-Wl,--no-as-needed", str(library), f"-Wl,-rpath,{library.parent}")
    (library.parent / "libconstructor.so").hardlink_to(library)
    assert "prctl" in machine.traced_run([str(program)], "app", str(program), tmp_path)[0].syscalls()
    files = with_machine({"/bin/app": program, "/lib/libconstructor.so": library})
    assert "prctl" in judge.analysed(judge.Case("app", "/bin/app", files), store).syscalls()


def test_calls_of_other_programs_are_not_counted(tmp_path: Path) -> None:
    """`timeout` waits for another program, and only that one reads a file."""
    (tmp_path / "words").write_text("a\n")
    real = str(Path("/usr/bin/timeout").resolve())
    alone, code = machine.traced_run(["/usr/bin/timeout", "5", "cat", "words"], "timeout", real, tmp_path)
    assert code == 0
    assert {call.program for call in alone.calls} == {real}
    assert {"wait4", "execve"} <= set(alone.syscalls())
    assert "fadvise64" not in alone.syscalls()  # how cat reads


def test_a_trace_is_kept_as_it_is(tmp_path: Path) -> None:
    call = TracedCall("socket", Spot("/lib/c.so", 0x10), {0: 2, 1: 1}, "", (Spot("/bin/a", 5),), 3, "a", "/bin/a")
    other = TracedCall("openat", Spot("", 0), {}, "/proc/self/maps", (), 1, "a", "/bin/a")
    trace = Trace("a", {"/bin/a": "00", "/lib/c.so": "11"}, (call, other))
    recorded.save(trace, tmp_path / "a.json")
    assert recorded.load(tmp_path / "a.json") == trace
