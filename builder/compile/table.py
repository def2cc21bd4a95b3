"""The kernel's 64-bit system-call table: which calls it implements, and the table cut down to those an image keeps.

Format of `arch/x86/entry/syscalls/syscall_64.tbl`: number, ABI, name, entry point, compat entry point, `noreturn`,
separated by white space; `#` starts a comment. Rows of the ABI `x32` are another numbering of the same calls.
"""

import difflib
from collections.abc import Collection, Iterator

from builder.errors import ConfigurationError
from builder.value import Value

PATH = "arch/x86/entry/syscalls/syscall_64.tbl"
ABIS = frozenset({"common", "64"})
NOT_IMPLEMENTED = "sys_ni_syscall"


class Row(Value, frozen=True):
    """One row of the table; `entry` is empty where the number is reserved."""

    number: int
    abi: str
    name: str
    entry: str


def rows(text: str) -> tuple[Row, ...]:
    """The rows of a system-call table in their order."""
    return tuple(row for row, _ in _parsed(text) if row)


def implemented(text: str) -> tuple[str, ...]:
    """Names of the calls that 64-bit programs can make of this kernel, in the order of their numbers."""
    return tuple(row.name for row in rows(text) if row.abi in ABIS and row.entry not in ("", NOT_IMPLEMENTED))


def trim(text: str, keep: Collection[str]) -> str:
    """The table with only the rows of the calls to keep. Raises ConfigurationError for a name that is not in it."""
    known = implemented(text)
    for name in sorted(keep):
        if name not in known:
            raise _unknown(name, known)
    wanted = frozenset(keep)
    kept = (line for row, line in _parsed(text) if row and row.abi in ABIS and row.name in wanted)
    return "# the system calls this image keeps\n" + "".join(f"{line}\n" for line in kept)


def _parsed(text: str) -> Iterator[tuple[Row | None, str]]:
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) >= 3 and fields[0].isdigit():
            yield Row(int(fields[0]), fields[1], fields[2], fields[3] if len(fields) > 3 else ""), line
        else:
            yield None, line


def _unknown(name: str, known: Collection[str]) -> ConfigurationError:
    near = difflib.get_close_matches(name, known, n=3)
    return ConfigurationError(
        f"system call {name}: this kernel does not implement it",
        f"did you mean {' or '.join(near)}?" if near else "correct the name where the definition or recipe declares it",
    )
