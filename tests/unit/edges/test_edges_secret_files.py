"""Files with secrets: exactly what an image declares is handed over, and only what QEMU will be able to read."""

import os
from pathlib import Path

import pytest

from builder.definition import BuildSource, Definition, Run, Secret
from builder.edges.secret_files import LIMIT_BYTES, handed, of_tests
from builder.errors import DefinitionError

VALUE = "correct horse battery staple"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "password").write_text(VALUE)
    (tmp_path / "a=b").write_bytes(bytes(LIMIT_BYTES))
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(bytes(LIMIT_BYTES + 1))
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_declared_is_handed_over_by_its_whole_path(folder: Path) -> None:
    found = handed("web", ["one", "two"], ["two=password", f"one={folder}/a=b"])
    assert found == {"one": f"{folder}/a=b", "two": f"{folder}/password"}
    assert handed("web", [], []) == {}


@pytest.mark.parametrize(
    ("wishes", "said", "hint"),
    [
        ([], "web needs one, two, and nothing was handed over", "give --secret one=FILE --secret two=FILE"),
        (["one=password"], "web needs two, and nothing was handed over", "give --secret two=FILE"),
        (["one"], "--secret one: not NAME=FILE", "for example --secret one=/path/to/file"),
        (["one="], "--secret one: not NAME=FILE", "for example"),
        (["=password"], "--secret …: not NAME=FILE", "for example"),
        (["three=password"], "--secret three: web declares no such secret", "it declares: one, two"),
        (["one=password", "one=password"], "--secret one: given twice", ""),
        (["one=absent"], "--secret one: absent cannot be read: No such file or directory", ""),
        (["one=."], "--secret one: . is not a regular file", "QEMU"),
        (["one=pipe"], "--secret one: pipe is not a regular file", "QEMU"),
        (["one=empty"], "--secret one: empty is empty", "1 to 65536 bytes"),
        (["one=large"], "--secret one: large has 65537 bytes", "1 to 65536 bytes"),
        (["one=a\0b"], "--secret one: a\0b cannot be read: embedded null byte", ""),
    ],
)
def test_anything_else_is_refused_in_one_line(folder: Path, wishes: list[str], said: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        handed("web", ["one", "two"], wishes)
    assert caught.value.message == said
    assert caught.value.hint.startswith(hint) or hint in caught.value.hint
    assert VALUE not in caught.value.message + caught.value.hint


def test_an_image_without_secrets_takes_none(folder: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        handed("web", [], ["one=password"])
    assert caught.value.hint == "it declares none; see [[secret]]"


def keeping(*secrets: Secret) -> Definition:
    return Definition(BuildSource(), Run(("/bin/a",)), secret=secrets, name="web")


def test_values_for_tests_lie_beside_the_definition(folder: Path) -> None:
    assert of_tests(keeping(Secret("one", test_file="password")), folder) == {"one": f"{folder}/password"}
    assert of_tests(keeping(), folder) == {}


@pytest.mark.parametrize(
    ("file", "said"),
    [("", "is missing: no value for the smoke test's one"), ("absent", "absent cannot be read"), ("empty", "is empty")],
)
def test_a_test_without_a_value_is_refused(folder: Path, file: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        of_tests(keeping(Secret("one", test_file=file)), folder)
    assert caught.value.message.startswith("images/web/image.toml: secret[0].test_file: ")
    assert said in caught.value.message
