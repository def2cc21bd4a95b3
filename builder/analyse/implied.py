"""Needs that follow from the image definition itself, and the union of everybody's needs (pure)."""

from builder.definition import Definition
from builder.model import Evidence, Need

# Calls the kernel makes programs use without any instruction of theirs naming the number:
# kernel/signal.c restarts an interrupted call through restart_syscall.
ALWAYS_KEPT = ("restart_syscall", "rt_sigreturn")


def by_definition(definition: Definition) -> tuple[Need, ...]:
    """What the definition asks of the kernel: file systems to mount, TCP/IP for ports, users other than root."""
    found = [_need("mount:proc", "the agent mounts /proc")]
    if definition.files.tmpfs:
        found.append(_need("mount:tmpfs", "files.tmpfs"))
    if definition.secret:
        found += [_need(name, "secret") for name in ("secrets", "mount:sysfs", "mount:tmpfs")]
    if definition.agent.watchdog_s:
        found.append(_need("watchdog", f"agent.watchdog_s is {definition.agent.watchdog_s}"))
    if definition.disk:
        found.append(_need("mount:ext4", "disk"))
    if definition.network.ports:
        found.append(_need("socket:AF_INET", "network.ports"))
    if user := next((user for user in definition.users if user != "root"), ""):
        key = "run.user" if user == definition.run.user else "process.user"
        found.append(_need("capabilities", f"{key} is {user}"))
    if definition.protect.mode != "off":
        found.append(_need("guard", f"protect.mode is {definition.protect.mode}"))
    return tuple(found)


def merge(*groups: tuple[Need, ...]) -> tuple[Need, ...]:
    """All needs, each id once with everybody's evidence, sorted by id; the first group's owner is kept."""
    merged: dict[str, Need] = {}
    for need in (need for group in groups for need in group):
        have = merged.get(need.id)
        merged[need.id] = need if have is None else _joined(have, need)
    return tuple(merged[name] for name in sorted(merged))


def kept(needs: tuple[Need, ...]) -> tuple[str, ...]:
    """The system calls the kernel's table keeps, sorted."""
    return tuple(sorted({n.id.removeprefix("syscall:") for n in needs if n.id.startswith("syscall:")} | {*ALWAYS_KEPT}))


def _joined(one: Need, other: Need) -> Need:
    return Need(one.id, one.evidence + other.evidence, one.by, one.sites + other.sites)


def _need(name: str, why: str) -> Need:
    return Need(name, (Evidence(how=f"image.toml: {why}"),))
