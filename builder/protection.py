"""The policy that the agent seals in the kernel's guard before the application starts (pure).

Lines as `recipes/agents/kiln/kernel/policy.c` reads them. What the analysis shows that the application never asks for
is denied; what it may ask for, and the definition says nothing about, is reported.
"""

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from builder.analyse import implied, table
from builder.definition import Definition
from builder.definition_guard import Protect, RuleEntry
from builder.errors import DefinitionError
from builder.model import Needs
from builder.paths import normalise

OFF = "off"
PER_LINE = 60  # system calls
KINDS = (
    "exec",
    "code",
    "listen",
    "connect",
    "socket",
    "privilege",
    "ptrace",
    "signal",
    "mount",
    "file",
    "policy",
    "call",
)
REFUSED = ("access", "limit", "death")  # by the kernel itself: the stance says only whether it is told
STARTS = ("syscall:execve", "syscall:execveat")
# Needs of the application that show that it may do what a kind is about: then that is reported instead of refused.
# What a rule is where it does not say.
OPEN: dict[str, Any] = {
    "on": "guard", "kind": "*", "verdict": "*", "what": "*", "count": 1, "within_s": 0, "response": "alert",
}  # fmt: skip
USES = {
    "connect": ("syscall:connect",),
    "socket": ("socket:AF_[!INU]*", "socket:SOCK_RAW*"),  # all but INET, NETLINK, UNIX
    "ptrace": ("syscall:ptrace", "syscall:process_vm_*"),
    "mount": ("syscall:mount", "syscall:umount2", "syscall:move_mount", "syscall:pivot_root"),
}


def policy(definition: Definition, needs: Needs, programs: Sequence[str]) -> tuple[str, ...]:
    """The lines for an image; `programs` are those that the image has (the command and what is declared beside it)."""
    protect = definition.protect
    if protect.mode == OFF:
        return ()
    ids = tuple(need.id for need in needs.needs)
    stances = ((kind, _stance(kind, protect, ids)) for kind in KINDS)
    return (
        *(f"stance {kind} {stance}" for kind, stance in stances),
        *(f"stance {kind} {'allow' if kind in protect.quiet else 'audit'}" for kind in REFUSED),
        *(f"program {path}" for path in _programs(protect, ids, programs)),
        *(f"port {port}" for port in _ports(definition)),
        *(f"peer {peer}" for peer in map(peer_of, protect.connect or ())),
    )


def directives(
    definition: Definition,
    needs: Needs,
    programs: Sequence[str],
    built_in: Sequence[RuleEntry],
    kept: Sequence[str] = (),
) -> tuple[tuple[str, str], ...]:
    """Guard and rules as directives of agent.conf; `kept` are the system calls that the kernel has. Raises
    DefinitionError for a rule that nothing defines."""
    policed = tuple(
        ("guard", line) for line in (*policy(definition, needs, programs), *_foreign(definition, needs, kept))
    )
    return policed + tuple(("rule", _line(rule)) for rule in rules(definition, built_in))


def rules(definition: Definition, built_in: Sequence[RuleEntry]) -> tuple[RuleEntry, ...]:
    """The built-in rules as the definition changes them, and its own, with nothing left open."""
    found = {rule.name: rule for rule in built_in}
    for own in definition.rule:
        if own.name not in found and own.on is None:
            known = ", ".join(found)
            where = f"images/{definition.name}/image.toml: rule {own.name!r}"
            raise DefinitionError(
                f"{where}: no built-in rule has this name", f"say `on` for a new one, or use: {known}"
            )
        said = {key: value for key in OPEN if (value := getattr(own, key)) is not None}
        found[own.name] = replace(found.get(own.name, own), **said)
    return tuple(
        replace(rule, **{k: v for k, v in OPEN.items() if getattr(rule, k) is None}) for rule in found.values()
    )


def _foreign(definition: Definition, needs: Needs, kept: Sequence[str]) -> Iterator[str]:
    """The calls that the kernel has and the application does not need."""
    if definition.protect.mode == OFF:
        return
    foreign = set(kept) - {*needs.syscalls(), *implied.ALWAYS_KEPT}
    numbers = sorted(number for number, name in table.names().items() if name in foreign)
    for start in range(0, len(numbers), PER_LINE):
        yield " ".join(["foreign", *map(str, numbers[start : start + PER_LINE])])


def _line(rule: RuleEntry) -> str:
    """As `recipes/agents/kiln/conf_rule.c` reads it."""
    assert rule.within_s is not None
    head = f"{rule.name} {rule.response} {rule.count} {rule.within_s * 1000}"
    return f"{head} {rule.on} {rule.kind} {rule.verdict} {rule.what}"


def _stance(kind: str, protect: Protect, ids: Sequence[str]) -> str:
    if kind == "code" and protect.writable_code:
        return "allow"
    is_declared = kind == "connect" and protect.connect is not None
    is_possible = not is_declared and _any(ids, USES.get(kind, ()))
    return "audit" if protect.mode == "audit" or is_possible else "deny"


def _any(ids: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in ids for pattern in patterns)


def _programs(protect: Protect, ids: Sequence[str], programs: Sequence[str]) -> Iterable[str]:
    """Where nothing in the image starts programs, none may be: the agent's own start of the application is none."""
    if protect.exec is not None:
        return dict.fromkeys(map(normalise, protect.exec))
    return dict.fromkeys(map(normalise, programs)) if _any(ids, STARTS) else ()


def _ports(definition: Definition) -> Iterator[str]:
    served = [f"tcp {port}" for port in definition.network.ports]
    for text in definition.protect.listen:
        number, _, protocol = text.partition("/")
        served.append(f"{protocol or 'tcp'} {int(number)}")
    yield from dict.fromkeys(served)


def peer_of(text: str) -> str:
    """`address:port` as the guard takes it: without the brackets around an IPv6 address."""
    address, _, port = text.rpartition(":")
    return f"{address.strip('[]')} {port}"
