"""A log that grows is read piece by piece, and is the same log; what it says is shown as it comes."""

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.boot import builtin, serial
from builder.boot.run import Printer
from builder.boot.serial import Reader
from builder.console import Console
from builder.model import Accelerator, Verdict

TEXT = st.lists(st.sampled_from([b"\n", b"\r", b"\0", b"a", b"\xc3", b"\xbc", b"\xe2\x82\xac", b"\xff"]), max_size=40)
PANIC = "Kernel panic - not syncing: VFS"


@given(TEXT.map(b"".join), st.lists(st.integers(0, 60), max_size=8))
def test_wherever_it_is_cut_it_is_the_same_log(data: bytes, cuts: list[int]) -> None:
    reader, lines, at = Reader(), list[str](), 0
    for cut in [*sorted(cuts), len(data)]:
        lines += reader.feed(data[at:cut])
        at = min(max(at, cut), len(data))
        assert reader.size == at
    assert (*lines, reader.rest) == serial.lines_of(data)


def test_a_line_is_given_once_and_only_when_it_is_complete() -> None:
    reader = Reader()
    assert reader.feed(b"half of") == ()
    assert reader.rest == "half of"
    assert reader.feed(b" a line\nand another\n\nthe ") == ("half of a line", "and another", "")
    assert reader.rest == "the "
    assert reader.feed(b"") == ()


# ---- what `run` shows ---------------------------------------------------------------------------------------------


def shown(*pieces: bytes) -> tuple[Printer, str]:
    stream = io.StringIO()
    printer = Printer(Console(stream))
    for piece in pieces:
        printer.show(piece)
    return printer, stream.getvalue()


def test_the_applications_lines_are_plain_and_on_their_stream(capsys: pytest.CaptureFixture[str]) -> None:
    _, narrated = shown(
        b'{"event":"output","mono":1,"stream":"stdout","line":"hello"}\n{"event":"output","mo',
        b'no":1,"stream":"stderr","line":"oh no"}\n',
    )
    assert capsys.readouterr() == ("hello\n", "oh no\n")
    assert narrated == ""


def test_events_and_kernel_messages_are_narrated() -> None:
    printer, narrated = shown(b"[    0.1] Linux\n", b'stop\n\n{"event":"halt","mono":2.5,"code":3}\n')
    assert narrated.splitlines() == ["  kernel: [    0.1] Linux", "      2.500 halt code=3"]
    assert printer.code == 3


def test_the_agent_is_heard_with_its_first_event() -> None:
    assert not shown(b"[    0.1] Linux\n", b'{"event":"boot","mono":1')[0].heard
    assert shown(b'{"event":"boot","mono":1}\n')[0].heard


def test_the_first_panic_is_kept_and_words_of_the_application_are_none() -> None:
    assert shown(f"{PANIC} 1\n{PANIC} 2\n".encode())[0].panic == f"{PANIC} 1"
    printer, _ = shown(f'{{"event":"output","mono":1,"stream":"stderr","line":"{PANIC}"}}\n'.encode())
    assert printer.panic == ""


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_any_bytes_can_be_shown(pieces: list[bytes]) -> None:
    printer, _ = shown(*pieces)
    assert printer.size == sum(map(len, pieces))


# ---- what a verdict keeps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_a_metric_that_json_cannot_hold_does_not_spoil_the_verdict(value: str) -> None:
    values, wrong = builtin.metrics_of(f"kiln_application_up 1\nkiln_strange {value}\n# EOF\n")
    assert (values, wrong) == ({"kiln_application_up": 1.0}, "")
    verdict = Verdict(True, (), Accelerator("tcg", ""), metrics=values)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
