"""What a program was seen to do: the values of a trace, `images/<app>/trace.json`.

A trace is recorded in a machine whose kernel has every system call (`invoke trace`). It is committed beside the lock:
each build checks that the analysis had expected everything in it.
"""

from collections.abc import Mapping

from msgspec import field

from builder.value import SCHEMA_VERSION, Value


class Spot(Value, frozen=True, order=True):
    """A place in a file: a guest path and an address as the ELF file numbers it (load bias taken off)."""

    file: str
    address: int


class TracedCall(Value, frozen=True):
    """One system call as one instruction made it with the same telling arguments.

    `site` is the system call instruction itself; its file is empty where it lies in no file (vDSO, generated code).
    `arguments` are the values of the telling arguments by index, those the kernel looks at to decide on a feature
    (socket's family, ioctl's request); other arguments are left out. `text` is the path or file system type that an
    argument points to. `callers` are the places on the user's stack that look like return addresses, innermost first:
    some may be stale. `count` says how often the call was made, `command` the thread's name, `program` the file it
    runs (/proc/PID/exe).
    """

    name: str
    site: Spot
    arguments: Mapping[int, int] = field(default_factory=dict)
    text: str = ""
    callers: tuple[Spot, ...] = ()
    count: int = 1
    command: str = ""
    program: str = ""


class Trace(Value, frozen=True):
    """Everything recorded of one application. `files` are the ELF files that were mapped executable, by guest path,
    with the SHA-256 of their content: a place in a file that has changed since says nothing any more. `opened` are
    the paths of files that were opened, sorted. `reached` are further return addresses seen on the stacks of calls
    that came by other ways than at first, sorted: what is before each of them ran, although not in which order."""

    app: str
    files: Mapping[str, str]
    calls: tuple[TracedCall, ...]
    opened: tuple[str, ...] = ()
    reached: tuple[Spot, ...] = ()
    schema: int = SCHEMA_VERSION

    def syscalls(self) -> tuple[str, ...]:
        """Names of the system calls seen, sorted."""
        return tuple(sorted({call.name for call in self.calls}))

    def returns(self) -> frozenset[Spot]:
        """Every return address that was seen on a stack: the call before each of them was made."""
        return frozenset(self.reached) | {caller for call in self.calls for caller in call.callers}
