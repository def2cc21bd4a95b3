"""The serial log: the agent's events, and what the kernel says in between (pure)."""

import json
import re
from collections.abc import Sequence
from typing import Any

from builder.model import Value

LINE_LIMIT = 64 * 1024
# what a healthy machine never prints (kernel/panic.c, lib/bug.c, mm/oom_kill.c, arch/x86/mm/fault.c)
ALARMS = re.compile(
    r"Kernel panic|BUG:|Oops:|WARNING:|Out of memory|Call Trace|general protection|segfault at|soft lockup"
)


class Event(Value, frozen=True):
    """One event of the agent; `facts` are its other keys."""

    name: str
    mono_s: float
    facts: dict[str, Any]


def event_of(line: str) -> Event | None:
    """The event on a line of the log, or None where the kernel or nobody in particular speaks."""
    start = line.find('{"event":')
    if start < 0 or len(line) > LINE_LIMIT:
        return None
    try:
        found = json.loads(line[start:])
        return Event(str(found.pop("event")), float(found.pop("mono")), found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def lines_of(data: bytes) -> tuple[str, ...]:
    """The log's lines; carriage returns and NULs are dropped, bytes that are no UTF-8 are replaced."""
    text = data.replace(b"\0", b"").decode(errors="replace").replace("\r", "")
    return tuple(text.split("\n"))


def events(lines: Sequence[str]) -> tuple[Event, ...]:
    """All events of some lines, in order."""
    return tuple(event for event in map(event_of, lines) if event is not None)


def alarms(lines: Sequence[str]) -> tuple[str, ...]:
    """What the kernel said that a healthy machine never says, raw or passed on by the agent."""
    found = []
    for line in lines:
        event = event_of(line)
        said = line if event is None else str(event.facts.get("line", "")) if event.name == "kernel" else ""
        if ALARMS.search(said):
            found.append(said.strip()[:300])
    return tuple(dict.fromkeys(found))


def panicked(lines: Sequence[str]) -> bool:
    """Whether the kernel gave up."""
    return any("Kernel panic" in line for line in lines)
