"""Running machines as tables for people (pure)."""

import json
from collections.abc import Sequence
from typing import Any

from builder.boot.figures import Row
from builder.boot.state import State
from builder.documents import Running
from builder.value import Value


class PsRow(Value, frozen=True):
    """A machine, how it is, and for how many seconds it has run or did."""

    machine: Running
    state: str
    seconds: float


class TopRow(Value, frozen=True):
    """A machine with its figures; `source`: where they are from. Rates are per second, `cpu` in processors."""

    machine: Running
    state: State
    source: str
    figures: Row
    cpu: float | None = None
    received: float | None = None
    sent: float | None = None


def ps(rows: Sequence[PsRow]) -> str:
    """The table of `invoke ps`."""
    return table(
        ("MACHINE", "IMAGE", "STATE", "UP", "PORTS", "VERSION"),
        [
            (
                row.machine.id,
                row.machine.app,
                row.state,
                duration(row.seconds),
                _ports(row.machine),
                row.machine.version,
            )
            for row in rows
        ],
    )


def _ports(machine: Running) -> str:
    return " ".join(f"{host}→{guest}" for guest, host in sorted(machine.ports.items())) or "-"


def rates(before: Sequence[TopRow], now: Sequence[TopRow], seconds: float) -> list[TopRow]:
    """The rows of now, with rates by what they were so many seconds before. A counter that went back begins anew."""
    known = {row.machine.id: row.figures for row in before}

    def rate(then: float | None, value: float | None) -> float | None:
        if then is None or value is None or seconds <= 0:
            return None
        return max(0.0, value - then) / seconds

    rows = []
    for row in now:
        then, is_ = known.get(row.machine.id, Row()), row.figures
        rows.append(
            TopRow(
                row.machine, row.state, row.source, is_,
                rate(then.cpu_s, is_.cpu_s), rate(then.received, is_.received), rate(then.sent, is_.sent),
            )
        )  # fmt: skip
    return rows


def top(rows: Sequence[TopRow]) -> str:
    """The table of `invoke top`."""
    head = ("MACHINE", "STATE", "UP", "CPU %", "MEMORY", "FREE", "FILES", "IN/s", "OUT/s", "RESTARTS", "REFUSED", "BY")
    return table(head, [_top(row) for row in rows])


def _top(row: TopRow) -> tuple[str, ...]:
    of = row.figures
    state = row.state.state if of.healthy or of.healthy is None else "unhealthy"
    return (
        row.machine.id,
        state if row.source != "nothing" else f"{state}, silent",
        duration(of.uptime_s if of.uptime_s is not None else row.state.mono_s),
        "-" if row.cpu is None else f"{row.cpu * 100:.0f}",
        size(of.resident),
        size(of.free),
        "-" if of.open_files is None else f"{of.open_files:.0f}",
        size(row.received),
        size(row.sent),
        f"{row.state.restarts if of.restarts is None else of.restarts:.0f}",
        f"{row.state.refused if of.refused is None else of.refused:.0f}",
        row.source,
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what stands in them; without rows the head alone."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    return "\n".join("  ".join(f"{word:<{width}}" for word, width in zip(line, widths, strict=True)).rstrip()
                     for line in (head, *rows))  # fmt: skip


def duration(seconds: float) -> str:
    """A time in its two largest units: `3d 4h`, `12m 5s`."""
    whole = int(max(0.0, seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2])


def size(count: float | None) -> str:
    """Bytes in the unit that fits: `12.3M`."""
    if count is None:
        return "-"
    for unit in ("B", "K", "M", "G"):
        if count < 1000 or unit == "G":
            return f"{count:.0f}{unit}" if unit == "B" or count >= 100 else f"{count:.1f}{unit}"
        count /= 1024
    raise AssertionError


def line(facts: dict[str, Any]) -> str:
    """An event as one line of JSON."""
    return json.dumps(facts, ensure_ascii=False)
