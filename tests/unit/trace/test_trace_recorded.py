"""What the kernel's recorder writes is read whole, or it is an error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import SmokeError
from builder.trace.recorded import Call, Place, parse

FILES = ("file 0 x /usr/bin/app", "file 1 x /lib/libc.so.6", "file 2 - /dev/null")
OPENED = ("opened /etc/app.conf", "opened /dev/null")
CALLS = (
    "call 41 1:10af20 2 0 0=2,1=80801,2=0 0:1234,1:29d90 app -",
    "call 257 1:1010 1 0 - - app /proc/self/status",
    "call 228 - 7 - - - app -",
)


def whole(*lines: str, lost: int = 0) -> list[str]:
    return [*lines, f"end {len(lines)} {lost}"]


def test_calls_have_their_place_arguments_callers_and_text() -> None:
    found = parse(whole(*FILES, *OPENED, "reached 0:1a2b", *CALLS))
    assert found.files == {0: "/usr/bin/app", 1: "/lib/libc.so.6", 2: "/dev/null"}
    assert found.executable == {0, 1}
    assert found.opened == ("/etc/app.conf", "/dev/null")
    assert found.reached == (Place(0, 0x1A2B),)
    assert found.calls == (
        Call(41, Place(1, 0x10AF20), 2, 0, {0: 2, 1: 0x80801, 2: 0}, (Place(0, 0x1234), Place(1, 0x29D90)), "app", ""),
        Call(257, Place(1, 0x1010), 1, 0, {}, (), "app", "/proc/self/status"),
        Call(228, Place(), 7, -1, {}, (), "app", ""),
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"/tmp/a\040b", "/tmp/a b"),
        (r"/tmp/a\134n", "/tmp/a\\n"),
        (r"/tmp/\303\244", "/tmp/ä"),
        (r"/tmp/\377", "/tmp/�"),
        (r"\055", "-"),
        ("-", ""),
    ],
)
def test_characters_that_would_break_a_line_are_octal(written: str, meant: str) -> None:
    assert parse(whole(f"opened {written}")).opened == (meant,)


def test_records_that_found_no_room_fail_the_trace() -> None:
    with pytest.raises(SmokeError, match="3 records found no room") as caught:
        parse(whole(*FILES, lost=3))
    assert caught.value.hint


@pytest.mark.parametrize("missing", range(len(FILES) + 1))
def test_a_line_that_did_not_come_through_fails_the_trace(missing: int) -> None:
    lines = whole(*FILES)
    with pytest.raises(SmokeError, match="not whole"):
        parse(lines[:missing] + lines[missing + 1 :])


@pytest.mark.parametrize(
    "line",
    [
        "call 41 1:10 2 0 - - app",
        "call 41 1:10 two 0 - - app -",
        "call 41 1:xyz 2 0 - - app -",
        "call 41 1:10 2 0 0=2;1=3 - app -",
        "call 41 9:10 2 0 - - app -",
        "reached 0",
        "reached 9:10",
        "file x x /bin/app",
        "file 3 y /bin/app",
        "something else",
        "",
    ],
)
def test_a_line_that_says_nothing_known_fails_the_trace(line: str) -> None:
    with pytest.raises(SmokeError, match="damaged"):
        parse(whole(*FILES, line))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=8))
def test_whatever_stands_on_the_console_there_is_an_answer_or_that_error(lines: list[str]) -> None:
    for text in (lines, whole(*lines)):
        with contextlib.suppress(SmokeError):
            assert len(parse(text).calls) <= len(lines)
