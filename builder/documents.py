"""The documents a build leaves in `dist/<app>/`, as frozen values. Reference: `docs/reference/results.md`."""

from collections.abc import Mapping

from builder.model import SCHEMA_VERSION, Kernel, Layer, Need, Needs, Option, Package, Value, Verdict


class StageRecord(Value, frozen=True):
    """One stage of a build: digests of what went in, whether the store had the result, and how long it took."""

    name: str
    inputs: Mapping[str, str]
    cached: bool
    seconds: float


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
    agent_port: int = 0
    disk_mib: int = 0
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
