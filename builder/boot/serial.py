"""The serial log: the agent's events, and what the kernel says in between (pure)."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from builder.value import Value

LINE_LIMIT = 64 * 1024
EVENT = '{"event":'
QUIET = ("heartbeat",)  # events that nobody wants to read by the dozen
# what a healthy machine never prints (kernel/panic.c, lib/bug.c, lib/ubsan.c, mm/oom_kill.c, arch/x86/mm/fault.c,
# kernel/rcu/tree_stall.h, kernel/hung_task.c)
ALARMS = re.compile(
    r"Kernel panic|BUG:|UBSAN:|Oops:|WARNING:|Out of memory|Call Trace|general protection|segfault at|soft lockup"
    r"|detected stall|INFO: task .* blocked"
)
DECODER = json.JSONDecoder()


class Event(Value, frozen=True):
    """One event of the agent; `facts` are its other keys: text, numbers, truth values or None, as the guest wrote."""

    name: str
    mono_s: float
    facts: dict[str, Any]


def event_of(line: str) -> Event | None:
    """The event on a line of the log, or None where the kernel or nobody in particular speaks."""
    return _split(line)[0]


def shown(event: Event) -> str:
    """An event as a line for people."""
    facts = " ".join(f"{key}={value}" for key, value in event.facts.items())
    return f"{event.mono_s:9.3f} {event.name} {facts}".rstrip()


def number(event: Event, key: str, default: int) -> int:
    """A whole number among an event's facts, or `default` where the guest wrote anything else."""
    value = event.facts.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def failed(event: Event) -> bool:
    """Whether a process beside the application has ended unasked, and not well."""
    return event.facts.get("state") == "ended" and number(event, "code", -1) != 0


def _split(line: str) -> tuple[Event | None, str]:
    """The event on a line, and what else stands there: the kernel does not wait for the agent's line to end."""
    start = line.find(EVENT)
    if start < 0 or len(line) > LINE_LIMIT:
        return None, line
    try:
        found, end = DECODER.raw_decode(line, start)
        facts = {_plain(key): _plain(value) for key, value in found.items()}
        event = Event(str(facts.pop("event")), float(facts.pop("mono")), facts)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None, line
    return (event, line[:start] + line[end:]) if math.isfinite(event.mono_s) else (None, line)


def _plain(value: Any) -> Any:
    """A fact that can be shown and saved: JSON may hold halves of surrogate pairs, which are no text."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return value if value is None or isinstance(value, int | float) else json.dumps(value)


def lines_of(data: bytes) -> tuple[str, ...]:
    """The log's lines; carriage returns and NULs are dropped, bytes that are no UTF-8 are replaced."""
    text = data.replace(b"\0", b"").decode(errors="replace").replace("\r", "")
    return tuple(text.split("\n"))


class Reader:
    """A log that grows: every byte of it is looked at once. `size` is how many there were, `rest` the last line, which
    has not come to its end."""

    def __init__(self) -> None:
        self.size = 0
        self._rest = bytearray()

    def feed(self, data: bytes) -> tuple[str, ...]:
        """The lines that come to their end with these next bytes."""
        self.size += len(data)
        ended, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._rest += data
            return ()
        lines = lines_of(bytes(self._rest) + ended)
        self._rest = bytearray(rest)
        return lines

    @property
    def rest(self) -> str:
        return lines_of(bytes(self._rest))[0]


def events(lines: Sequence[str]) -> tuple[Event, ...]:
    """All events of some lines, in order."""
    return tuple(event for event in map(event_of, lines) if event is not None)


def _kernels_words(line: str) -> str:
    """What the kernel says on a line, raw or passed on by the agent; nothing of what the application says."""
    event, rest = _split(line)
    return f"{event.facts.get('line', '')} {rest}" if event is not None and event.name == "kernel" else rest


def alarms(lines: Sequence[str]) -> tuple[str, ...]:
    """What the kernel said that a healthy machine never says, raw or passed on by the agent."""
    words = (_kernels_words(line) for line in lines)
    return tuple(dict.fromkeys(said.strip()[:300] for said in words if ALARMS.search(said)))


def panicked(lines: Sequence[str]) -> bool:
    """Whether the kernel gave up."""
    return any("Kernel panic" in line and "Kernel panic" in _kernels_words(line) for line in lines)
