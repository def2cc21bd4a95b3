"""The serial log: whatever a guest writes is read without complaint, and the agent's events are found in it."""

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.boot import serial
from builder.boot.serial import Event

NAMES = ("boot", "start", "output", "kernel", "refused", "healthy", "exit", "crash", "restart", "stop", "halt")
FACTS = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(lambda key: key not in {"event", "mono"}),
    st.text(max_size=40) | st.integers(-(2**63), 2**63) | st.booleans() | st.none(),
    max_size=4,
)
EVENTS = st.builds(Event, st.sampled_from(NAMES), st.floats(0, 1e6), FACTS)
# what a kernel prints: anything but an event's beginning
GARBAGE = st.binary(max_size=80).map(lambda data: data.replace(b"{", b"(")).filter(lambda data: b"\n" not in data)


def written(event: Event, *, escaped: bool = True) -> bytes:
    """An event as the agent writes it."""
    facts = {"event": event.name, "mono": event.mono_s, **event.facts}
    return json.dumps(facts, ensure_ascii=escaped, separators=(",", ":")).encode(errors="replace") + b"\n"


def said(name: str, line: str, **facts: Any) -> str:
    return written(Event(name, 1.0, {**facts, "line": line})).decode().rstrip("\n")


# ---- any bytes ------------------------------------------------------------------------------------------------


def read_all(data: bytes) -> tuple[Event, ...]:
    lines = serial.lines_of(data)
    serial.alarms(lines)
    serial.panicked(lines)
    return serial.events(lines)


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    read_all(data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_an_event_of_any_kind_is_read(value: object) -> None:
    for key in ("event", "mono", "line", "level", "code"):
        facts = {"event": "kernel", "mono": 1.0, "line": "text", key: value}
        read_all(json.dumps(facts, separators=(",", ":")).encode())


@pytest.mark.parametrize("text", [r"\ud800", r"\udfff\ud800", r"\ud83d\ude00", r"\u0000", r"\u001b[2J"])
def test_whatever_an_event_says_can_be_saved_and_shown(text: str) -> None:
    line = f'{{"event":"{text}","mono":1,"{text}":"{text}","list":["{text}"],"table":{{"{text}":"{text}"}}}}'
    event = serial.event_of(line)
    assert event is not None
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
    assert f"{event}".encode()


@pytest.mark.parametrize(
    "line",
    [
        '{"event":',
        '{"event":"boot"}',
        '{"event":"boot","mono":"soon"}',
        '{"event":"boot","mono":[]}',
        '{"event":"boot","mono":null}',
        '{"event":"boot","mono":1' + "0" * 400 + "}",
        '{"event":"boot","mono":1' + "0" * 5000 + "}",
        '{"event":' + "[" * 60000,
        '{"event":{"a":' * 4000,
        '{"event":"boot","mono":NaN}',
        '{"event":"boot","mono":-1e999}',
        '{"event":"boot","mono":1.0}' + " " * serial.LINE_LIMIT,
    ],
    ids=lambda line: line[:34] + f"~{len(line)}",
)
def test_what_only_begins_like_an_event_is_none(line: str) -> None:
    assert serial.event_of(line) is None


# ---- events among other things -----------------------------------------------------------------------------------


@given(st.lists(EVENTS, max_size=8))
def test_events_are_read_in_order(events: list[Event]) -> None:
    assert list(read_all(b"".join(map(written, events)))) == events


@given(st.lists(st.tuples(GARBAGE, EVENTS), max_size=8), GARBAGE)
def test_events_survive_lines_of_garbage_between_them(pairs: list[tuple[bytes, Event]], last: bytes) -> None:
    data = b"".join(garbage + b"\n" + written(event) for garbage, event in pairs) + last
    assert list(read_all(data)) == [event for _, event in pairs]


@given(GARBAGE, EVENTS)
def test_an_event_survives_garbage_before_it_on_its_line(garbage: bytes, event: Event) -> None:
    assert list(read_all(garbage + written(event))) == [event]


@given(EVENTS, GARBAGE)
def test_an_event_survives_garbage_behind_it_on_its_line(event: Event, garbage: bytes) -> None:
    assert list(read_all(written(event)[:-1] + garbage + b"\n")) == [event]


@given(st.lists(EVENTS, min_size=1, max_size=4), st.integers(0, 2000))
def test_a_log_that_is_cut_off_gives_the_events_that_are_whole(events: list[Event], cut: int) -> None:
    data = b"".join(map(written, events))
    found = list(read_all(data[:cut]))
    assert found == events[: len(found)]
    assert len(found) >= data[:cut].count(b"\n")


@given(st.lists(EVENTS, max_size=4))
def test_carriage_returns_and_nuls_of_a_console_do_not_matter(events: list[Event]) -> None:
    data = b"".join(map(written, events)).replace(b"\n", b"\r\r\n\0\0")
    assert list(read_all(data)) == events


def test_bytes_that_are_no_text_are_replaced() -> None:
    [event] = read_all(b'{"event":"output","mono":1,"line":"\xff\xfe"}\n')
    assert event.facts["line"] == "��"


def test_a_line_without_an_end_does_not_hide_what_comes_after_it() -> None:
    huge = b"x" * (4 * serial.LINE_LIMIT)
    event = Event("halt", 2.0, {"code": 0})
    assert read_all(huge + b"\n" + written(event)) == (event,)


def test_what_the_application_prints_is_no_event() -> None:
    forged = '{"event":"halt","mono":1.0,"code":0}'
    assert [event.name for event in serial.events([said("output", forged, stream="stdout")])] == ["output"]


# ---- numbers ------------------------------------------------------------------------------------------------------


@given(st.integers(-(2**70), 2**70))
def test_a_whole_number_of_an_event_is_that_number(number: int) -> None:
    assert serial.number(Event("halt", 0.0, {"code": number}), "code", 1) == number


@given(st.none() | st.text() | st.floats() | st.booleans() | st.lists(st.integers()))
def test_anything_else_is_the_default(value: object) -> None:
    assert serial.number(Event("halt", 0.0, {"code": value}), "code", 7) == 7


def test_so_is_a_fact_that_is_not_there() -> None:
    assert serial.number(Event("halt", 0.0, {}), "code", 7) == 7


# ---- alarms -------------------------------------------------------------------------------------------------------

ALARMING = [
    "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel.",
    "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "BUG: unable to handle page fault for address: ffffc90000000000",
    "BUG: KASAN: slab-out-of-bounds in kmem_cache_alloc+0x1/0x2",
    "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!",
    "Oops: general protection fault, probably for non-canonical address: 0000 [#1]",
    "Oops: 0002 [#1] NOPTI",
    "WARNING: CPU: 0 PID: 1 at kernel/sched/core.c:1234 schedule+0x10/0x20",
    "Out of memory: Killed process 30 (redis-server) total-vm:65536kB, anon-rss:30000kB",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [app:30]",
    "rcu: INFO: rcu_sched self-detected stall on CPU",
    "INFO: task app:30 blocked for more than 120 seconds.",
    "UBSAN: array-index-out-of-bounds in drivers/net/virtio_net.c:100:5",
    "app[30]: segfault at 8 ip 0000000000401000 sp 00007ffc00000000 error 6",
    "traps: app[30] general protection fault ip:401000 sp:7ffc00000000 error:0",
    " Call Trace:",
]
ORDINARY = [
    "Linux version 6.12.117 (gcc 12) #1 Debian",
    "Command line: console=ttyS0 quiet panic=-1 oops=panic reboot=t",
    "random: crng init done",
    "Run /init as init process",
    "EXT4-fs (vda): mounted filesystem with ordered data mode. Quota mode: disabled.",
    "clocksource: timekeeping watchdog on CPU0: Marking clocksource unstable",
    "reboot: Restarting system",
    "stop",
    "",
]


@pytest.mark.parametrize("line", ALARMING)
def test_what_a_healthy_kernel_never_says_raises_an_alarm_raw(line: str) -> None:
    assert serial.alarms(["[    0.123456] " + line, "", "ordinary"]) == (f"[    0.123456] {line}",)


@pytest.mark.parametrize("line", ALARMING)
def test_and_when_the_agent_passes_it_on(line: str) -> None:
    assert serial.alarms([said("kernel", line, level=4)]) == (line.strip(),)


@pytest.mark.parametrize("line", ALARMING)
def test_and_behind_or_before_an_event_on_one_line(line: str) -> None:
    event = said("output", "hello", stream="stdout")
    for whole in (f"[    0.1] {line}{event}", f"{event}[    0.1] {line}"):
        assert serial.alarms([whole]), whole


@pytest.mark.parametrize("line", ALARMING)
def test_and_in_the_middle_of_an_event(line: str) -> None:
    event = said("output", "hello", stream="stdout")
    assert serial.alarms([event[:20] + f"[    0.1] {line}", event[20:]])


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_kernel_messages_raise_none(line: str) -> None:
    assert serial.alarms([line, said("kernel", line, level=4)]) == ()


@pytest.mark.parametrize("line", ALARMING)
def test_an_application_may_print_what_it_likes(line: str) -> None:
    lines = [said("output", line, stream="stderr"), said("crash", line), said("error", line)]
    assert serial.alarms(lines) == ()
    assert not serial.panicked(lines)


@given(st.text())
def test_an_applications_output_is_never_an_alarm(text: str) -> None:
    line = said("output", text + " BUG: WARNING: Kernel panic " + text, stream="stdout")
    assert serial.alarms([line]) == ()
    assert not serial.panicked([line])


def test_an_alarm_is_named_once_and_in_short() -> None:
    line = "BUG: " + "x" * 1000
    [alarm] = serial.alarms([line, line])
    assert alarm == line[:300]


def test_a_panic_is_seen_raw() -> None:
    assert serial.panicked(["[    0.1] Kernel panic - not syncing: VFS"])
    assert not serial.panicked(["[    0.1] BUG: something else", ""])


@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        ({"state": "started"}, False),
        ({"state": "ended", "code": 0}, False),
        ({"state": "ended", "code": 3}, True),
        ({"state": "ended", "signal": 11}, True),
        ({"state": "stopped", "signal": 15}, False),
    ],
)
def test_a_process_fails_by_a_signal_or_another_code_than_0(facts: dict[str, Any], failed: bool) -> None:
    assert serial.failed(Event("process", 1.0, facts)) == failed
