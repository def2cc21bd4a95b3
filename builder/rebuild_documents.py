"""The documents of `outdated`, `lock` and `rebuild`, as frozen values. Reference: `docs/reference/rebuild.md`."""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from builder.analysis_documents import Difference
from builder.value import SCHEMA_VERSION, Value

# from what needs no rebuild to what nobody can tell
Verdict = Literal["unaffected", "contents only", "needs change", "kernel affected", "toolchain", "unknown"]
VERDICTS: tuple[Verdict, ...] = (
    "unaffected",
    "contents only",
    "needs change",
    "kernel affected",
    "toolchain",
    "unknown",
)


class Moved(Value, frozen=True):
    """A package in two versions; `suites` are those that have the new one."""

    name: str
    old: str
    new: str
    suites: tuple[str, ...] = ()


class Function(Value, frozen=True):
    """A function that differs, and whether the application can reach it, in the old or the new version."""

    name: str
    what: Literal["changed", "added", "removed"]
    reachable: bool


class FileChange(Value, frozen=True):
    """A file of the image that differs. `functions` are those of an ELF file of the closure, by name the ones that
    have a symbol; `unnamed` counts those without one, `unnamed_reachable` those of them that can be reached."""

    path: str
    what: Literal["changed", "added", "removed"]
    origin: str
    functions: tuple[Function, ...] = ()
    unnamed: int = 0
    unnamed_reachable: int = 0


class Entry(Value, frozen=True):
    """One version's entry: what changed in it, where it went (`bookworm-security`), and the CVE numbers it names."""

    version: str
    distribution: str
    urgency: str
    text: str
    cves: tuple[str, ...] = ()


class SourceChange(Value, frozen=True):
    """One changed file that the build reads. `present` says whether what changed may be in the kernel, `why` how that
    is known; `functions` are the changed ones that are in it."""

    path: str
    present: bool
    why: str
    functions: tuple[str, ...] = ()


class Touched(Value, frozen=True):
    """A change of the source seen from one kernel: numbers of files that changed, of those the build read, and of
    those of which the kernel has what changed; `changes` are the files read."""

    changed: int
    read: int
    present: int
    changes: tuple[SourceChange, ...]


class CveVerdict(Value, frozen=True):
    """A vulnerability that a kernel update names: the files its record lists, and what they are to this kernel."""

    id: str
    verdict: Literal["in this kernel", "not in this kernel", "unknown"]
    why: str
    files: tuple[str, ...] = ()


class Change(Value, frozen=True):
    """One changed input of an image and what it means for the image.

    `input`: a source package, or what else goes in (agent, recipes, compiler …). `difference` of the needs where they
    change; `kernel` where the input is the kernel's source. `security`: by the archive's suite or by CVE numbers."""

    input: str
    role: str
    verdict: Verdict
    why: str
    packages: tuple[Moved, ...] = ()
    security: bool = False
    cves: tuple[str, ...] = ()
    changelog: tuple[Entry, ...] = ()
    files: tuple[FileChange, ...] = ()
    difference: Difference | None = None
    kernel: Touched | None = None
    kernel_cves: tuple[CveVerdict, ...] = ()


class ImageState(Value, frozen=True):
    """One image: what changed of its inputs, and the gravest verdict. `notes`: what is odd about its lock, such as a
    version that went backwards or left the archive."""

    app: str
    verdict: Verdict
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def affected(self) -> bool:
        """Whether it has to be built anew."""
        return self.verdict != "unaffected"


class Outdated(Value, frozen=True):
    """`outdated --json`. `affected` are the names of the images to rebuild, `security` those of them for a security
    fix; `kernels` is the number of kernels they need to be built, after sharing; `unlocked` have no lock yet."""

    images: tuple[ImageState, ...]
    affected: tuple[str, ...]
    security: tuple[str, ...]
    kernels: int = 0
    unlocked: tuple[str, ...] = ()
    schema: int = field(default=SCHEMA_VERSION)


class Planned(Value, frozen=True):
    """One image of a plan: the gravest verdict, what it comes from, which packages move, about how long it takes."""

    app: str
    verdict: Verdict
    why: tuple[str, ...]
    moves: tuple[Moved, ...]
    estimate_s: float


class Plans(Value, frozen=True):
    """`rebuild --dry-run --json`."""

    images: tuple[Planned, ...]
    estimate_s: float
    schema: int = SCHEMA_VERSION


class Rebuilt(Value, frozen=True):
    """What became of one image. `promoted`: it is the current one now; `the same`: bit for bit the one before;
    `not checked`: built without a smoke test; `refused` by its policy; `failed`: the last good one stays.

    `evidence` is where a failed smoke test can be looked into; `exit_code` that of the error, 0 without one."""

    app: str
    outcome: Literal["promoted", "the same", "not checked", "refused", "failed"]
    verdict: Verdict
    why: str = ""
    moves: tuple[Moved, ...] = ()
    seconds: float = 0.0
    kernel_built: bool = False
    kernel_sha256: str = ""
    evidence: str = ""
    exit_code: int = 0
    stages: Mapping[str, float] = {}


class RebuildReport(Value, frozen=True):
    """`rebuild --json`, also kept as `dist/rebuild.json`. `kernels` were compiled for it."""

    images: tuple[Rebuilt, ...]
    kernels: int
    seconds: float
    schema: int = SCHEMA_VERSION
