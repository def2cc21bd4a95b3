"""What the archives offer of a package: `apt-cache policy` read (pure)."""

import re

from builder.value import Value

NAME = re.compile(r"^(\S+):$")
VERSION = re.compile(r"^ (?:\*\*\*|   ) (\S+) -?\d+$")
# "priority address suite/component architecture Packages", or "priority address ./ Packages" of a flat archive
SUITE = re.compile(r"^ +-?\d+ \S+ ([^\s/]+)/\S*(?: \S+)? Packages$")


class Offered(Value, frozen=True):
    """One version that can be had, and the suites it lies in (`bookworm`, `bookworm-security`)."""

    version: str
    suites: tuple[str, ...]


def parse(text: str) -> dict[str, tuple[Offered, ...]]:
    """By package the versions on offer, newest first; none where the archives do not have the package."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    versions: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if match := NAME.match(line):
            versions = found.setdefault(match[1], [])
        elif match := VERSION.match(line):
            versions.append((match[1], []))
        elif versions and (match := SUITE.match(line)):
            versions[-1][1].append(match[1])
    return {
        name: tuple(Offered(version, tuple(dict.fromkeys(suites))) for version, suites in those if suites)
        for name, those in found.items()
    }
