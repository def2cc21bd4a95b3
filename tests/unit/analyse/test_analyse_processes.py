"""Processes beside the application in the analysis: their programs are roots of the closure, their needs its own."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder import application
from builder.assemble import layers, users
from builder.definition import BuildSource, Definition, Process, Run
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.model import Tree
from builder.protection import policy
from tests.unit.analyse.programs import tree

ONE = "int main(void) { return sched_yield(); }"
OTHER = 'int main(void) { return getpagesize() + execl("/bin/none", "none", (char *)0) + sync_file_range(0, 0, 0, 0); }'


def compiled(folder: Path, name: str, text: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(f"#define _GNU_SOURCE\n#include <fcntl.h>\n#include <sched.h>\n#include <unistd.h>\n{text}\n")
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", str(folder / name), str(source)], check=True)
    return folder / name


@pytest.fixture
def two(tmp_path: Path) -> Tree:
    return tree({f"/bin/{name}": compiled(tmp_path, name, text) for name, text in (("one", ONE), ("other", OTHER))})


def image(*processes: Process) -> Definition:
    return Definition(BuildSource(), Run(("/bin/one",)), process=processes, name="pair")


def test_needs_are_those_of_all_programs_and_say_whose_they_are(two: Tree, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    alone = application.analyse(two, image(), (), store)
    both = application.analyse(two, image(Process("other", ("/bin/other",))), (), store)
    assert [file.path for file in both.closure] == ["/bin/one", "/bin/other"]
    added = set(both.syscalls()) - set(alone.syscalls())
    assert {"sync_file_range", "execve"} <= added
    files = {need.id: {evidence.file for evidence in need.evidence} for need in both.needs}
    assert files["syscall:sync_file_range"] == {"/bin/other"}
    assert files["syscall:sched_yield"] == {"/bin/one"}


def test_the_guard_holds_all_to_what_they_may_do_together(two: Tree, tmp_path: Path) -> None:
    def lines(definition: Definition) -> tuple[str, ...]:
        needs = application.analyse(two, definition, (), Store(tmp_path / "store"))
        return policy(definition, needs, application.programs_of(two, definition)[0])

    assert not [line for line in lines(image()) if line.startswith("program")]
    both = lines(image(Process("other", ("/bin/other",))))
    assert [line for line in both if line.startswith("program")] == ["program /bin/one", "program /bin/other"]


def test_a_program_that_is_not_there_is_named_with_its_key(two: Tree) -> None:
    wrong = image(Process("other", ("/bin/other",)), Process("gone", ("/bin/gone",)))
    with pytest.raises(DefinitionError, match=r"image.toml: process\[1\].command: /bin/gone is not among"):
        application.closure(two, wrong)


def libraries(folder: Path) -> Mapping[str, Path]:
    """A program of which the library is only found with its own environment."""
    source, library, program = folder / "own.c", folder / "libown.so", folder / "dynamic"
    source.write_text("int own(void) { return 1; }\n")
    subprocess.run(["gcc", "-shared", "-nostdlib", "-o", str(library), str(source)], check=True)
    source.write_text("int own(void);\nvoid _start(void) { own(); for (;;); }\n")
    flags = ["-nostdlib", "-L", str(folder), "-Wl,--dynamic-linker=/lib/ld.so", "-lown"]
    subprocess.run(["gcc", "-o", str(program), str(source), *flags], check=True)
    return {"/bin/dynamic": program, "/opt/own/libown.so": library, "/lib/ld.so": library}


def test_each_is_loaded_with_its_own_environment(two: Tree, tmp_path: Path) -> None:
    whole = {**two, **tree(libraries(tmp_path))}
    beside = Process("dynamic", ("/bin/dynamic",), environment={"LD_LIBRARY_PATH": "/opt/own"})
    assert "/opt/own/libown.so" in {file.path for file in application.closure(whole, image(beside))}
    assert application.missing_libraries(image(beside))(whole) == ()
    without = image(Process("dynamic", ("/bin/dynamic",)))
    assert application.missing_libraries(without)(whole) == ("libown.so",)


def test_their_users_are_made_and_their_directories_must_be_there(two: Tree, tmp_path: Path) -> None:
    definition = image(Process("other", ("/bin/other",), user="worker", directory="/srv"))
    assert users.of(definition).uids["worker"] == 1001
    closure, store = application.closure(two, definition), Store(tmp_path / "store")
    with pytest.raises(DefinitionError, match=r"process\[0\].directory: /srv is not in the image"):
        layers.layers(definition, two, {}, closure, {}, store)
