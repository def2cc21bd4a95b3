"""Debian changelogs and the order of versions (pure). Source: Debian policy 4.4 and 5.6.12."""

import re
from collections.abc import Iterator

from debian.debian_support import NativeVersion

from builder.rebuild_documents import Entry

HEADER = re.compile(r"^(\S+) \(([^()\s]+)\) ([^;]*);(.*)$", re.MULTILINE)
URGENCY = re.compile(r"urgency=(\w+)")
CVE = re.compile(r"CVE-\d{4}-\d{4,}")


def order(one: str, other: str) -> int:
    """Below zero when `one` is the older version, above when it is the newer one, 0 when they are equal."""
    first, second = NativeVersion(one), NativeVersion(other)
    return (first > second) - (first < second)


def between(text: str, old: str, new: str) -> tuple[Entry, ...]:
    """The entries of a changelog that are newer than `old`, up to `new`, newest first.

    A changelog may be that of another package's upload (a rebuild for another release has entries of its own): its
    versions are compared, not its order.
    """
    return tuple(e for e in entries(text) if order(e.version, old) > 0 >= order(e.version, new))


def entries(text: str) -> Iterator[Entry]:
    """All entries, as they stand."""
    heads = list(HEADER.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=False):
        body = text[head.end() : end]
        changes = "\n".join(line for line in body.splitlines() if not line.startswith(" -- ")).strip("\n")
        urgency = URGENCY.search(head[4])
        cves = tuple(sorted(set(CVE.findall(changes))))
        yield Entry(head[2], head[3].strip(), urgency[1].lower() if urgency else "", changes, cves)
