"""Two versions of a program or library: what comes, what goes, and which function is responsible."""

from pathlib import Path

import msgspec
import pytest

from builder import against, analysing
from builder.analysis_documents import Change, Difference
from builder.comparing import Side, difference
from builder.configure.recipes import Rule
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.pipeline import Place
from tests.conftest import REPOSITORY
from tests.unit.analyse.programs import Build

RULES = (Rule("INOTIFY_USER", "y", "r", "s", "f", ("syscall:inotify_*",)),)
LIBRARY = ("-shared", "-fPIC", "-O1")


def side(path: Path, store: Store) -> Side:
    return against.side(path.name, analysing.load_file(str(path), Path("/"), store), RULES)


def compared(build: Build, store: Store, source: str, *flags: str, strip: bool = False) -> Difference:
    old, new = build(source, *flags, strip=strip), build(source, *flags, "-DNEW", strip=strip)
    return difference(side(old, store), side(new, store))


def change(found: Difference, name: str) -> Change:
    return next(one for one in (*found.syscalls, *found.features, *found.options) if one.name == name)


def test_a_new_function_is_named(build: Build, store: Store) -> None:
    found = compared(build, store, "versions.c", "-O1")
    assert {(one.name, one.change) for one in found.syscalls} == {
        ("inotify_init1", "comes"),
        ("inotify_add_watch", "comes"),
        ("eventfd2", "goes"),
    }
    assert change(found, "inotify_init1").functions == ("watch@versions",)
    assert change(found, "eventfd2").functions == ("ring@versions",)


def test_an_option_comes_with_its_needs_and_their_functions(build: Build, store: Store) -> None:
    found = compared(build, store, "versions.c", "-O1")
    assert [(one.name, one.change) for one in found.options] == [("INOTIFY_USER", "comes")]
    assert found.options[0].needs == ("syscall:inotify_add_watch", "syscall:inotify_init1")
    assert found.options[0].functions == ("watch@versions",)


def test_without_symbols_a_function_is_known_by_its_code(build: Build, store: Store) -> None:
    """`main` and the new function have other code; `work`, the start code and the C library have not."""
    found = compared(build, store, "versions.c", "-O1", strip=True)
    functions = change(found, "inotify_init1").functions
    assert len(functions) == 2
    assert all(name.startswith("sub_") and name.endswith("@versions") for name in functions)


def test_where_all_functions_were_there_before_the_new_step_is_told(build: Build, store: Store) -> None:
    found = compared(build, store, "versions_lib.c", *LIBRARY)
    (only,) = [one for one in found.syscalls if one.name == "eventfd2"]
    assert only.change == "comes"
    assert only.functions == ("lib_work@versions_lib, which leads to eventfd@libc.so.6 only here",)


def test_files_whose_content_differs_are_listed(build: Build, store: Store) -> None:
    found = compared(build, store, "versions.c", "-O1")
    assert [(file.path.rpartition("/")[2], file.change) for file in found.files] == [("versions", "changed")]


def test_a_version_against_itself_has_no_difference(build: Build, store: Store) -> None:
    one = side(build("versions.c", "-O1"), store)
    found = difference(one, one)
    assert (found.syscalls, found.features, found.options, found.files) == ((), (), (), ())
    assert found.kept == len(one.document.syscalls)


def test_an_analysis_that_was_saved_is_a_version_too(build: Build, store: Store, tmp_path: Path) -> None:
    saved = tmp_path / "old.json"
    saved.write_bytes(msgspec.json.encode(side(build("versions.c", "-O1"), store).document))
    old = against.old_file(str(saved), Path("/"), RULES, store)
    found = difference(old, side(build("versions.c", "-O1", "-DNEW"), store))
    assert change(found, "inotify_init1").change == "comes"
    assert change(found, "inotify_init1").functions == ()  # a document does not say which functions a file has
    assert change(found, "inotify_init1").chain[-1].startswith("inotify_init1@")


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("no-such-revision", "no git revision"),
        ("libfoo=1", "libfoo is not in the lock of nginx"),
    ],
)
def test_what_is_no_version_is_refused(old: str, words: str, store: Store) -> None:
    with pytest.raises(DefinitionError, match=words):
        against.old_app(Place(REPOSITORY), "nginx", old, RULES, store)


def test_a_broken_document_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"schema": 1}')
    with pytest.raises(DefinitionError, match=r"old\.json"):
        against.old_file(str(tmp_path / "old.json"), Path("/"), RULES, store)
