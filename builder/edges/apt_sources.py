"""Which archives Debian packages come from: the machine's own apt configuration, narrowed to one Debian release (pure).

Both forms of sources.list(5) are read. No address is known here: on a machine whose apt does not know a Debian archive,
it is a setting. Of an entry only the address is taken: signatures are always checked against Debian's own keyring.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

POCKETS = ("", "-updates", "-security")
ARCHITECTURE = "amd64"
OFF = ("no", "false", "without", "off", "disable", "0")  # apt-pkg/contrib/strutl.cc, StringToBool()


@dataclass(frozen=True)
class Source:
    """One archive and suite, as in a one-line entry; `signed_by` is the keyring the entry names, if it names one."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = field(default="", compare=False)


def is_deb822(text: str) -> bool:
    """Whether a sources file is of the form with fields."""
    return re.search(r"^types\s*:", text, re.MULTILINE | re.IGNORECASE) is not None


def parse_one_line(text: str) -> tuple[Source, ...]:
    """The `deb` entries of a `.list` file for this architecture."""
    found = []
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(?!cdrom:)(\S+)\s+(\S+)\s*([^#]*)", line.strip())
        if match is None:
            continue
        options = dict(word.partition("=")[::2] for word in (match[1] or "").split())
        if ARCHITECTURE in (options.get("arch") or ARCHITECTURE).split(","):
            found.append(Source(match[2], match[3], tuple(match[4].split()), options.get("signed-by", "")))
    return tuple(found)


def parse_deb822(text: str) -> tuple[Source, ...]:
    """The enabled `deb` entries of a `.sources` file for this architecture."""
    return tuple(source for stanza in re.split(r"\n\s*\n", text) for source in _stanza(_fields(stanza)))


def _fields(stanza: str) -> dict[str, str]:
    lines = [line for line in stanza.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
    pairs = (line.partition(":") for line in joined.splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _stanza(fields: Mapping[str, str]) -> Iterable[Source]:
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in OFF:
        return
    if ARCHITECTURE not in (fields.get("architectures") or ARCHITECTURE).split():
        return
    components = tuple(fields.get("components", "").split())
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            if not uri.startswith("cdrom:"):
                yield Source(uri, suite, components, fields.get("signed-by", ""))


def choose(sources: Iterable[Source], wanted: str, host: Mapping[str, str]) -> tuple[Source, ...]:
    """The archives of the wanted Debian release among the machine's; on another Debian release, its own archives with
    the release's name exchanged; nothing when the machine is no Debian. `host` is /etc/os-release."""
    known = _debian([source for source in sources if "main" in source.components])
    direct = _renamed(known, {wanted + pocket: wanted + pocket for pocket in POCKETS})
    own = host.get("VERSION_CODENAME", "")
    if any(source.suite == wanted for source in direct) or host.get("ID") != "debian" or not own:
        return direct
    return _renamed(known, {own + pocket: wanted + pocket for pocket in POCKETS})


def _debian(sources: Iterable[Source]) -> list[Source]:
    """The entries that can be Debian's: others use its releases' names too, but sign with keys of their own. Where an
    entry for a suite names Debian's keys, those that name none do not count."""
    ours = [s for s in sources if not s.signed_by or posixpath.basename(s.signed_by).startswith("debian-archive-")]
    certain = {s.suite for s in ours if s.signed_by}
    return [s for s in ours if s.signed_by or s.suite not in certain]


def _renamed(sources: Iterable[Source], suites: Mapping[str, str]) -> tuple[Source, ...]:
    """The sources of these suites under their new names, `main` only, each once."""
    return tuple(dict.fromkeys(Source(s.uri, suites[s.suite], ("main",)) for s in sources if s.suite in suites))


def of_mirror(uri: str, wanted: str) -> tuple[Source, ...]:
    """The archives of a mirror: its main archive and, beside it by Debian's custom, `<uri>-security`."""
    uri = uri.rstrip("/")
    return (
        Source(uri, wanted, ("main",)),
        Source(uri, f"{wanted}-updates", ("main",)),
        Source(f"{uri}-security", f"{wanted}-security", ("main",)),
    )


def render(sources: Iterable[Source], keyring: str) -> str:
    """A one-line sources.list whose entries accept only signatures of `keyring` and bring no other index than that of
    packages, whatever else the host's configuration wants (icons of desktop applications, file lists)."""
    options = f"[signed-by={keyring} target=Packages]"
    return "".join(f"deb {options} {s.uri} {s.suite} {' '.join(s.components)}\n" for s in sources)
