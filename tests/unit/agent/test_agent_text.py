"""Text of any kind leaves the agent as valid JSON, one line at a time."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Ask = Callable[..., list[Any]]
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECE = 4096


@RELAXED
@given(st.lists(st.text(max_size=300), min_size=1, max_size=20))
def test_a_json_string_says_what_was_put_in(ask: Ask, texts: list[str]) -> None:
    assert ask("json", *[text.encode("utf-8", "replace") for text in texts]) == [
        text.encode("utf-8", "replace").decode() for text in texts
    ]


@RELAXED
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_any_bytes_become_a_json_string(ask: Ask, data: list[bytes]) -> None:
    ask("json", *data)
    ask("narrow", *data)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'say "a\\b"', 'say "a\\b"'),
        (b"tab\tbell\x07delete\x7f", "tab\tbell\x07delete\x7f"),
        (b"latin \xe9 one", "latin � one"),
        (b"overlong \xc0\xaf", "overlong ��"),
        (b"surrogate \xed\xa0\x80", "surrogate ���"),
        (b"too high \xf4\x90\x80\x80", "too high ����"),
        (b"broken off \xe2\x82", "broken off ��"),
        ("\N{GRINNING FACE}".encode(), "\N{GRINNING FACE}"),
    ],
)
def test_what_is_no_utf8_is_replaced(ask: Ask, raw: bytes, text: str) -> None:
    assert ask("json", raw) == [text]


def expected_lines(data: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in data.split(b"\n")[: None if not data.endswith(b"\n") else -1]]


@RELAXED
@given(st.integers(0, 255), st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"line\n", b"x" * 700]), max_size=40))
def test_lines_come_out_whole_however_they_came_in(ask: Ask, step: int, parts: list[bytes]) -> None:
    data = b"".join(parts)
    [found] = ask("lines", bytes([step]) + data)
    joined: list[str] = []
    goes_on = False
    for piece, more in found:
        if goes_on:
            joined[-1] += piece
        else:
            joined.append(piece)
        goes_on = bool(more)
    wanted = expected_lines(data) if data else []
    assert [line.encode() for line in joined] == wanted


def test_a_long_line_is_split_between_characters(ask: Ask) -> None:
    line = "é" * 5000  # 10000 bytes
    [found] = ask("lines", b"\0" + b"x" + line.encode() + b"\nnext\n")
    assert [bool(more) for _, more in found] == [True, True, False, False]
    assert all(len(piece.encode()) <= PIECE for piece, _ in found)
    assert "".join(piece for piece, _ in found[:3]) == "x" + line
    assert found[3] == ["next", 0]


def test_a_long_line_of_no_characters_is_split_too(ask: Ask) -> None:
    [found] = ask("lines", b"\0" + b"\x80" * 9000 + b"\n")
    assert sum(len(piece) for piece, _ in found) == 9000
    assert "�" in found[0][0]


def test_a_last_line_without_its_end_is_not_lost(ask: Ask) -> None:
    assert ask("lines", b"\0one\ntwo") == [[["one", 0], ["two", 0]]]
    assert ask("lines", b"\0\n\nend") == [[["", 0], ["", 0], ["end", 0]]]
