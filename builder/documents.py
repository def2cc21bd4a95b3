"""The documents a build leaves in `dist/<app>/`, as frozen values. Reference: `docs/reference/results.md`."""

from collections.abc import Mapping

from builder.analysis_documents import AgentCost
from builder.model import Kernel, Layer, Need, Needs, Option, Package, Verdict
from builder.value import SCHEMA_VERSION, Value


class StageRecord(Value, frozen=True):
    """One stage of a build: digests of what went in, whether the store had the result, and how long it took; `made_s`
    is how long it took when something was really made for it, now or in an earlier build (0: not known)."""

    name: str
    inputs: Mapping[str, str]
    cached: bool
    seconds: float
    made_s: float = 0.0


class Report(Value, frozen=True):
    """`image.json`: what an image is made from, what it consists of, and how it was checked."""

    name: str
    platform: str
    profile: str
    packages: tuple[Package, ...]
    kernel_version: str
    kernel: Kernel
    layers: tuple[Layer, ...]
    rootfs_bytes: int
    options: int  # enabled in the kernel's configuration
    options_requested: int
    syscalls_kept: int
    syscalls_total: int
    memory_mib: int
    stages: tuple[StageRecord, ...]
    ports: tuple[int, ...] = ()
    dhcp: bool = False  # it asks for its address
    agent_port: int = 0
    disk_mib: int = 0
    secrets: tuple[str, ...] = ()  # names of what must be handed over at boot
    watchdog: bool = False  # the machine must have one
    agent_pages: tuple[tuple[str, str], ...] = ()  # path, samples that are all 1 there
    agent_cost: AgentCost | None = None
    verdict: Verdict | None = None  # None: not checked (--no-smoke)
    schema: int = SCHEMA_VERSION


class ImageNeeds(Value, frozen=True):
    """`needs.json`: what the application and the agent ask of the kernel, kept apart, and what the definition adds."""

    application: Needs
    agent: Needs
    definition: tuple[Need, ...]
    schema: int = SCHEMA_VERSION


class ImageOptions(Value, frozen=True):
    """`options.json`: every option asked of Kconfig with its reasons, and the system calls the table keeps."""

    options: tuple[Option, ...]
    syscalls: tuple[str, ...]
    schema: int = SCHEMA_VERSION


class PlacedFile(Value, frozen=True):
    """One file of the root file system: its layer, who brought it and its content's digest."""

    path: str
    kind: str
    layer: str
    origin: str
    size_bytes: int = 0
    sha256: str = ""


class ImageFiles(Value, frozen=True):
    """`files.json`: every entry of the root file system."""

    files: tuple[PlacedFile, ...]
    schema: int = SCHEMA_VERSION


class Running(Value, frozen=True):
    """`machine.json`: a machine that was started. `ports` is guest port → host port on loopback; `agent_port` the
    host's port for the agent's, 0 without; `started` is in seconds since 1970, `pid` its keeper's process."""

    id: str
    app: str
    pid: int
    started: float
    accelerator: str
    memory_mib: int
    ports: Mapping[int, int]
    agent_port: int = 0
    version: str = ""  # of the image: the start of its kernel's and layers' digests
    schema: int = SCHEMA_VERSION


class Ended(Value, frozen=True):
    """`ended.json`: the machine's exit code, and when it ended in seconds since 1970."""

    code: int
    at: float
