"""The name service: which libnss_<service>.so.2 the C library opens. Sources: nsswitch.conf(5), glibc's
nss/nss_database.c (defaults) and nss/nss_module.c (what is built in)."""

import re
from collections.abc import Collection, Iterator

CONFIGURATION = "/etc/nsswitch.conf"
BUILT_IN = ("files", "dns")  # since 2.34
BUILT_IN_SINCE = "GLIBC_2.34"
DEFAULTS = {"hosts": ("dns", "files"), "networks": ("dns", "files"), "netgroup": (), "automount": ("files",)}
FALLS_BACK = {"initgroups": "group", "gshadow": "shadow"}  # which line counts where a database has none


def services(text: str, databases: Collection[str]) -> tuple[tuple[str, str], ...]:
    """(database, service) for each database that is asked, as nsswitch.conf's text says, or as glibc does without."""
    lines = dict(_lines(text))
    found: list[tuple[str, str]] = []
    for database in sorted(databases):
        names = lines.get(database)
        if names is None:
            names = lines.get(FALLS_BACK.get(database, ""))
        if names is None:
            names = DEFAULTS.get(database, ("files",))
        found.extend((database, name) for name in names)
    return tuple(dict.fromkeys(found))


def _lines(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in text.splitlines():
        database, colon, rest = line.partition("#")[0].partition(":")
        if colon and database.strip():
            yield database.strip(), tuple(re.sub(r"\[[^\]]*\]?", " ", rest).split())
