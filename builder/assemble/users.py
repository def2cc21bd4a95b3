"""Users of an image: fixed ids where Debian fixes them, ids from 1000 up for the rest (pure)."""

from collections.abc import Iterator, Mapping

from builder.definition import Definition
from builder.errors import DefinitionError
from builder.value import Value

# Ids that every Debian has (base-passwd): files of packages may belong to them.
DEBIAN = {"root": 0, "daemon": 1, "bin": 2, "sys": 3, "mail": 8, "www-data": 33, "backup": 34, "nobody": 65534}
FIRST_FREE = 1000
PASSWD = "/etc/passwd"  # noqa: S105 - of the guest


class Users(Value, frozen=True):
    """User name → user id, and → the id of its group."""

    uids: Mapping[str, int]
    gids: Mapping[str, int]


def of(definition: Definition, own: str = "", agent: str = "") -> Users:
    """Every user the definition names, besides root and nobody, and the agent's if it has one.

    `own` is the text of a passwd file that the image's files/ bring: then its users are the only ones, and
    DefinitionError names the one it lacks.
    """
    if own:
        return _known(definition, own, agent)
    known, free = {"root": 0, "nobody": DEBIAN["nobody"]}, FIRST_FREE
    for _, name in _named(definition, agent):
        if name in DEBIAN:
            known[name] = DEBIAN[name]
        elif name not in known:
            known[name], free = free, free + 1
    return Users(known, known)


def passwd(users: Mapping[str, int]) -> str:
    """/etc/passwd; nobody can log in."""
    return "".join(f"{name}:x:{number}:{number}::/:/nonexistent\n" for name, number in sorted(users.items()))


def group(gids: Mapping[str, int]) -> str:
    """/etc/group, with a group for each user."""
    names = {("nogroup" if name == "nobody" else name): number for name, number in gids.items()}
    return "".join(f"{name}:x:{number}:\n" for name, number in sorted(names.items()))


def _named(definition: Definition, agent: str) -> Iterator[tuple[str, str]]:
    """Key path and name of every user the definition names, the agent's last."""
    yield "run.user", definition.run.user
    yield from ((f"process[{n}].user", process.user) for n, process in enumerate(definition.process) if process.user)
    yield from (("files.directories", directory.user) for directory in definition.files.directories)
    yield from (("files.tmpfs", tmpfs.user) for tmpfs in definition.files.tmpfs)
    yield from (("secret.user", secret.user) for secret in definition.secret if secret.user)
    if definition.disk:
        yield "disk.user", definition.disk.user
    if agent:
        yield "agent.name", agent


def _known(definition: Definition, own: str, agent: str) -> Users:
    where = f"images/{definition.name}"
    lines = [line.split(":") for line in own.splitlines() if line.strip()]
    try:
        known = {fields[0]: (int(fields[2]), int(fields[3])) for fields in lines}
    except (IndexError, ValueError) as error:
        hint = "name:x:uid:gid:comment:home:shell (passwd(5))"
        raise DefinitionError(f"{where}/files{PASSWD}: a line that is no user", hint) from error
    known = {"root": (0, 0), **known}
    for key, name in _named(definition, agent):
        if name not in known:
            raise DefinitionError(f"{where}/image.toml: {key}: {name!r} is not in {where}/files{PASSWD}")
    return Users(
        {name: uid for name, (uid, _) in known.items()},
        {name: gid for name, (_, gid) in known.items()},
    )
