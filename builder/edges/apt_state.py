"""A private apt: its own lists, cache and settings in the cache folder, for an ordinary user or root."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path

from builder.edges import apt_sources
from builder.edges.process import Finished, run
from builder.edges.store import cache_root, digest_bytes
from builder.errors import BuilderError, FetchError, HostError

KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{form}") for form in ("gpg", "pgp"))
HOW_TO = "docs/how-to/choose-the-archive.md"
QUICK_LIMIT_S = 120.0
# hooks of the host's configuration: they would act on the host, and may fail for an ordinary user
HOOKS = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
HOST = Path("/etc")


class State:
    """The state folder of one Debian release and architecture, named by its sources so that two never mix."""

    def __init__(self, suite: str, architecture: str = apt_sources.ARCHITECTURE) -> None:
        self.suite, self.architecture = suite, architecture

    @functools.cached_property
    def _sources(self) -> str:
        return sources_list(self.suite, os.environ, HOST)

    @property
    def _list(self) -> str:
        return "kiln.sources" if apt_sources.is_deb822(self._sources) else "sources.list"  # apt goes by the ending

    @functools.cached_property
    def folder(self) -> Path:
        """The folder, with everything apt wants to find in it. Raises HostError when no archive is known."""
        sources = self._sources
        label = self.suite if self.architecture == apt_sources.ARCHITECTURE else f"{self.suite}-{self.architecture}"
        folder = cache_root() / "apt" / f"{label}-{digest_bytes(sources.encode())[:16]}"
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for name, text in {
            "status": "",
            self._list: sources,
            "apt.conf": "".join(f"#clear {hook};\n" for hook in HOOKS),
        }.items():
            _write(folder / name, text)
        return folder

    def run(self, program: str, *arguments: str, limit_s: float = QUICK_LIMIT_S, cwd: Path | None = None) -> Finished:
        """Run apt-get or apt-cache on this state. Raises FetchError when it takes longer than the limit."""
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            return run([program, *self._options, *arguments], timeout_s=limit_s, cwd=cwd, env=environment)
        except BuilderError as error:
            if type(error) is not BuilderError:
                raise
            raise FetchError(error.message, "is the network very slow? try again") from error

    @functools.cached_property
    def _options(self) -> tuple[str, ...]:
        folder = self.folder
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc::SourceList": folder / self._list,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Trusted": keyring(),
            "Dir::Etc::TrustedParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "APT::Default-Release": "",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Install-Recommends": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"  # apt's own user cannot write into our folders
        words = (word for name, value in settings.items() for word in ("-o", f"{name}={value}"))
        return ("-c", str(folder / "apt.conf"), *words)


def sources_list(suite: str, environment: Mapping[str, str], etc: Path) -> str:
    """The text of our sources.list: from the settings, else from the machine's apt configuration below `etc`.

    Raises HostError when no archive of `suite` is known, or Debian's keyring is not there.
    """
    if chosen := environment.get("KILN_APT_SOURCES"):
        return _setting(chosen)  # as it is: what it trusts is for its writer to say
    if mirror := environment.get("KILN_DEBIAN_MIRROR"):
        if ":/" not in mirror or any(character.isspace() for character in mirror):
            raise HostError(f"KILN_DEBIAN_MIRROR={mirror}: not a URI", f"as in sources.list(5); see {HOW_TO}")
        found = apt_sources.of_mirror(mirror, suite)
    else:
        found = apt_sources.choose(_host_sources(etc / "apt"), suite, _os_release(etc))
    if not any(source.suite == suite for source in found):
        raise HostError(
            f"this machine's apt knows no Debian archive, so {suite} cannot be found",
            f"set KILN_DEBIAN_MIRROR to the URI of a Debian mirror, or KILN_APT_SOURCES to a sources file ({HOW_TO})",
        )
    return apt_sources.render(found, str(keyring()))


def keyring() -> Path:
    """Debian's own keys. Raises HostError when they are not there."""
    found = next((path for path in KEYRINGS if path.exists()), None)
    if found is None:
        raise HostError(f"{KEYRINGS[0]}: not there", "sudo apt-get install debian-archive-keyring")
    return found


def _setting(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"KILN_APT_SOURCES={path}: cannot be read: {error}", f"see {HOW_TO}") from error


def _host_sources(folder: Path) -> list[apt_sources.Source]:
    """Every entry of the machine's own apt configuration."""
    parts = folder / "sources.list.d"
    one_line = [path for path in (folder / "sources.list", *sorted(parts.glob("*.list"))) if path.is_file()]
    found = [source for path in one_line for source in apt_sources.parse_one_line(path.read_text(errors="replace"))]
    deb822 = sorted(parts.glob("*.sources"))
    return found + [s for path in deb822 for s in apt_sources.parse_deb822(path.read_text(errors="replace"))]


def _os_release(etc: Path) -> dict[str, str]:
    try:
        text = (etc / "os-release").read_text()
    except FileNotFoundError:
        return {}
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in text.splitlines())}


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, unless it is there as it should be."""
    if path.is_file() and path.read_text() == text:
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.replace(path)
