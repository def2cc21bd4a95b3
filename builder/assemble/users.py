"""Users of an image: fixed ids where Debian fixes them, ids from 1000 up for the rest (pure)."""

from collections.abc import Mapping

from builder.definition import Definition

# Ids that every Debian has (base-passwd): files of packages may belong to them.
DEBIAN = {"root": 0, "daemon": 1, "bin": 2, "sys": 3, "mail": 8, "www-data": 33, "backup": 34, "nobody": 65534}
FIRST_FREE = 1000


def ids(definition: Definition) -> Mapping[str, int]:
    """User name → id (its group has the same) for every user the definition names, besides root and nobody."""
    named = [definition.run.user, *(d.user for d in definition.files.directories)]
    named += [t.user for t in definition.files.tmpfs] + ([definition.disk.user] if definition.disk else [])
    known, free = {"root": 0, "nobody": 65534}, FIRST_FREE
    for name in dict.fromkeys(named):
        if name in DEBIAN:
            known[name] = DEBIAN[name]
        elif name not in known:
            known[name], free = free, free + 1
    return known


def passwd(users: Mapping[str, int]) -> str:
    """/etc/passwd; nobody can log in."""
    return "".join(f"{name}:x:{number}:{number}::/:/nonexistent\n" for name, number in sorted(users.items()))


def group(users: Mapping[str, int]) -> str:
    """/etc/group."""
    names = {("nogroup" if name == "nobody" else name): number for name, number in users.items()}
    return "".join(f"{name}:x:{number}:\n" for name, number in sorted(names.items()))
