"""From the tracer's lines to values, and traces kept as compact JSON: one row for each distinct call."""

import json
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from builder.edges.store import digest_file
from builder.traced import Spot, Trace, TracedCall

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")  # of linux-libc-dev: independent of the analyser
MOST_CALLERS = 10  # kept of each call
PT_LOAD = 1
Key = tuple[str, Spot, tuple[tuple[int, int], ...], str, str]


@cache
def call_names() -> Mapping[int, str]:
    """Names of system calls by number, as the kernel's user headers have them."""
    rows = re.findall(r"^#define __NR_(\w+) (\d+)$", HEADER.read_text(), re.MULTILINE)
    return {int(number): name for name, number in rows}


def read(output: Path, app: str, program: str, root: Path | None = None) -> Trace:
    """What one program did, by a tracer's output (`-e`); what other programs did that it started is left out.
    Files below `root` are named as the program saw them."""
    rows = [line.split("\t") for line in output.read_text(errors="replace").splitlines()]
    places = _Places(root)
    rows = [row for row in rows if places.guest(row[1]) == program]
    maps = {places.guest(row[2]) for row in rows if row[0] == "map"}
    files = {path: digest_file(places.host(path)) for path in sorted(maps) if places.host(path).is_file()}
    calls = _merged(_call(row, places) for row in rows if row[0] == "call")
    return Trace(app, files, calls)


def _call(row: list[str], places: "_Places") -> TracedCall:
    _, program, number, site, arguments, text, callers, count, command = row
    pairs = (pair.split("=") for pair in arguments.split(",") if pair)
    spots = [places.spot(c) for c in callers.split("|") if c]
    return TracedCall(
        name=call_names().get(int(number), number),
        site=places.spot(site),
        arguments={int(index): int(value, 16) for index, value in pairs},
        text=re.sub(r"^/proc/\d+", "/proc/self", text),
        callers=tuple(dict.fromkeys(spots))[:MOST_CALLERS],
        count=int(count),
        command=command,
        program=places.guest(program),
    )


def _merged(calls: Iterable[TracedCall]) -> tuple[TracedCall, ...]:
    """One call for each place and argument: processes that were started anew lie at other addresses."""
    first: dict[Key, TracedCall] = {}
    counts: Counter[Key] = Counter()
    for call in calls:
        key = (call.name, call.site, tuple(sorted(call.arguments.items())), call.text, call.program)
        first.setdefault(key, call)
        counts[key] += call.count
    return tuple(_counted(first[key], counts[key]) for key in sorted(first))


def _counted(call: TracedCall, count: int) -> TracedCall:
    return TracedCall(call.name, call.site, call.arguments, call.text, call.callers, count, call.command, call.program)


class _Places:
    """Turns offsets in the host's files into addresses as those files number them."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._segments: dict[str, tuple[tuple[int, int, int], ...]] = {}

    def guest(self, path: str) -> str:
        inside = path.removeprefix(str(self.root.resolve())) if self.root else path
        return inside.removesuffix(" (deleted)")

    def host(self, guest: str) -> Path:
        return Path(f"{self.root or ''}{guest}")

    def spot(self, text: str) -> Spot:
        if not text:
            return Spot("", 0)
        path, _, offset = text.rpartition(":")
        guest = self.guest(path)
        return Spot(guest, self._address(guest, int(offset, 16)))

    def _address(self, guest: str, offset: int) -> int:
        if guest not in self._segments:
            host = self.host(guest)
            self._segments[guest] = tuple(_segments(host.read_bytes())) if host.is_file() else ()
        for start, size, address in self._segments[guest]:
            if start <= offset < start + size:
                return address + offset - start
        return offset


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Offset, size in the file and address of each PT_LOAD segment (System V ABI, program header)."""
    if data[:4] != b"\x7fELF":
        return
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", data, table + i * size)
        if kind == PT_LOAD:
            yield offset, in_file, address


def save(trace: Trace, path: Path) -> None:
    """Write a trace compactly: files once, places as `file:address`."""
    names = sorted({*trace.files, *(s.file for c in trace.calls for s in (c.site, *c.callers))} | {""})
    index = {name: i for i, name in enumerate(names)}

    def shown(spot: Spot) -> str:
        return f"{index[spot.file]}:{spot.address:x}"

    rows = [
        [c.name, shown(c.site), {str(k): v for k, v in c.arguments.items()}, c.text,
         " ".join(shown(s) for s in c.callers), c.count, c.command, c.program]
        for c in trace.calls
    ]  # fmt: skip
    head = {"schema": trace.schema, "app": trace.app, "files": [[n, trace.files.get(n, "")] for n in names]}
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{json.dumps(head)[:-1]}, "calls": [\n{lines}\n]}}\n')


def load(path: Path) -> Trace:
    """A trace that `save` wrote."""
    found = json.loads(path.read_text())
    names = [name for name, _ in found["files"]]

    def spot(text: str) -> Spot:
        file, _, address = text.partition(":")
        return Spot(names[int(file)], int(address, 16))

    calls = tuple(
        TracedCall(name, spot(site), {int(k): v for k, v in arguments.items()}, text,
                   tuple(spot(s) for s in callers.split()), count, command, program)
        for name, site, arguments, text, callers, count, command, program in found["calls"]
    )  # fmt: skip
    return Trace(found["app"], {name: digest for name, digest in found["files"] if digest}, calls)
