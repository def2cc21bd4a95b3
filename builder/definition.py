"""The image definition, `images/<app>/image.toml`, as frozen values. Reference: `docs/reference/image-toml.md`.

Unknown keys and wrong types are errors that carry the key path; what is optional has the default users would expect.
"""

import posixpath
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from builder.definition_guard import Protect, RuleEntry
from builder.definition_words import SECRETS, GuestPath, Name, OpenFiles, Pinned, Processes, SecretName, User
from builder.model import Port
from builder.value import Value


class DebianSource(Value, frozen=True, tag="debian", tag_field="kind"):
    """Unmodified files of Debian packages. `packages` are names, each optionally with a version (`name=version`)."""

    packages: Annotated[tuple[Pinned, ...], Meta(min_length=1)]


class BuildSource(Value, frozen=True, tag="build", tag_field="kind"):
    """The application's own source, compiled with `make install DESTDIR=…` in `directory`.

    `toolchain`: `gnu` compiles against a private sysroot made of `packages` (Debian `-dev` packages and what they
    depend on); `musl` links statically against the host's musl.
    """

    directory: str = "src"
    toolchain: Literal["gnu", "musl"] = "gnu"
    packages: tuple[Pinned, ...] = ()


class Run(Value, frozen=True):
    """How the application is started, by whom, and what happens when it ends."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    user: User = "app"  # a name in the image's passwd (made with uid 1000 where no package brings it), or root
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: GuestPath = "/"
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"] = "TERM"
    stop_timeout_s: Annotated[float, Meta(gt=0, le=600)] = 5.0
    processes: Processes = 256
    open_files: OpenFiles = 1024


class Process(Value, frozen=True):
    """A program that runs beside the application, as `user` (default: `run.user`), from the application's start to the
    machine's end. Its lines have `name` as their stream."""

    name: Name
    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    user: User | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: GuestPath = "/"
    restart: Literal["never", "on-failure", "always"] = "always"
    processes: Processes = 256
    open_files: OpenFiles = 1024


class Directory(Value, frozen=True):
    """A directory made in the image, empty, owned by `user`."""

    path: GuestPath
    user: User = "root"
    mode: Annotated[str, Meta(pattern=r"^0[0-7]{3}\Z")] = "0755"


class Tmpfs(Value, frozen=True):
    """A memory file system mounted at boot."""

    path: GuestPath
    size_mib: Annotated[int, Meta(ge=1)] = 8
    user: User = "root"
    mode: Annotated[str, Meta(pattern=r"^[01][0-7]{3}\Z")] = "1777"


class Files(Value, frozen=True):
    """What goes in beyond the program and its closure; `images/<app>/files/` is always laid over the result.

    `include` are paths or globs among the packages' files (`*` within one level, `**` across levels); `plugins` are
    shared objects the application opens by itself (`dlopen`), given as such paths or globs.
    """

    include: tuple[GuestPath, ...] = ()
    plugins: tuple[GuestPath, ...] = ()
    directories: tuple[Directory, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()


class Secret(Value, frozen=True):
    """A value that the host hands over at boot: a file in memory that nobody in the guest can change, `path`, which
    `user` (default: `run.user`) may read. `test_file`, a file beside image.toml, is handed over by the smoke test and
    the trace alone, and never goes into the image."""

    name: SecretName
    path: GuestPath | None = None  # default: /run/secrets/NAME
    user: User | None = None
    mode: Annotated[str, Meta(pattern=r"^04[04][04]\Z")] = "0400"
    test_file: str = ""

    @property
    def place(self) -> str:
        """Where the path leads: the file itself is always in the secrets' own file system."""
        outside = self.path is None or posixpath.dirname(posixpath.normpath(self.path)) != SECRETS
        return f"{SECRETS}/{self.name if outside or self.path is None else posixpath.basename(self.path)}"


class Network(Value, frozen=True):
    """TCP ports the application serves in the guest. Its address is `static`, given by whoever boots it, or comes from
    the network (`dhcp`)."""

    ports: tuple[Port, ...] = ()
    address: Literal["static", "dhcp"] = "static"

    @property
    def is_lent(self) -> bool:
        """Whether the agent asks for the address."""
        return self.address == "dhcp"


class Disk(Value, frozen=True):
    """A data disk, ext4, that outlives the machine. A host file, made at the first run."""

    mount: GuestPath
    size_mib: Annotated[int, Meta(ge=4, le=1048576)] = 64
    user: User = "app"


class Machine(Value, frozen=True):
    """The virtual machine's size and kind (`recipes/platforms/`)."""

    memory_mib: Annotated[int, Meta(ge=4, le=1048576)] = 64
    platform: Name = "microvm"


class Declared(Value, frozen=True):
    """Needs the analysis cannot see, and what it may leave out. Each `features` entry is a need id."""

    features: tuple[str, ...] = ()
    syscalls: tuple[str, ...] = ()


class HintEntry(Value, frozen=True):
    """Code that is reachable and yet never runs in this image: a function (or data object) as `symbol@file`, where the
    file is a soname or the last part of a path and the symbol may have `*`. `needs` narrows it to these need ids."""

    function: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@/\s]+\Z")]
    reason: Annotated[str, Meta(min_length=1)]
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


class Policy(Value, frozen=True):
    """What a new version may bring. `growth`: `free`, or `approved`, which refuses a need of the application that
    `approved.json` does not list."""

    growth: Literal["free", "approved"] = "free"


class AgentChoice(Value, frozen=True):
    """The agent layer: a folder under `recipes/agents/`; its port serves `/metrics` and `/healthz` in the guest, and
    every `heartbeat_s` seconds it gives a sign of life on the console (0: never). Every `verify_s` seconds (0: never)
    it compares the image's files with their baked-in digests; with `verify_first` also before it starts the
    application, which it then does only when none differs. With `watchdog_s` the machine is reset when process 1 has
    not been at work for so many seconds (0: there is no watchdog)."""

    name: Name = "kiln"
    port: Port = 9100
    heartbeat_s: Annotated[int, Meta(ge=0, le=3600)] = 10
    verify_s: Annotated[int, Meta(ge=0, le=604800)] = 3600
    verify_first: bool = False
    watchdog_s: Annotated[int, Meta(ge=10, le=30)] | Literal[0] = 0


class HealthCheck(Value, frozen=True):
    """What the agent asks the application from inside: that `tcp` takes connections, or that `http` on `port` answers
    with a status from 200 to 399. Failures in the first `start_s` seconds of the application do not count."""

    tcp: Port | None = None
    http: Annotated[str, Meta(pattern=r"^/[!-~]{0,254}\Z")] | None = None
    port: Port | None = None  # with http; default: the first of network.ports
    interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    timeout_s: Annotated[float, Meta(ge=0.1, le=3600)] = 2.0
    failures: Annotated[int, Meta(ge=1, le=1000)] = 3
    start_s: Annotated[float, Meta(ge=0, le=86400)] = 10.0


class Health(Value, frozen=True):
    """When the application is well, beyond listening on every port: `ready` decides what `/healthz` says, and after
    `failures` of `live` in a row the application is ended, as if it had crashed."""

    ready: HealthCheck | None = None
    live: HealthCheck | None = None

    @property
    def is_asked(self) -> bool:
        """Whether there is a check at all."""
        return self.ready is not None or self.live is not None


class HttpCheck(Value, frozen=True, tag="http", tag_field="kind"):
    """One HTTP request to a published port and what its answer must be. `contains` is searched in the body."""

    path: Annotated[str, Meta(pattern=r"^/")] = "/"
    port: Port | None = None  # default: the first of network.ports
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] = "GET"
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: Annotated[int, Meta(ge=100, le=599)] = 200
    contains: str = ""


class TcpCheck(Value, frozen=True, tag="tcp", tag_field="kind"):
    """Bytes sent to a published port and a regular expression the answer must match (escapes as in Python)."""

    send: str = ""
    expect: str = ""
    port: Port | None = None


class LogCheck(Value, frozen=True, tag="log", tag_field="kind"):
    """A regular expression that a line the application printed must match."""

    expect: str


class ExitCheck(Value, frozen=True, tag="exit", tag_field="kind"):
    """The application ends by itself with this exit code."""

    code: Annotated[int, Meta(ge=0, le=255)] = 0


class RebootCheck(Value, frozen=True, tag="reboot", tag_field="kind"):
    """The machine is stopped cleanly and booted again with the same disk; the checks after it ask the second boot."""


Check = HttpCheck | TcpCheck | LogCheck | ExitCheck | RebootCheck


class Smoke(Value, frozen=True):
    """How the image is checked. `tolerate` names system calls whose refusal by the kernel is no failure."""

    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    tolerate: tuple[str, ...] = ()
    check: tuple[Check, ...] = ()


class Workload(Value, frozen=True):
    """What `./invoke trace` does with the application besides the smoke checks: `check` comes after these."""

    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    check: tuple[Check, ...] = ()


class Definition(Value, frozen=True):
    """One image definition. `name` is that of its folder."""

    source: DebianSource | BuildSource
    run: Run
    description: str = ""
    process: tuple[Process, ...] = ()
    files: Files = Files()
    secret: tuple[Secret, ...] = ()
    network: Network = Network()
    disk: Disk | None = None
    machine: Machine = Machine()
    profile: Name = "lean"
    needs: Declared = Declared()
    hint: tuple[HintEntry, ...] = ()
    policy: Policy = Policy()
    agent: AgentChoice = AgentChoice()
    health: Health = Health()
    protect: Protect = Protect()
    rule: tuple[RuleEntry, ...] = ()
    smoke: Smoke = Smoke()
    trace: Workload = Workload()
    name: str = ""  # set from the folder's name when it is read

    @property
    def users(self) -> tuple[str, ...]:
        """As whom the application and the processes beside it run."""
        return (self.run.user, *(process.user for process in self.process if process.user))
