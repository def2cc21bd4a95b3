"""Frozen values that pass between the stages. Names carry their units; paths inside the guest start with `/`.

The words are those of `docs/reference/vocabulary.md`: a *definition* says what to run, *inputs* are what an image is
made from, *needs* are what the application asks of a kernel, a *platform* is the machine it boots on.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from builder.value import SCHEMA_VERSION, Value, digest

# ---- inputs ---------------------------------------------------------------------------------------------------


class Package(Value, frozen=True):
    """One locked Debian package: the digest is that of the `.deb`."""

    name: str
    version: str
    architecture: str
    sha256: str
    size_bytes: int = 0
    source: str = ""  # source package, "name version"
    section: str = ""  # the archive's, such as libs


class File(Value, frozen=True):
    """One entry of a file tree. `path` is where it stands in the guest (absolute, normalised, no `..`).

    `host` is where a regular file's content lies on the host (in the store); `sha256` and `size_bytes` describe that
    content; `target` is a symbolic link's text; `origin` names who brought it: `deb:nginx`, `build:myservice`,
    `overlay`, `agent`, `kiln`.
    """

    path: str
    kind: Literal["file", "symlink", "directory", "character-device", "block-device"]
    mode: int = 0o644  # permission bits only
    uid: int = 0
    gid: int = 0
    target: str = ""
    sha256: str = ""
    size_bytes: int = 0
    host: str = ""
    origin: str = ""
    device: tuple[int, int] = (0, 0)  # major, minor of a device node


Tree = Mapping[str, File]  # by guest path


# ---- analysis -------------------------------------------------------------------------------------------------


class Evidence(Value, frozen=True):
    """Why a need exists: an instruction, a declaration of the definition, or what a recipe implies.

    `chain` is the call chain from an entry point to the site, symbol names with the file they are in
    (`main@/usr/sbin/nginx`); it may be shortened. `how` says in words how the need was found.
    """

    how: str
    file: str = ""
    address: int = 0
    function: str = ""
    chain: tuple[str, ...] = ()


class Need(Value, frozen=True):
    """One thing asked of the kernel. `id` is `syscall:epoll_wait`, `socket:AF_INET`, `path:/proc`, `mount:tmpfs` …

    `by` says for whom: `app`, `agent` or `platform`. The first evidence is the best one; `sites` counts all.
    """

    id: str
    evidence: tuple[Evidence, ...]
    by: Literal["app", "agent", "platform"] = "app"
    sites: int = 1


class Unresolved(Value, frozen=True):
    """A place the analysis could not decide: it was counted as `assumed`, so the result is larger, not smaller."""

    file: str
    address: int
    function: str
    why: str
    assumed: tuple[str, ...] = ()


class ClosureFile(Value, frozen=True):
    """An ELF file that can be mapped into the application, and who asked for it (empty: a program itself)."""

    path: str
    needed_by: str = ""
    soname: str = ""
    why: Literal["program", "interpreter", "needed", "plugin"] = "needed"


class Needs(Value, frozen=True):
    """What an application (or the agent) asks of a kernel. `needs` is sorted by id. `hinted` are the ids that hints
    take out, `hints` the names of those hints."""

    closure: tuple[ClosureFile, ...]
    needs: tuple[Need, ...]
    unresolved: tuple[Unresolved, ...] = ()
    hinted: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    schema: int = SCHEMA_VERSION

    def syscalls(self) -> tuple[str, ...]:
        """Names of the system calls among the needs, sorted."""
        return tuple(sorted(n.id.removeprefix("syscall:") for n in self.needs if n.id.startswith("syscall:")))


# ---- configuration --------------------------------------------------------------------------------------------


class Reason(Value, frozen=True):
    """Why an option is set: the recipe (file) that says so, its words, and the needs that triggered it."""

    recipe: str
    text: str
    needs: tuple[str, ...] = ()


class Option(Value, frozen=True):
    """One requested Kconfig option without the `CONFIG_` prefix; `value` is `y`, `n`, a number or a quoted string."""

    name: str
    value: str
    reasons: tuple[Reason, ...]


class KernelConfig(Value, frozen=True):
    """The `.config` that Kconfig granted for the requested options, and the system calls the table keeps."""

    text: str  # the whole .config as the kernel's own conf wrote it
    fragment: str  # the requested options, rendered with their reasons
    options: tuple[Option, ...]
    syscalls: tuple[str, ...]  # sorted names kept in the table
    enabled_count: int  # options =y in `text`


class KernelSource(Value, frozen=True):
    """A read-only, patched kernel source tree in the store."""

    path: str
    version: str  # upstream version, 6.12.117
    package: Package
    patches: tuple[str, ...]  # names, in order of application
    key: str  # digest of package and patches


class Kernel(Value, frozen=True):
    """A compiled kernel: `vmlinux` is the stripped PVH ELF image that QEMU boots."""

    vmlinux: str
    sha256: str
    size_bytes: int
    syscalls_total: int  # implemented system calls of this architecture before trimming
    text_bytes: int  # size of .text


# ---- platform, profile ----------------------------------------------------------------------------------------


class OptionSetting(Value, frozen=True):
    """One option a recipe asks for, with the reason that ends up beside it in the configuration."""

    name: str
    reason: str
    value: str = "y"


class AcceleratorSettings(Value, frozen=True):
    """What one accelerator changes on a platform: QEMU arguments and kernel parameters, in order."""

    qemu: tuple[str, ...] = ()
    kernel_parameters: tuple[str, ...] = ()


class Platform(Value, frozen=True):
    """A machine to boot on (`recipes/platforms/<name>.toml`): options its drivers need and how QEMU is started.

    `network_device` and `block_device` are QEMU `-device` values; `{netdev}` and `{drive}` are replaced by ids.
    """

    name: str
    description: str
    architecture: Literal["x86_64"]
    qemu_binary: str
    machine: str
    qemu: tuple[str, ...]
    network_device: str
    block_device: str
    kernel_parameters: tuple[str, ...]
    accelerators: Mapping[str, AcceleratorSettings]
    options: tuple[OptionSetting, ...]
    network_options: tuple[OptionSetting, ...] = ()  # only when the image has a network
    block_options: tuple[OptionSetting, ...] = ()  # only when the image has a disk
    secret_parameters: tuple[str, ...] = ()  # of the kernel, only when the image has secrets
    watchdog: tuple[str, ...] = ()  # QEMU's arguments, only when the image has one


class Profile(Value, frozen=True):
    """Trade-offs (`recipes/profiles/<name>.toml`): options and compiler flags."""

    name: str
    description: str
    options: tuple[OptionSetting, ...]
    kcflags: tuple[str, ...] = ()


# ---- results --------------------------------------------------------------------------------------------------


class Layer(Value, frozen=True):
    """One part of the root file system: its own cpio archive with its own digest."""

    name: Literal["etc", "agent", "app"]
    sha256: str
    size_bytes: int
    files: int
    path: str


class Image(Value, frozen=True):
    """What boots: paths of kernel and root file system, and what the launcher must offer."""

    name: str
    kernel: str
    kernel_sha256: str
    rootfs: str
    memory_mib: int
    platform: str
    ports: tuple[int, ...] = ()
    dhcp: bool = False  # it asks for its address
    agent_port: int = 0  # 0: the agent serves no pages, else page → samples that are all 1 there
    agent_pages: tuple[tuple[str, str], ...] = (("/healthz", ""), ("/metrics", "kiln_application_up"))
    disk_mib: int = 0  # 0: no disk
    layers: tuple[Layer, ...] = ()
    secrets: tuple[str, ...] = ()  # names of what must be handed over at boot
    watchdog: bool = False  # the machine has one


class Accelerator(Value, frozen=True):
    """The accelerator to use and how that was decided (`probed`, `remembered`, `chosen`)."""

    name: Literal["kvm", "tcg"]
    why: str


class CheckResult(Value, frozen=True):
    """One check of a smoke test."""

    name: str
    passed: bool
    detail: str = ""
    seconds: float = 0.0


class Moment(Value, frozen=True):
    """A point of the boot timeline, in seconds since QEMU was started."""

    name: str
    at_s: float


class Verdict(Value, frozen=True):
    """A smoke test's outcome with its evidence; paths are those of the saved files."""

    passed: bool
    checks: tuple[CheckResult, ...]
    accelerator: Accelerator
    timeline: tuple[Moment, ...] = ()
    refused: tuple[str, ...] = ()  # system calls the kernel refused, "name (nr) by comm"
    surprises: tuple[str, ...] = ()  # kernel warnings, crashes, anything nobody declared
    metrics: Mapping[str, float] = field(default_factory=dict)
    memory_mib: int = 0
    boot_s: float = 0.0  # to the first passed check that asks the service; 0: none asks
    serial_log: str = ""
    schema: int = SCHEMA_VERSION


Port = Annotated[int, Meta(ge=1, le=65535)]


def digest_tree(tree: Tree) -> str:
    """Digest of a file tree's entries, wherever their contents lie on this machine."""
    entries = (f for _, f in sorted(tree.items()))
    return digest([(f.path, f.kind, f.mode, f.uid, f.gid, f.target, f.sha256, f.device) for f in entries])
