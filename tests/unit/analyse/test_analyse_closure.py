"""The closure: which files the loader would map, by its own rules."""

from pathlib import Path

import pytest

from builder.analyse import closure
from builder.errors import AnalysisError
from builder.model import ClosureFile
from tests.unit.analyse.programs import SOURCES, Build, tree, with_machine

LIBS = "/usr/lib/x86_64-linux-gnu"


@pytest.fixture(scope="session")
def library(build: Build) -> Path:
    return build("plugin.c", "-shared", "-fPIC", "-Wl,-soname,libplugin.so.1")


def linked(build: Build, library: Path, *flags: str) -> Path:
    """A program that needs libplugin.so.1."""
    return build("pointers.c", "-Wl,--no-as-needed", str(library), *flags)


def paths_of(found: tuple[ClosureFile, ...]) -> list[str]:
    return [f.path for f in found]


def test_a_dynamic_program_brings_its_interpreter_and_libraries(build: Build) -> None:
    found = closure.resolve(with_machine({"/bin/app": build("pointers.c", "-O1")}), ("/bin/app",))
    assert [(f.path, f.why, f.needed_by) for f in found] == [
        ("/bin/app", "program", ""),
        ("/lib64/ld-linux-x86-64.so.2", "interpreter", "/bin/app"),
        ("/lib/x86_64-linux-gnu/libc.so.6", "needed", "/bin/app"),
    ]
    assert found[2].soname == "libc.so.6"


def test_a_static_program_is_alone(build: Build) -> None:
    static = build("pointers.c", "-static", compiler="musl-gcc")
    assert paths_of(closure.resolve(tree({"/init": static}), ["/init"])) == ["/init"]


def test_a_symbolic_link_stays_in_the_path_that_is_opened(build: Build, library: Path) -> None:
    files = with_machine(
        {"/bin/app": linked(build, library), f"{LIBS}/libplugin.so.1.2": library},
        {f"{LIBS}/libplugin.so.1": "libplugin.so.1.2"},
    )
    assert f"{LIBS}/libplugin.so.1" in paths_of(closure.resolve(files, ("/bin/app",)))


def test_a_missing_library_is_named_with_who_needs_it(build: Build, library: Path) -> None:
    files = with_machine({"/bin/app": linked(build, library)})
    with pytest.raises(AnalysisError, match=r"libplugin\.so\.1: shared library not found, needed by /bin/app") as error:
        closure.resolve(files, ("/bin/app",))
    assert "source.packages" in error.value.hint
    assert closure.missing(files, ("/bin/app",)) == ("libplugin.so.1",)
    assert closure.missing(tree({"/bin/app": build("pointers.c", "-static")}), ("/bin/app", "/bin/none")) == ()


def test_a_library_of_another_architecture_is_passed_over(build: Build, library: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.so"
    data = bytearray(library.read_bytes())
    data[4], data[18] = 1, 3
    foreign.write_bytes(data)
    files = {"/bin/app": linked(build, library), "/lib/x86_64-linux-gnu/libplugin.so.1": foreign}
    with pytest.raises(AnalysisError, match="is of another architecture"):
        closure.resolve(with_machine(files), ("/bin/app",))
    files["/usr/lib/libplugin.so.1"] = library
    assert "/usr/lib/libplugin.so.1" in paths_of(closure.resolve(with_machine(files), ("/bin/app",)))


@pytest.mark.parametrize("tag", ["--enable-new-dtags", "--disable-new-dtags"])
def test_runpath_and_rpath_come_before_the_default_folders(build: Build, library: Path, tag: str) -> None:
    app = linked(build, library, f"-Wl,{tag},-rpath,/opt/none:/opt/lib")
    files = with_machine({"/bin/app": app, "/opt/lib/libplugin.so.1": library, "/lib/libplugin.so.1": library})
    assert "/opt/lib/libplugin.so.1" in paths_of(closure.resolve(files, ("/bin/app",)))


@pytest.mark.parametrize("text", ["$ORIGIN/../$LIB", "${ORIGIN}/../${LIB}"])
def test_origin_and_lib_are_expanded(build: Build, library: Path, text: str) -> None:
    app = linked(build, library, f"-Wl,-rpath,{text}")
    place = "/opt/app/lib/x86_64-linux-gnu/libplugin.so.1"
    files = with_machine({"/opt/app/bin/app": app, place: library})
    assert place in paths_of(closure.resolve(files, ("/opt/app/bin/app",)))


@pytest.mark.parametrize(("tag", "inherited"), [("--disable-new-dtags", True), ("--enable-new-dtags", False)])
def test_rpath_is_inherited_and_runpath_is_not(build: Build, library: Path, tag: str, inherited: bool) -> None:
    between = build("names.c", "-shared", "-fPIC", "-Wl,-soname,libbetween.so", "-Wl,--no-as-needed", str(library))
    app = build("pointers.c", "-Wl,--no-as-needed", str(between), "-Wl,--unresolved-symbols=ignore-all",
                f"-Wl,{tag},-rpath,/opt/lib")  # fmt: skip
    files = with_machine({"/bin/app": app, "/opt/lib/libbetween.so": between, "/opt/lib/libplugin.so.1": library})
    lacking = () if inherited else ("libplugin.so.1",)
    assert closure.missing(files, ("/bin/app",)) == lacking


def test_libraries_that_need_each_other_end(build: Build, library: Path, tmp_path: Path) -> None:
    one = build("plugin.c", "-shared", "-fPIC", "-Wl,-soname,libone.so")
    two = build("plugin.c", "-shared", "-fPIC", "-Wl,-soname,libtwo.so", "-Wl,--no-as-needed", str(one))
    again = build("plugin.c", "-shared", "-fPIC", "-Wl,-soname,libone.so", "-Wl,--no-as-needed", str(two))
    app = build("pointers.c", "-Wl,--no-as-needed", str(two), "-Wl,--unresolved-symbols=ignore-all")
    files = with_machine({"/bin/app": app, "/lib/libone.so": again, "/lib/libtwo.so": two})
    assert len(closure.resolve(files, ("/bin/app",))) == 5


def test_plugins_are_found_by_glob_and_bring_what_they_need(build: Build, library: Path) -> None:
    plugin = build("plugin.c", "-shared", "-fPIC", "-Wl,--no-as-needed", str(library))
    files = with_machine({"/bin/app": build("pointers.c", "-O1"), "/opt/mods/a/m.so": plugin,
                          "/lib/libplugin.so.1": library})  # fmt: skip
    found = closure.resolve(files, ("/bin/app",), ("/opt/**/*.so",))
    assert [(f.path, f.why) for f in found[3:]] == [("/opt/mods/a/m.so", "plugin"), ("/lib/libplugin.so.1", "needed")]
    with pytest.raises(AnalysisError, match="no such plugin"):
        closure.resolve(files, ("/bin/app",), ("/opt/*.so",))


def test_a_script_stands_for_its_interpreter(build: Build) -> None:
    files = with_machine({"/bin/app": SOURCES / "script.txt", "/bin/run": build("pointers.c", "-O1")})
    found = closure.resolve(files, ("/bin/app",))
    assert (found[0].path, found[0].needed_by) == ("/bin/run", "/bin/app")


def test_a_program_that_is_not_there_is_an_error_with_a_near_name(build: Build) -> None:
    with pytest.raises(AnalysisError, match="/bin/app: no such file") as error:
        closure.resolve(with_machine({"/usr/bin/app": build("pointers.c", "-O1")}), ("/bin/app",))
    assert error.value.hint == "did you mean /usr/bin/app?"


def test_programs_and_objects_are_told_apart(build: Build, library: Path) -> None:
    files = with_machine({"/a": build("pointers.c", "-O1"), "/b": build("pointers.c", "-static"),
                          "/c": build("pointers.c", "-static-pie"), "/d": library,
                          "/e": SOURCES / "plugin.c"})  # fmt: skip
    assert closure.split_elf(files, ("/a", "/b", "/c", "/d", "/e", "/f")) == (("/a", "/b", "/c"), ("/d",))
