"""The list of the image's files and their digests: read as it was written, anything else refused."""

import hashlib
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.assemble import digests
from builder.model import File

Ask = Callable[..., list[Any]]
SUM = "0123456789abcdef" * 4
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@many
@given(data=st.binary(max_size=400), step=st.integers(1, 255))
def test_the_digest_is_sha_256_however_it_comes(ask: Ask, data: bytes, step: int) -> None:
    assert ask("sha256", bytes([step]) + data) == [hashlib.sha256(data).hexdigest()]


def test_lengths_around_the_block(ask: Ask) -> None:
    inputs = [b"a" * size for size in (*range(50, 70), *range(110, 130), 1000000)]
    assert ask("sha256", *(b"\xff" + data for data in inputs)) == [hashlib.sha256(d).hexdigest() for d in inputs]


@many
@given(
    path=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60),
    size=st.integers(0, 2**63 - 1),
)
def test_what_the_build_writes_the_agent_reads(ask: Ask, path: str, size: int) -> None:
    entry = File(f"/{path}", "file", sha256=SUM, size_bytes=size)
    text = digests.render({entry.path: entry}, writers=(), hidden=())
    assert ask("digest", text.removesuffix("\n")) == [[SUM, size, entry.path]]


def test_anything_else_is_refused(ask: Ask) -> None:
    wrong = [
        "",
        SUM,
        f"{SUM} 1",
        f"{SUM} 1 relative",
        f"{SUM} x /a",
        f"{SUM} 99999999999999999999 /a",
        f"{SUM[:-1]}G 1 /a",
        f"{SUM.upper()} 1 /a",
        f"{SUM} 1 /a\\x",
        f"{SUM} 1 /a\\",
        f"{SUM} 1 /a\0b",
    ]
    assert ask("digest", *wrong) == [None] * len(wrong)


@many
@given(line=st.binary(max_size=200))
def test_hostile_lines_do_no_harm(ask: Ask, line: bytes) -> None:
    ask("digest", line, SUM.encode() + line)
