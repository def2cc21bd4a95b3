"""Debian's archive through apt-get, unprivileged: private state, checked signatures, the host's apt unchanged."""

import functools
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from builder.edges import apt_sources
from builder.edges.process import Finished, run, tail
from builder.edges.store import Store, cache_root, digest_bytes, digest_file
from builder.errors import DefinitionError, FetchError, HostError
from builder.model import Package

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
QUICK_LIMIT_S, UPDATE_LIMIT_S, DOWNLOAD_LIMIT_S = 60.0, 180.0, 900.0
FRESH_S = 3600.0  # an index younger than this is not asked for again when versions are chosen
NO_NETWORK = "is there a network? the archive is that of this machine's apt configuration"


class Archive:
    """The archive of one Debian release, as this machine reaches it."""

    def __init__(self, suite: str) -> None:
        self.suite = suite

    @functools.cached_property
    def _folder(self) -> Path:
        """Everything of apt's in a folder of our own, named by the sources so that they never mix."""
        sources = self._sources()
        folder = cache_root() / "apt" / digest_bytes(sources.encode())[:16]
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        scratch = folder / f"sources.list.{os.getpid()}"
        scratch.write_text(sources)
        scratch.replace(folder / "sources.list")
        return folder

    @functools.cached_property
    def _options(self) -> tuple[str, ...]:
        folder = self._folder
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"  # apt's own user cannot write into our folders
        return tuple(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))

    def _sources(self) -> str:
        if chosen := os.environ.get("KILN_APT_SOURCES"):
            return Path(chosen).read_text()
        if not KEYRING.exists():
            raise HostError(f"{KEYRING}: not there", "sudo apt-get install debian-archive-keyring")
        if mirror := os.environ.get("KILN_DEBIAN_MIRROR"):
            return apt_sources.render(apt_sources.of_mirror(mirror, self.suite), str(KEYRING))
        found = apt_sources.choose(_host_sources(), self.suite, _os_release())
        if not found:
            raise HostError(
                f"this machine's apt knows no Debian archive, so {self.suite} cannot be found",
                "set KILN_DEBIAN_MIRROR to the URI of a Debian mirror (docs/how-to/choose-the-archive.md)",
            )
        return apt_sources.render(found, str(KEYRING))

    def refresh(self, *, older_than_s: float = 0.0) -> None:
        """Fetch the package index unless it is younger. Raises FetchError without a network or a good signature."""
        with FileLock(self._folder / "update.lock", timeout=UPDATE_LIMIT_S):  # apt itself would not wait for another
            stamp = self._folder / "updated"
            if stamp.exists() and time.time() - stamp.stat().st_mtime < older_than_s:
                return
            argv = ["apt-get", *self._options, "-o", "APT::Update::Error-Mode=any", "-qq", "update"]
            done = run(argv, timeout_s=UPDATE_LIMIT_S, env=_environment())
            if done.exit_code:
                raise FetchError("the package index could not be fetched", NO_NETWORK, tail=tail(done.stderr))
            stamp.touch()

    def _refresh_for(self, pin: str) -> None:
        """Fetch the package index; an error names the package it was asked for."""
        try:
            self.refresh()
        except FetchError as error:
            raise FetchError(f"{pin} could not be fetched: {error.message}", error.hint, tail=error.tail) from error

    def candidates(self, wanted: Sequence[str]) -> tuple[Package, ...]:
        """What `apt-get install` of these (`name` or `name=version`) would bring on an empty machine, dependencies
        included. Raises DefinitionError for a name or version that is not in the archive."""
        done = self._simulate(wanted)
        if done.exit_code:
            raise self._unknown(done, wanted)
        pairs = re.findall(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", done.stdout.decode(), re.MULTILINE)
        return self.describe([f"{name}={version}" for name, version in pairs])

    def _simulate(self, wanted: Sequence[str]) -> Finished:
        return run(["apt-get", *self._options, "-s", "install", *wanted], timeout_s=QUICK_LIMIT_S, env=_environment())

    def _unknown(self, done: Finished, wanted: Sequence[str]) -> DefinitionError | FetchError:
        said = done.stderr.decode(errors="replace")
        if match := re.search(r"Unable to locate package (\S+)", said):
            name = match[1]
            near = self._near(name)
            return DefinitionError(
                f"{name}: no such package in Debian {self.suite}", f"did you mean {', '.join(near)}?" if near else ""
            )
        if match := re.search(r"Version '([^']+)' for '([^']+)' was not found", said):
            known = ", ".join(self._versions(match[2]))
            return DefinitionError(
                f"{match[2]}={match[1]}: no such version in Debian {self.suite}", f"there are: {known}"
            )
        words = tail(done.stdout + done.stderr)
        return FetchError(f"{' '.join(wanted)}: cannot be resolved", "read apt's words above", tail=words)

    def _near(self, name: str) -> list[str]:
        import difflib  # noqa: PLC0415

        done = run(["apt-cache", *self._options, "pkgnames"], timeout_s=QUICK_LIMIT_S, env=_environment())
        return difflib.get_close_matches(name, done.stdout.decode().split(), 3, 0.75)

    def _versions(self, name: str) -> list[str]:
        done = run(["apt-cache", *self._options, "madison", name], timeout_s=QUICK_LIMIT_S, env=_environment())
        return [line.split("|")[1].strip() for line in done.stdout.decode().splitlines() if "|" in line]

    def describe(self, pinned: Sequence[str]) -> tuple[Package, ...]:
        """Packages by `name=version`, in this order, as the signed index describes them."""
        done = run(["apt-cache", *self._options, "show", *pinned], timeout_s=QUICK_LIMIT_S, env=_environment())
        found = {f"{package.name}={package.version}": package for package in _parse_show(done.stdout.decode())}
        return tuple(found[pin] for pin in pinned if pin in found)

    def fetch(self, packages: Sequence[Package], store: Store) -> tuple[Path, ...]:
        """The `.deb` files of packages, each with the digest it is locked to; from the store where it was fetched."""
        there = {package: store.find("deb", package.sha256) for package in packages}
        if absent := [package for package, folder in there.items() if folder is None]:
            for package in absent:
                store.make("deb", package.sha256, functools.partial(self._download, package))
        return tuple(self.deb(package, store) for package in packages)

    @staticmethod
    def deb(package: Package, store: Store) -> Path:
        """Where a fetched package lies in the store."""
        return store.root / "deb" / package.sha256 / f"{package.name}.deb"

    def _download(self, package: Package, folder: Path) -> None:
        pin = f"{package.name}={package.version}"
        argv = ["apt-get", *self._options, "-qq", "download", pin]
        done = run(argv, cwd=folder, timeout_s=DOWNLOAD_LIMIT_S, env=_environment())
        if done.exit_code and _is_unknown(done):  # the index may be older than the lock, or not there yet
            self._refresh_for(pin)
            done = run(argv, cwd=folder, timeout_s=DOWNLOAD_LIMIT_S, env=_environment())
        fetched = next(folder.glob("*.deb"), None)
        if done.exit_code or fetched is None:
            gone = _is_unknown(done)
            hint = "that version is no longer in the archive: update the lock" if gone else NO_NETWORK
            raise FetchError(f"{pin} could not be fetched", hint, tail=tail(done.stderr, 5))
        if (digest := digest_file(fetched)) != package.sha256:
            raise FetchError(
                f"{pin}: digest mismatch: locked to sha256 {package.sha256[:16]}…, the archive has {digest[:16]}…",
                "if the lock was edited, restore it; otherwise do not trust this archive",
            )
        fetched.rename(folder / f"{package.name}.deb")


def _is_unknown(done: Finished) -> bool:
    said = done.stderr.decode(errors="replace")
    return "Unable to locate" in said or "was not found" in said or "find a source to download" in said


def _parse_show(text: str) -> list[Package]:
    found = []
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
        if "SHA256" in fields:
            source, _, version = (fields.get("Source") or fields["Package"]).partition(" ")
            found.append(
                Package(
                    fields["Package"],
                    fields["Version"],
                    fields["Architecture"],
                    fields["SHA256"],
                    int(fields["Size"]),
                    f"{source} {version.strip('()') or fields['Version']}",
                    fields.get("Section", ""),
                )
            )
    return found


def _host_sources() -> list[apt_sources.Source]:
    """Every entry of the machine's own apt configuration."""
    etc = Path("/etc/apt")
    one_line = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    found = [s for path in one_line if path.exists() for s in apt_sources.parse_one_line(path.read_text())]
    deb822 = sorted((etc / "sources.list.d").glob("*.sources"))
    return found + [s for path in deb822 for s in apt_sources.parse_deb822(path.read_text())]


def _os_release() -> dict[str, str]:
    text = Path("/etc/os-release").read_text()
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in text.splitlines())}


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
