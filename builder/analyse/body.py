"""A function whose parameters decide what of it runs, as its file's summary keeps it."""

from builder.value import Value

Known = tuple[int | str, ...] | None  # as in `sites`
Binding = tuple[int | None, ...]  # the value of each of a body's parameters; None: anything


class Block(Value, frozen=True, array_like=True):
    """A stretch of a function that runs from its start to its end, and what it refers to."""

    start: int
    end: int
    edges: tuple[int, ...]
    uses: tuple[int, ...]
    paths: tuple[str, ...]


class Body(Value, frozen=True, array_like=True):
    """A function whose parameters matter. `outer`: addresses in it that something outside leads to; `through`: where
    its indirect jumps may lead; `endless`: functions it calls that do not return; `memory`: constants it may read, by
    address; `unseen`: code in it that is reached in no way that is seen; `always`: what it refers to wherever it goes;
    `asked`: addresses of calls, with what they push and the locations whose values the analysis wants to know."""

    machine: str
    start: int
    code: bytes
    parameters: tuple[str, ...]
    outer: tuple[int, ...]
    through: tuple[int, ...]
    endless: tuple[int, ...]
    memory: tuple[tuple[int, bytes], ...]
    blocks: tuple[Block, ...]
    unseen: tuple[int, ...]
    always: tuple[int, ...]
    asked: tuple[tuple[int, int, tuple[str, ...]], ...]


class Outcome(Value, frozen=True, array_like=True):
    """What can run of a body: what it refers to then, the texts it names, and of the asked calls that run what the
    locations hold."""

    edges: tuple[int, ...]
    uses: tuple[int, ...]
    paths: tuple[str, ...]
    held: dict[int, dict[str, Known]]
