"""`trace.json` keeps every word of a trace, in a form that is the same each time and diffs line by line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import DefinitionError
from builder.trace import document
from builder.traced import Spot, Trace, TracedCall

CALL = TracedCall(
    "socket", Spot("/lib/libc.so.6", 0x10AF20), {0: 2, 1: 1, 2: 0}, "", (Spot("/bin/app", 64),), 3, "app", "/bin/app"
)
TRACE = Trace("app", {"/bin/app": "0" * 64}, (CALL, TracedCall("read", Spot("", 0))), ("/etc/passwd", "/tmp/ä b"))

words = st.text(st.characters(codec="utf-8"), max_size=20)
spots = st.builds(Spot, words, st.integers(0, 2**63 - 1))
arguments = st.dictionaries(st.integers(0, 5), st.integers(0, 2**63 - 1), max_size=3)
calls = st.builds(TracedCall, words, spots, arguments, words, st.tuples(spots), st.integers(0, 2**53), words, words)
traces = st.builds(
    Trace, words, st.dictionaries(words, words, max_size=3), st.tuples(calls, calls), st.tuples(words), st.tuples(spots)
)


@given(traces)
def test_a_trace_comes_back_as_it_was(trace: Trace) -> None:
    assert document.parse(document.render(trace).encode(), "x") == trace


def test_one_call_one_file_one_path_per_line() -> None:
    lines = document.render(TRACE).splitlines()
    calls = [json.loads(line.strip().rstrip(",")) for line in lines if '"name"' in line]
    assert [call["name"] for call in calls] == ["socket", "read"]
    assert calls[0]["arguments"] == {"0": 2, "1": 1, "2": 0}
    assert '  "/etc/passwd",' in lines
    assert json.loads("\n".join(lines))["app"] == "app"


def test_what_is_empty_is_left_out() -> None:
    [line] = [line for line in document.render(TRACE).splitlines() if '"read"' in line]
    assert json.loads(line) == {"name": "read", "site": {"file": "", "address": 0}, "count": 1}


def test_an_empty_trace_is_a_document_too() -> None:
    nothing = Trace("app", {}, ())
    assert document.parse(document.render(nothing).encode(), "x") == nothing


def test_it_is_written_beside_the_definition_and_read_from_there(tmp_path: Path) -> None:
    assert document.read(tmp_path) is None
    assert document.write(tmp_path, TRACE) == tmp_path / "trace.json"
    assert document.read(tmp_path) == TRACE
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"app": 1}', '{"app": "x", "files": {}, "calls": [], "schema": 99}'])
def test_something_else_in_its_place_is_named(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "trace.json").write_text(text)
    with pytest.raises(DefinitionError, match=r"images/app/trace\.json"):
        document.read(folder)


@pytest.mark.parametrize(
    "file", sorted(Path(__file__).parents[3].glob("images/*/trace.json")), ids=lambda f: f.parent.name
)
def test_the_traces_of_the_repository_are_in_the_form_that_is_written(file: Path) -> None:
    trace = document.read(file.parent)
    assert trace is not None
    assert document.render(trace) == file.read_text()
    assert trace.app == file.parent.name
    assert all(call.site.file in trace.files or not call.site.file for call in trace.calls)
