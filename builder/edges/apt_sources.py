"""Which archives Debian packages come from: the machine's own apt configuration, narrowed to one Debian release (pure).

Both forms of sources.list(5) are read. No address is known here: on a machine whose apt does not know a Debian archive,
it is a setting.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

POCKETS = ("", "-updates", "-security")
OFF = ("no", "false", "without", "off", "disable", "0")  # apt-pkg/contrib/strutl.cc, StringToBool()


@dataclass(frozen=True)
class Source:
    """One archive and suite, as in a one-line entry."""

    uri: str
    suite: str
    components: tuple[str, ...]


def parse_one_line(text: str) -> tuple[Source, ...]:
    """The `deb` entries of a `.list` file."""
    found = []
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line.strip())
        if match:
            found.append(Source(match[1], match[2], tuple(match[3].split())))
    return tuple(found)


def parse_deb822(text: str) -> tuple[Source, ...]:
    """The enabled `deb` entries of a `.sources` file."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        joined = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
        fields = {key.strip().lower(): value for key, _, value in (line.partition(":") for line in joined.splitlines())}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").strip().lower() in OFF:
            continue
        components = tuple(fields.get("components", "").split())
        found += [
            Source(uri, suite, components)
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        ]
    return tuple(found)


def choose(sources: Iterable[Source], wanted: str, host: Mapping[str, str]) -> tuple[Source, ...]:
    """The archives of the wanted Debian release among the machine's; on another Debian release, its own archives with
    the release's name exchanged; nothing when the machine is no Debian. `host` is /etc/os-release."""
    known = [source for source in sources if "main" in source.components]
    names = {wanted + pocket for pocket in POCKETS}
    direct = [Source(source.uri, source.suite, ("main",)) for source in known if source.suite in names]
    if any(source.suite == wanted for source in direct):
        return tuple(dict.fromkeys(direct))
    own = host.get("VERSION_CODENAME", "")
    if host.get("ID") != "debian" or not own:
        return ()
    own_names = {own + pocket: wanted + pocket for pocket in POCKETS}
    moved = (Source(s.uri, own_names[s.suite], ("main",)) for s in known if s.suite in own_names)
    return tuple(dict.fromkeys(moved))


def of_mirror(uri: str, wanted: str) -> tuple[Source, ...]:
    """The archives of a mirror: its main archive and, beside it by Debian's custom, `<uri>-security`."""
    uri = uri.rstrip("/")
    return (
        Source(uri, wanted, ("main",)),
        Source(uri, f"{wanted}-updates", ("main",)),
        Source(f"{uri}-security", f"{wanted}-security", ("main",)),
    )


def render(sources: Iterable[Source], keyring: str) -> str:
    """A one-line sources.list whose entries accept only signatures of `keyring`."""
    return "".join(f"deb [signed-by={keyring}] {s.uri} {s.suite} {' '.join(s.components)}\n" for s in sources)
