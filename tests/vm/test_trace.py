"""`./invoke trace` records what a program does: which calls, from where, with what; all of it or nothing."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from builder import paths
from builder.application import missing_libraries, whole_tree
from builder.edges.store import Store
from builder.inputs import definition_file, gather, lockfile
from builder.model import Tree
from builder.trace import document
from builder.traced import Spot, Trace, TracedCall
from tests.conftest import Checkout, make_checkout

pytestmark = [pytest.mark.timeout(2700), pytest.mark.vm, pytest.mark.slow]

SOURCES = Path(__file__).parents[1] / "c" / "trace"
DEFINITION = """
profile = "common"
[source]
kind = "build"

[run]
command = ["/usr/bin/{program}"]
restart = "never"

[files]
include = ["/usr/bin/second"]
plugins = ["/usr/lib/plugin.so"]

[[smoke.check]]
kind = "exit"
code = {code}
"""
PROGRAM, PLUGIN, LIBRARY = "/usr/bin/traced", "/usr/lib/plugin.so", "libc.so.6"
CALL_BYTES = 5  # e8 and a 32-bit distance


@dataclass(frozen=True)
class Seen:
    """A trace, and the files it speaks of."""

    trace: Trace
    tree: Tree

    def calls(self, name: str) -> list[TracedCall]:
        return [call for call in self.trace.calls if call.name == name]

    def content(self, path: str) -> Path:
        entry = paths.find(self.tree, path)
        assert entry is not None
        return Path(entry.host)

    def function(self, path: str, name: str) -> range:
        """The addresses of a function, by the file's own symbols."""
        with self.content(path).open("rb") as stream:
            tables = [s for s in ELFFile(stream).iter_sections() if isinstance(s, SymbolTableSection)]
            for symbol in (s for table in tables for s in table.get_symbol_by_name(name) or ()):
                return range(symbol["st_value"], symbol["st_value"] + max(symbol["st_size"], 1))
        raise AssertionError(f"{path} has no {name}")

    def bytes_at(self, spot: Spot, size: int, before: int = 0) -> bytes:
        """The bytes of a file at an address."""
        with self.content(spot.file).open("rb") as stream:
            elf = ELFFile(stream)
            offset = next(iter(elf.address_offsets(spot.address - before, size)))
            stream.seek(offset)
            return stream.read(size)

    def returns(self, call: TracedCall, path: str, function: str) -> list[Spot]:
        """The places on the stack of a call that lie in a function."""
        return [s for s in call.callers if s.file == path and s.address in self.function(path, function)]


def define(checkout: Checkout, name: str, program: str, code: int = 0) -> Path:
    folder = checkout.define(name, DEFINITION.format(program=program, code=code))
    shutil.copytree(SOURCES, folder / "src")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return make_checkout(tmp_path_factory.mktemp("trace"))


@pytest.fixture(scope="module")
def seen(place: Checkout) -> Seen:
    folder = define(place, "traced", "traced")
    outcome = place.run("trace", "--app", "traced", timeout_s=2400)  # a large kernel, on a slow machine
    assert outcome.exit_code == 0, outcome.stderr
    assert "images/traced/trace.json" in outcome.stdout
    assert "./invoke analyse --app traced --with-trace" in outcome.stdout
    trace = document.read(folder)
    assert trace is not None
    definition = definition_file.load(folder.parent, "traced")
    lock = lockfile.read_lock(folder / "image.lock")
    found = gather.gather(definition, folder, lock, Store(), missing_libraries(definition))
    return Seen(trace, whole_tree(found.available, found.overlay))


def test_an_instruction_is_found_at_its_own_address_and_its_calls_are_counted(seen: Seen) -> None:
    [call] = seen.calls("getppid")
    assert call.site == Spot(PROGRAM, seen.function(PROGRAM, "known_site").start)
    assert call.count == 3
    assert call.command == "traced"
    assert call.program == PROGRAM


def test_every_site_is_a_system_call_instruction(seen: Seen) -> None:
    sites = {call.site for call in seen.trace.calls if call.site.file}
    assert len(sites) > 20
    assert {site: seen.bytes_at(site, 2) for site in sites} == dict.fromkeys(sites, b"\x0f\x05")


def test_the_stack_leads_from_the_library_through_the_function_to_main(seen: Seen) -> None:
    call = seen.calls("socket")[0]
    assert call.site.file.endswith(LIBRARY)
    assert call.site.address in seen.function(call.site.file, "socket")
    inner, outer = (seen.returns(call, PROGRAM, name) for name in ("ask_for_sockets", "main"))
    assert call.callers.index(inner[0]) < call.callers.index(outer[0])
    code = seen.bytes_at(outer[0], CALL_BYTES, before=CALL_BYTES)
    target = outer[0].address + int.from_bytes(code[1:], "little", signed=True)
    assert (code[:1], target) == (b"\xe8", seen.function(PROGRAM, "ask_for_sockets").start)


def test_what_else_leads_to_a_known_call_is_told_as_reached(seen: Seen) -> None:
    [call] = [call for call in seen.calls("getuid") if call.site.file == PROGRAM]
    assert seen.returns(call, PROGRAM, "first_way")
    assert not seen.returns(call, PROGRAM, "second_way")
    second = seen.function(PROGRAM, "second_way")
    assert [spot for spot in seen.trace.reached if spot.file == PROGRAM and spot.address in second]


def test_the_arguments_that_matter_tell_calls_apart(seen: Seen) -> None:
    assert [call.arguments for call in seen.calls("socket")] == [{0: 1, 1: 1, 2: 0}, {0: 1, 1: 2, 2: 0}]
    assert {1: 0x5413} in [call.arguments for call in seen.calls("ioctl")]  # TIOCGWINSZ
    assert seen.calls("getppid")[0].arguments == {}
    thread = 0x10000 | 0x100 | 0x200 | 0x400 | 0x800  # CLONE_THREAD, _VM, _FS, _FILES, _SIGHAND
    flags = [call.arguments[0] for name in ("clone", "clone3") for call in seen.calls(name)]
    assert any(value & thread == thread for value in flags)


def test_paths_of_the_kernels_own_file_systems_are_told(seen: Seen) -> None:
    [call] = [call for call in seen.calls("openat") if call.text]
    assert call.text == "/proc/self/status"
    assert seen.returns(call, PROGRAM, "read_own_status")


def test_opened_files_are_named_as_they_lie_in_the_machine(seen: Seen) -> None:
    assert "/tmp/notes" in seen.trace.opened
    assert PLUGIN in seen.trace.opened
    assert any(path.startswith("/proc/") and path.endswith("/status") for path in seen.trace.opened)
    assert list(seen.trace.opened) == sorted(seen.trace.opened)


def test_a_library_that_the_program_opens_is_recorded_with_what_it_does(seen: Seen) -> None:
    [call] = seen.calls("prctl")
    assert call.arguments == {0: 3}  # PR_GET_DUMPABLE
    assert seen.returns(call, PLUGIN, "plugin_function")
    assert seen.returns(call, PROGRAM, "load_plugin")


def test_another_program_is_told_apart(seen: Seen) -> None:
    assert [call.text for call in seen.calls("execve")] == ["/usr/bin/second"]
    [call] = seen.calls("getpgid")
    assert (call.program, call.command) == ("/usr/bin/second", "second")


def test_all_that_was_mapped_executable_is_there_with_its_digest(seen: Seen) -> None:
    assert {PROGRAM, PLUGIN, "/usr/bin/second"} <= seen.trace.files.keys()
    assert any(path.endswith("/ld-linux-x86-64.so.2") for path in seen.trace.files)
    for path, digest in seen.trace.files.items():
        entry = paths.find(seen.tree, path)
        assert entry is not None
        assert entry.sha256 == digest


def test_nothing_of_the_agent_is_in_it(seen: Seen) -> None:
    assert {call.program for call in seen.trace.calls} == {PROGRAM, "/usr/bin/second"}
    assert not {"/init", "/etc/kiln/agent.conf"} & {*seen.trace.files, *seen.trace.opened}


def test_what_finds_no_room_in_the_kernel_fails_the_trace(place: Checkout) -> None:
    folder = define(place, "flood", "flood")
    outcome = place.run("trace", "--app", "flood")
    assert outcome.exit_code == 9
    assert "found no room" in outcome.stderr
    assert not (folder / "trace.json").exists()


def test_a_workload_that_fails_leaves_the_trace_that_is_there(place: Checkout) -> None:
    folder = define(place, "fails", "traced", code=3)
    (folder / "trace.json").write_text("what was recorded before")
    outcome = place.run("trace", "--app", "fails")
    assert outcome.exit_code == 9
    assert "exit code 3" in outcome.stderr
    assert (folder / "trace.json").read_text() == "what was recorded before"
