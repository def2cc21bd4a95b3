"""What an image definition says about its protection: `[protect]` and `[[rule]]`."""

from typing import Annotated, Literal

from msgspec import Meta

from builder.definition_words import GuestPath
from builder.value import Value

ServedPort = Annotated[str, Meta(pattern=r"^[0-9]{1,5}(/(tcp|udp))?\Z")]
Peer = Annotated[str, Meta(pattern=r"^(\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):(\*|[0-9]{1,5})\Z")]


class Protect(Value, frozen=True):
    """What the kernel's guard holds the application to after its start.

    `exec`: the programs that may be started (default: those of the image, if the analysis finds that it starts any);
    `listen`: ports besides `network.ports`, as `port` or `port/udp`; `connect`: peers as `address:port`, either may be
    `*`, an IPv6 address stands in brackets (default: none, or reported if the analysis finds that it connects);
    `writable_code`: it makes code at run time; `quiet`: of what the kernel itself refuses, for want of a permission
    (`access`) or at a limit (`limit`), what is counted but not told; `read_only_root`: nothing in the root file system
    can be written (default: where nothing in it belongs to the application and `/tmp` is a tmpfs).
    """

    mode: Literal["enforce", "audit", "off"] = "enforce"
    exec: tuple[GuestPath, ...] | None = None
    listen: tuple[ServedPort, ...] = ()
    connect: tuple[Peer, ...] | None = None
    writable_code: bool = False
    read_only_root: bool | None = None
    quiet: tuple[Literal["access", "limit"], ...] = ()


Response = Literal["count", "log", "alert", "kill", "freeze", "power-off"]
RuleWord = Annotated[str, Meta(pattern=r"^[!-~]{1,40}\Z")]


class RuleEntry(Value, frozen=True):
    """What is done about what the machine's guards find; one by the name of a built-in rule changes that one.

    `on` is the event, `kind`, `verdict` and `what` are its fields (`*` at the end: whatever follows); `count` findings
    within `within_s` seconds (0: ever) bring the response.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    on: Literal["guard", "refused", "crash", "changed", "kernel", "output", "dropped", "lease-lost"] | None = None
    kind: RuleWord | None = None
    verdict: RuleWord | None = None
    what: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    count: Annotated[int, Meta(ge=1, le=1000000)] | None = None
    within_s: Annotated[int, Meta(ge=0, le=86400)] | None = None
    response: Response | None = None
    reason: str = ""
