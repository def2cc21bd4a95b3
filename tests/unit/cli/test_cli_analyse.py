"""`invoke analyse` and `invoke explain` as a user runs them: any file, an image, a trace; and what they refuse."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.analysis_documents import HOW, Analysis, Difference, Explained
from builder.traced import Spot, Trace, TracedCall
from tests.conftest import Checkout, Outcome
from tests.unit.analyse.programs import MACHINE

PROGRAM = "#include <unistd.h>\nint main(void) { sync(); return 0; }\n"
LIBRARY = "#include <unistd.h>\nint shared(void) { sync(); return 0; }\n"


def compiled(folder: Path, text: str, *flags: str) -> Path:
    source, program = folder / "made.c", folder / "made"
    source.write_text(text)
    subprocess.run(["gcc", "-o", str(program), str(source), *flags], check=True, timeout=60)
    return program


def analysed(checkout: Checkout, *arguments: str) -> Analysis:
    outcome = checkout.run("analyse", *arguments, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return msgspec.json.decode(outcome.stdout, type=Analysis)


def refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.exit_code == code, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert len([line for line in outcome.stderr.splitlines() if line.startswith("error: ")]) == 1
    for word in words:
        assert word in outcome.stderr


# ---- any file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("-s",), ("-static-pie", "-fPIE"), ("-static",)])
def test_a_program_is_analysed_without_a_definition(checkout: Checkout, tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = compiled(tmp_path, PROGRAM, *flags)
    found = analysed(checkout, "--file", str(program))
    sync = next(call for call in found.syscalls if call.name == "sync")
    assert (found.file, found.machine, sync.number) == (str(program), "x86_64", 162)
    assert (found.closure[0].path, found.closure[0].why) == (str(program), "program")
    assert all(len(file.sha256) == 64 for file in found.closure)
    assert ("libc.so.6" in [file.soname for file in found.closure]) == (
        "-static" not in flags and "-static-pie" not in flags
    )


def test_evidence_says_how_where_by_which_chain_and_in_which_build(checkout: Checkout, tmp_path: Path) -> None:
    found = analysed(checkout, "--file", str(compiled(tmp_path, PROGRAM, "-Wl,--build-id=0xab12")))
    proof = next(call for call in found.syscalls if call.name == "sync").evidence[0]
    assert proof.how == "constant at the instruction"
    assert proof.function == "sync"
    assert proof.chain[-1] == f"sync@{proof.file}"
    assert any(name.startswith("main@") for name in proof.chain)
    assert found.closure[0].build_id == "ab12"
    assert {p.how for call in found.syscalls for p in call.evidence} <= set(HOW)
    assert {p.how for feature in found.features for p in feature.evidence} <= set(HOW)


def test_every_export_of_a_shared_library_counts(checkout: Checkout, tmp_path: Path) -> None:
    found = analysed(checkout, "--file", str(compiled(tmp_path, LIBRARY, "-shared", "-fPIC")))
    assert "sync" in [call.name for call in found.syscalls]
    assert found.closure[0].why == "plugin"
    assert "libc.so.6" in [file.soname for file in found.closure]


def test_a_script_is_what_its_interpreter_is(checkout: Checkout, tmp_path: Path) -> None:
    program = compiled(tmp_path, PROGRAM)
    script = tmp_path / "script"
    script.write_text(f"#!{program}\n")
    found = analysed(checkout, "--file", str(script))
    assert (found.closure[0].path, found.closure[0].needed_by) == (str(program), str(script))


def test_an_unpacked_tree_has_its_own_libraries(checkout: Checkout, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path in MACHINE:
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(path).resolve(), root / path[1:])
    (root / "bin").mkdir()
    library = compiled(tmp_path, LIBRARY, "-shared", "-fPIC", "-Wl,-soname,libshared.so")
    library.rename(root / "lib" / "libshared.so")
    program = compiled(tmp_path, "int shared(void); int main(void) { shared(); }", str(root / "lib/libshared.so"))
    program.rename(root / "bin/made")
    refused(checkout.run("analyse", "--file", "/bin/absent", "--root", str(root)), 2, "no such file")
    refused(checkout.run("analyse", "--file", str(root / "bin/made")), 6, "libshared.so: shared library not found")
    by_host_path = analysed(checkout, "--file", str(root / "bin/made"), "--root", str(root))
    assert [file.path for file in by_host_path.closure][:1] == ["/bin/made"]
    assert "/lib/libshared.so" in [file.path for file in by_host_path.closure]
    assert "sync" in [call.name for call in by_host_path.syscalls]
    assert analysed(checkout, "--file", "/bin/made", "--root", str(root)).syscalls == by_host_path.syscalls


def test_the_page_fits_a_hundred_columns(checkout: Checkout, tmp_path: Path) -> None:
    program = str(compiled(tmp_path, PROGRAM))
    for arguments in ((), ("--verbose",), ("--alone",), ("--syscall", "sync")):
        outcome = checkout.run("analyse", "--file", program, *arguments)
        assert outcome.exit_code == 0, outcome.stderr
        assert [line for line in outcome.stdout.splitlines() if len(line) > 100] == []


def test_two_files_are_compared(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = compiled(tmp_path / "old", PROGRAM.replace("sync()", "getppid()"))
    new = compiled(tmp_path, PROGRAM)
    outcome = checkout.run("analyse", "--file", str(new), "--against", str(old), "--json")
    found = msgspec.json.decode(outcome.stdout, type=Difference)
    assert [(one.name, one.change) for one in found.syscalls] == [("getppid", "goes"), ("sync", "comes")]


# ---- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 2, "no such file"),
        (b"", 6, "neither an ELF file nor a script"),
        (b"hello", 6, "neither an ELF file nor a script"),
        (b"#!\n", 6, "names no interpreter"),
        (b"#!/no/such/shell\n", 6, "/no/such/shell: no such file"),
        (b"\x7fELF", 6, "truncated"),
        (b"\x7fELF" + bytes(60), 6, "wrong architecture"),
    ],
)
def test_a_file_that_cannot_be_analysed(
    checkout: Checkout, tmp_path: Path, content: bytes | None, code: int, words: str
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    refused(checkout.run("analyse", "--file", str(tmp_path / "file")), code, words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one of --app and --file"),
        (("--app", "hello", "--file", "/bin/sh"), "one of --app and --file"),
        (("--app", "ngnix"), "did you mean nginx?"),
        (("--file", "/etc"), "a folder"),
        (("--app", "hello", "--root", "/"), "--root goes with --file"),
        (("--file", "/bin/sh", "--root", "/absent"), "no such folder"),
        (("--file", "/bin/sh", "--with-trace"), "--with-trace goes with --app"),
        (("--app", "hello", "--syscall", "writ"), "near it: writ"),
        (("--app", "hello", "--against", "HEAD", "--alone"), "goes with none of"),
    ],
)
def test_wrong_usage(checkout: Checkout, arguments: tuple[str, ...], words: str) -> None:
    refused(checkout.run("analyse", *arguments), 2, words)


# ---- an image -------------------------------------------------------------------------------------------------


def record(checkout: Checkout, *calls: TracedCall) -> None:
    trace = Trace("hello", {}, calls)
    (checkout.root / "images/hello/trace.json").write_bytes(msgspec.json.encode(trace))


def test_an_image_is_analysed_without_a_kernel(checkout: Checkout) -> None:
    found = analysed(checkout, "--app", "hello")
    assert found.app == "hello"
    assert "writev" in [call.name for call in found.syscalls]
    assert {call.tier for call in found.syscalls} <= {"reachable", "unresolved"}
    assert found.closure[0].package == "build:hello"


def test_what_functions_of_an_image_bring_in_alone(checkout: Checkout) -> None:
    found = analysed(checkout, "--app", "hello", "--alone")
    assert isinstance(found.alone, tuple)
    assert all(saving.options or saving.syscalls or saving.features for saving in found.alone)


def test_with_a_trace_calls_that_were_seen_are_told_apart(checkout: Checkout) -> None:
    record(checkout, TracedCall("writev", Spot("/bin/hello", 0)), TracedCall("exit_group", Spot("/bin/hello", 0)))
    tiers = {call.name: call.tier for call in analysed(checkout, "--app", "hello", "--with-trace").syscalls}
    assert {name for name, tier in tiers.items() if tier == "traced"} == {"writev", "exit_group"}
    assert len(set(tiers.values())) > 1


def test_a_traced_call_that_was_not_expected_is_an_error_of_the_analysis(checkout: Checkout) -> None:
    record(checkout, TracedCall("writev", Spot("/bin/hello", 0)), TracedCall("reboot", Spot("", 0x10)))
    outcome = checkout.run("analyse", "--app", "hello", "--with-trace")
    refused(outcome, 6, "syscall:reboot", "not in the closure")


def test_without_a_trace_it_says_how_to_record_one(checkout: Checkout) -> None:
    (checkout.root / "images/hello/trace.json").unlink(missing_ok=True)
    outcome = checkout.run("analyse", "--app", "hello", "--with-trace")
    refused(outcome, 2, "there is no trace", "./invoke trace --app hello")


def test_a_broken_trace_is_named(checkout: Checkout) -> None:
    (checkout.root / "images/hello/trace.json").write_text("{")
    refused(checkout.run("analyse", "--app", "hello", "--with-trace"), 2, "images/hello/trace.json")


def explained(checkout: Checkout, *arguments: str) -> Any:
    outcome = checkout.run("explain", "--app", "hello", *arguments, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return msgspec.json.decode(outcome.stdout, type=Explained)


def test_a_call_is_explained_before_the_image_is_built(checkout: Checkout) -> None:
    found = explained(checkout, "--syscall", "writev")
    assert (found.need, found.kept) == ("writev", None)
    assert found.asked_by[0].evidence[0].package == "build:hello"
    assert "would be kept" in found.explanation[0]


def test_a_need_is_explained_by_its_id(checkout: Checkout) -> None:
    found = explained(checkout, "--need", "mount:proc")
    assert [one.evidence[0].how for one in found.asked_by] == ["declared"]


def test_what_nobody_asks_for_is_said_so(checkout: Checkout) -> None:
    found = explained(checkout, "--syscall", "writevv")
    assert found.asked_by == ()
    assert "there is writev" in found.explanation[0]
