"""Which functions differ between two versions of a library: by symbol, else by code, whatever a linker moved."""

from pathlib import Path

import pytest

from builder.analyse import elf
from builder.analyse.changed import FunctionChange, functions, prints
from builder.analyse.summary import summarise
from tests.unit.analyse.programs import Build


def compared(old: Path, new: Path) -> tuple[FunctionChange, ...]:
    sides = []
    for path in (old, new):
        data = path.read_bytes()
        summary = summarise(data, path.name)
        sides.append((summary, prints(elf.parse(data, path.name, ""), summary)))
    return functions(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


@pytest.fixture(scope="module")
def found(build: Build) -> tuple[FunctionChange, ...]:
    flags = ("-shared", "-fPIC", "-O2", "-fno-builtin")
    return compared(build("patched.c", *flags, strip=True), build("patched.c", *flags, "-DPATCHED", strip=True))


def test_changed_and_added_functions_are_named(found: tuple[FunctionChange, ...]) -> None:
    told = {(change.name, change.what) for change in found if not change.name.startswith("sub_")}
    assert {("changed", "changed"), ("added", "added")} <= told


def test_what_only_moved_is_the_same(found: tuple[FunctionChange, ...]) -> None:
    assert not {"same", "through"} & {change.name for change in found}


def test_another_callee_is_a_change_though_the_code_is_the_same(found: tuple[FunctionChange, ...]) -> None:
    assert ("calls", "changed") in {(change.name, change.what) for change in found}


def test_a_function_without_a_symbol_is_found_by_its_code(found: tuple[FunctionChange, ...]) -> None:
    unnamed = [change for change in found if change.name.startswith("sub_")]
    assert sorted(change.what for change in unnamed) == ["added", "removed"]
    assert {(change.old >= 0, change.new >= 0) for change in unnamed} == {(True, False), (False, True)}


def test_the_same_file_has_no_changes(build: Build) -> None:
    library = build("patched.c", "-shared", "-fPIC", "-O2", "-fno-builtin", strip=True)
    assert compared(library, library) == ()
