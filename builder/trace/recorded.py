"""The text of /proc/kiln_trace (pure). Written by kernel/kiln_trace.c, see recipes/trace/patches/.

    file ID x|- PATH                        x: it was mapped executable
    opened PATH
    reached PLACE                           it was a return address on the stack of some call
    call NUMBER SITE COUNT PROGRAM ARGUMENTS CALLERS COMMAND TEXT
    end LINES LOST                          how many lines came before; how many records found no room

A place is `ID:OFFSET` (hexadecimal, in the file) or `-` where no file is mapped; arguments are `INDEX=VALUE`
(hexadecimal); lists are joined by commas; `-` is empty. In paths and texts, blanks, backslashes and what is no
printable ASCII are three octal digits behind a backslash.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from builder.errors import SmokeError
from builder.value import Value

Item = TypeVar("Item")


class Place(Value, frozen=True):
    """An offset in a file, by the file's number; the number is -1 where no file is mapped."""

    file: int = -1
    offset: int = 0


class Call(Value, frozen=True):
    """One record: a system call by its number; `program` is the file it runs, -1: not known."""

    number: int
    site: Place
    count: int
    program: int
    arguments: Mapping[int, int]
    callers: tuple[Place, ...]
    command: str
    text: str


class Recorded(Value, frozen=True):
    """What one boot has recorded. `files` are paths by number, `executable` the numbers of those mapped so."""

    files: Mapping[int, str]
    executable: frozenset[int]
    opened: tuple[str, ...]
    reached: tuple[Place, ...]
    calls: tuple[Call, ...]

    def places(self) -> Iterator[Place]:
        """Every place that is spoken of, in no order."""
        yield from self.reached
        yield from (place for call in self.calls for place in (call.site, *call.callers))


def parse(lines: Sequence[str]) -> Recorded:
    """The records of one boot. Raises SmokeError when they are not whole: lines are missing or found no room."""
    _check_end(lines)
    files: dict[int, str] = {}
    executable: set[int] = set()
    opened: list[str] = []
    reached: list[Place] = []
    calls: list[Call] = []
    for line in lines[:-1]:
        try:
            match line.split(" "):
                case ["file", number, "x" | "-" as kind, path]:
                    files[int(number)] = _text(path)
                    executable |= {int(number)} if kind == "x" else set()
                case ["opened", path]:
                    opened.append(_text(path))
                case ["reached", place]:
                    reached.append(_place(place))
                case ["call", *fields]:
                    calls.append(_call(fields))
                case _:
                    raise _damaged(line)
        except ValueError as error:
            raise _damaged(line) from error
    found = Recorded(files, frozenset(executable), tuple(opened), tuple(reached), tuple(calls))
    if strange := {place.file for place in found.places()} - {-1} - files.keys():
        raise _damaged(f"no file has number {min(strange)}")
    return found


def _check_end(lines: Sequence[str]) -> None:
    match lines[-1].split(" ") if lines else []:
        case ["end", count, lost] if count.isdecimal() and lost.isdecimal():
            if int(lost):
                hint = "shorten the workload, or raise the limits on top of kernel/kiln_trace.c"
                raise SmokeError(f"the trace is not whole: {lost} records found no room in the kernel's table", hint)
            if int(count) != len(lines) - 1:
                raise SmokeError(f"the trace is not whole: {len(lines) - 1} of {count} lines came through")
        case _:
            raise SmokeError("the trace is not whole: its last line did not come", "was the machine ended too early?")


def _call(fields: Sequence[str]) -> Call:
    number, site, count, program, arguments, callers, command, text = fields
    return Call(
        int(number),
        _place(site),
        int(count),
        -1 if program == "-" else int(program),
        dict(_list(arguments, _argument)),
        tuple(_list(callers, _place)),
        _text(command),
        _text(text),
    )


def _list(text: str, parse_one: Callable[[str], Item]) -> Iterable[Item]:
    return () if text == "-" else map(parse_one, text.split(","))


def _argument(text: str) -> tuple[int, int]:
    index, _, value = text.partition("=")
    return int(index), int(value, 16)


def _place(text: str) -> Place:
    if text == "-":
        return Place()
    file, _, offset = text.partition(":")
    return Place(int(file), int(offset, 16))


def _text(text: str) -> str:
    if text == "-":
        return ""
    plain = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), text.encode())
    return plain.decode(errors="replace")


def _damaged(line: str) -> SmokeError:
    return SmokeError(f"the trace is damaged: {line[:120]!r}", "is something else written to the serial console?")
