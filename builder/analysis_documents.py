"""What `invoke analyse` and `invoke explain` print with `--json`, as frozen values. Reference:
`docs/reference/analyse-json.md`."""

from typing import Literal

from msgspec import UNSET, UnsetType

from builder.model import Unresolved
from builder.value import SCHEMA_VERSION, Value

Tier = Literal["traced", "reachable", "hinted out", "unresolved"]
TIERS: tuple[Tier, ...] = ("traced", "reachable", "hinted out", "unresolved")
HOW = (
    "constant at the instruction",
    "passed by a caller",
    "named by code or data",
    "assumed: unresolved",
    "declared",
    "implied by the kernel",
    "found",
)


class Proof(Value, frozen=True):
    """One piece of evidence. `how` is one of `HOW`, `says` the analysis' own words; `package` owns the file, with its
    version where that is known; `build_id` is the file's, in hexadecimal."""

    how: str
    says: str
    file: str = ""
    address: int = 0
    function: str = ""
    chain: tuple[str, ...] = ()
    package: str = ""
    build_id: str = ""


class Feature(Value, frozen=True):
    """A need other than a system call. `sites` counts all places, `evidence` holds the best of them."""

    name: str
    tier: Tier
    by: str
    sites: int
    evidence: tuple[Proof, ...]


class Call(Value, frozen=True):
    """A system call, with its number on the architecture (-1: it has none there)."""

    name: str
    number: int
    tier: Tier
    by: str
    sites: int
    evidence: tuple[Proof, ...]


class SwitchedOn(Value, frozen=True):
    """A kernel option that needs of the application switch on, by the recipes; `needs` are those that do, `tier` is
    that of the surest of them."""

    name: str
    value: str
    needs: tuple[str, ...]
    tier: Tier = "reachable"


class Mapped(Value, frozen=True):
    """A file of the closure (as `model.ClosureFile`), who owns it, and its content's identity."""

    path: str
    why: str
    needed_by: str = ""
    soname: str = ""
    package: str = ""
    sha256: str = ""
    build_id: str = ""


class Opened(Value, frozen=True):
    """Something that may be opened at run time (as `analyse.plugins.Plugin`)."""

    name: str
    needed_by: str
    why: str
    packaged: bool
    files: int = 1


class Saving(Value, frozen=True):
    """A function (or a table of functions) without which options, calls and features would go.

    `function` is the topmost that has a name, preferably in the program's own file, as `symbol@file`; `library` the
    topmost named one of a library that saves exactly the same; `users` the files that alone lead to it. `hint` is
    what to write into image.toml (empty: no function has a name). `chain` leads to the topmost of them all.
    """

    function: str
    library: str
    users: tuple[str, ...]
    hint: str
    options: tuple[str, ...]
    syscalls: tuple[str, ...]
    features: tuple[str, ...]
    chain: tuple[str, ...] = ()


class AgentCost(Value, frozen=True):
    """What an image has for its agent alone: system calls and kernel options that nobody else asks for, files with
    their size as they are and with gzip; `resident_bytes` is the memory that the agent had in use when a smoke test
    asked (0: not known)."""

    name: str
    syscalls: tuple[str, ...]
    options: tuple[str, ...]
    files: int
    program_bytes: int
    gzip_bytes: int
    resident_bytes: int = 0


class Analysis(Value, frozen=True):
    """The answer of `invoke analyse`: `app` or `file` says of what."""

    machine: str
    syscalls: tuple[Call, ...]
    features: tuple[Feature, ...]
    options: tuple[SwitchedOn, ...]
    unresolved: tuple[Unresolved, ...]
    closure: tuple[Mapped, ...]
    plugins: tuple[Opened, ...] = ()
    alone: tuple[Saving, ...] | UnsetType = UNSET
    app: str | UnsetType = UNSET
    file: str | UnsetType = UNSET
    traced: bool = False
    hints: tuple[str, ...] = ()  # names of those that hold
    agent_cost: AgentCost | UnsetType = UNSET  # of an image
    seconds: float = 0.0
    schema: int = SCHEMA_VERSION

    @property
    def subject(self) -> str:
        """What was analysed: an image's name or a file's path."""
        return self.app or self.file or ""


class Change(Value, frozen=True):
    """Something that comes or goes. `functions` are those responsible: on the first evidence's chain, and not in the
    other version. `chain` is that chain."""

    name: str
    change: Literal["comes", "goes"]
    functions: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # of an option


class FileChange(Value, frozen=True):
    """A file of the closure that is new, gone, or has another content; packages with versions where known."""

    path: str
    change: Literal["comes", "goes", "changed"]
    old: str = ""
    new: str = ""


class Difference(Value, frozen=True):
    """The answer of `invoke analyse --against`: what `new` has and `old` has not, and the other way round."""

    old: str
    new: str
    syscalls: tuple[Change, ...]
    features: tuple[Change, ...]
    options: tuple[Change, ...]
    files: tuple[FileChange, ...]
    kept: int  # system calls both have
    seconds: float = 0.0
    schema: int = SCHEMA_VERSION


class Explained(Value, frozen=True):
    """The answer of `invoke explain --syscall` or `--need`. `kept`: whether the built image has it, None where the
    image is not built. `asked_by`: one entry for the application, the agent and the definition, where they do."""

    app: str
    need: str
    kept: bool | None
    asked_by: tuple[Feature, ...]
    options: tuple[str, ...]
    explanation: tuple[str, ...] = ()
    schema: int = SCHEMA_VERSION
