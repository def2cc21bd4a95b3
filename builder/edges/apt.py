"""Debian's archive through apt, unprivileged: private state, checked signatures, the host's apt unchanged."""

import difflib
import functools
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from builder.edges import apt_policy
from builder.edges.apt_policy import Offered
from builder.edges.apt_sources import ARCHITECTURE
from builder.edges.apt_state import HOW_TO, State
from builder.edges.process import Finished, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, WouldMake, digest_file
from builder.errors import DefinitionError, FetchError, StorageError
from builder.model import Package

UPDATE_LIMIT_S, DOWNLOAD_LIMIT_S = 300.0, 1800.0
INDEX_BYTES = 100_000_000  # Debian's main archive unpacked, and apt's caches made of it
SKEW_S = 1.0  # between the clock's time and that of files
FRESH_S = 3600.0  # an index younger than this is not asked for again when versions are chosen
NO_NETWORK = f"is there a network? the archive is that of this machine's apt configuration ({HOW_TO})"
GONE = f"that version is no longer in the archive: remove image.lock, or choose an older archive ({HOW_TO})"
UNSIGNED = ("is not signed", "NO_PUBKEY", "GPG error", "invalid signature", "signatures were invalid", "EXPKEYSIG")
UNKNOWN = re.compile(r"Unable to locate package (\S+)|Can't find a source to download")
NO_VERSION = re.compile(r"Version '([^']+)' for '([^']+)' was not found")
VIRTUAL = re.compile(r"Package '([^']+)' has no installation candidate")


class Archive:
    """The archive of one Debian release, as this machine reaches it; `architecture` as Debian calls it."""

    def __init__(self, suite: str, architecture: str = ARCHITECTURE) -> None:
        self.suite = suite
        self._state = State(suite, architecture)

    def refresh(self, *, older_than_s: float = 0.0) -> None:
        """Fetch the package index unless it is younger. Raises FetchError without a network or a good signature."""
        asked = time.time()
        stamp = self._state.folder / "stamp"
        if asked - older_than_s < _modified(stamp) <= asked + SKEW_S:  # one from the future tells of a clock set back
            return
        try:
            with FileLock(self._state.folder / "lock", timeout=UPDATE_LIMIT_S):
                if (
                    not asked <= _modified(stamp) <= time.time() + SKEW_S
                ):  # not fetched by another process while we waited
                    self._update()
                    stamp.touch()
        except Timeout as error:
            raise FetchError("another Kiln has been fetching the package index for minutes", "try again") from error

    def _update(self) -> None:
        _need_space(self._state.folder, INDEX_BYTES)  # apt itself would wait for a full disk until its time limit
        strict = ("-o", "APT::Update::Error-Mode=any")
        done = self._state.run("apt-get", *strict, "-qq", "update", limit_s=UPDATE_LIMIT_S)
        if done.exit_code:
            raise _failure("the package index could not be fetched", done)

    def candidates(self, wanted: Sequence[str]) -> tuple[Package, ...]:
        """What `apt-get install` of these (`name` or `name=version`) would bring on an empty machine, dependencies
        included, in the archive's newest versions. Without a network the last index fetched is good enough.

        Raises DefinitionError for a name or version that is not in the archive, FetchError without any index.
        """
        self._refresh_if_possible()
        done = self._simulate(wanted)
        if done.exit_code and _is_unknown(done):  # it may be younger than the index
            self._refresh_if_possible(older_than_s=FRESH_S / 60)
            done = self._simulate(wanted)
        if done.exit_code:
            raise self._unsolvable(done, wanted)
        pairs = re.findall(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", done.stdout.decode(), re.MULTILINE)
        names = {name for name, _ in pairs}
        for name in (pin.partition("=")[0] for pin in wanted):
            if name not in names:
                raise DefinitionError(f"{name}: not the name of a package in Debian {self.suite}", self._instead(done))
        return self.describe([f"{name}={version}" for name, version in pairs])

    def _refresh_if_possible(self, *, older_than_s: float = FRESH_S) -> None:
        try:
            self.refresh(older_than_s=older_than_s)
        except FetchError as error:
            if any(word in error.tail for word in UNSIGNED) or not (self._state.folder / "stamp").exists():
                raise

    def _simulate(self, wanted: Sequence[str]) -> Finished:
        return self._state.run("apt-get", "-s", "install", "--", *wanted)

    def _unsolvable(self, done: Finished, wanted: Sequence[str]) -> DefinitionError | FetchError:
        said = done.stderr.decode(errors="replace")
        if match := UNKNOWN.search(said):
            name = match[1] or wanted[0]
            near = self._near(name)
            hint = f"did you mean {', '.join(near)}?" if near else "apt-cache search finds packages by words"
            return DefinitionError(f"{name}: no such package in Debian {self.suite}", hint)
        if match := NO_VERSION.search(said):
            known = ", ".join(self.versions(match[2]))
            return DefinitionError(
                f"{match[2]}={match[1]}: no such version in Debian {self.suite}", f"there are: {known}"
            )
        if match := VIRTUAL.search(said):
            message = f"{match[1]}: not a package that can be installed from Debian {self.suite}"
            return DefinitionError(message, self._instead(done))
        words = tail(done.stdout + done.stderr)
        return FetchError(f"{' '.join(wanted)}: cannot be resolved", "read apt's words above", tail=words)

    @staticmethod
    def _instead(done: Finished) -> str:
        """What apt proposes for a virtual package."""
        said = done.stdout.decode(errors="replace")
        named = re.findall(r"selecting '([^']+)' instead", said) + re.findall(r"^  ([a-z0-9][\w.+-]+) \S", said, re.M)
        return f"name one of those that provide it: {', '.join(named[:6])}" if named else "name a real package"

    def _near(self, name: str) -> list[str]:
        done = self._state.run("apt-cache", "pkgnames")
        return difflib.get_close_matches(name, done.stdout.decode().split(), 3, 0.75)

    def versions(self, name: str) -> list[str]:
        done = self._state.run("apt-cache", "madison", "--", name)
        return [line.split("|")[1].strip() for line in done.stdout.decode().splitlines() if "|" in line]

    def offered(self, names: Sequence[str]) -> Mapping[str, tuple[Offered, ...]]:
        """By name the versions that the archives have, newest first, with the suites they lie in.

        Raises FetchError where no index of the last hour can be had: an old one cannot say that nothing is newer."""
        self.refresh(older_than_s=FRESH_S)
        done = self._state.run("apt-cache", "policy", "--", *names)
        if done.exit_code:
            raise _failure("the package index could not be read", done)
        return apt_policy.parse(done.stdout.decode())

    def describe(self, pinned: Sequence[str]) -> tuple[Package, ...]:
        """Packages by `name=version`, in this order, as the signed index describes them."""
        done = self._state.run("apt-cache", "show", "--", *pinned)
        found = {f"{package.name}={package.version}": package for package in parse_show(done.stdout.decode())}
        if absent := [pin for pin in pinned if pin not in found]:
            raise FetchError(f"{', '.join(absent)}: not in the package index", "try again", tail=tail(done.stderr))
        return tuple(found[pin] for pin in pinned)

    def fetch(self, packages: Sequence[Package], store: Store) -> tuple[Path, ...]:
        """The `.deb` files of packages, each with the digest it is locked to; from the store where it was fetched."""
        if absent := [package for package in packages if store.find("deb", package.sha256) is None]:
            if store.dry:
                raise WouldMake("deb", absent[0].sha256)
            with scratch_folder("fetch") as folder:
                fetched = self._download(absent, folder)
                for package in absent:
                    store.make("deb", package.sha256, functools.partial(_move, fetched[package], f"{package.name}.deb"))
        return tuple(store.root / "deb" / package.sha256 / f"{package.name}.deb" for package in packages)

    def _download(self, packages: Sequence[Package], folder: Path) -> Mapping[Package, Path]:
        """Every package as a file in `folder` with the right digest."""
        pins = [f"{package.name}={package.version}" for package in packages]
        what = f"{', '.join(pins[:3])}{f' and {len(pins) - 3} more' if len(pins) > 3 else ''} could not be fetched"
        if not (self._state.folder / "stamp").exists():
            self._index_for(what)
        _need_space(folder, sum(package.size_bytes for package in packages))
        done = self._ask_for(pins, folder)
        if done.exit_code and _is_unknown(done):  # the index may be older than the lock
            self._index_for(what)
            done = self._ask_for(pins, folder)
        if done.exit_code:
            raise _failure(what, done)
        files = {digest_file(path): path for path in folder.glob("*.deb")}
        for package, pin in zip(packages, pins, strict=True):
            if package.sha256 not in files:
                raise _mismatch(package, pin, files)
        return {package: files[package.sha256] for package in packages}

    def _index_for(self, what: str) -> None:
        try:
            self.refresh()
        except FetchError as error:
            raise FetchError(f"{what}: {error.message}", error.hint, tail=error.tail) from error

    def _ask_for(self, pins: Sequence[str], folder: Path) -> Finished:
        return self._state.run("apt-get", "-qq", "download", "--", *pins, limit_s=DOWNLOAD_LIMIT_S, cwd=folder)


def parse_show(text: str) -> tuple[Package, ...]:
    """The packages that `apt-cache show` describes."""
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
    return tuple(found)


def _need_space(folder: Path, wanted_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        raise StorageError(
            f"{folder}: the disk is full: {free / 1e6:.0f} MB free, {wanted_bytes / 1e6:.0f} MB needed",
            "make room, or move Kiln's cache with KILN_CACHE=/path",
        )


def _modified(stamp: Path) -> float:
    try:
        return stamp.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _move(source: Path, name: str, folder: Path) -> None:
    shutil.move(source, folder / name)  # the store may lie on another disk


def _is_unknown(done: Finished) -> bool:
    said = done.stderr.decode(errors="replace")
    return bool(UNKNOWN.search(said) or NO_VERSION.search(said))


def _mismatch(package: Package, pin: str, files: Mapping[str, Path]) -> FetchError:
    got = next((digest for digest, path in files.items() if path.name.startswith(f"{package.name}_")), "nothing")
    return FetchError(
        f"{pin}: digest mismatch: locked to sha256 {package.sha256[:16]}…, the archive has {got[:16]}…",
        "if the lock was edited, restore it; otherwise do not trust this archive",
    )


def _failure(what: str, done: Finished) -> FetchError:
    """The error that apt's words mean."""
    said = done.stderr.decode(errors="replace")
    hint = NO_NETWORK
    if any(word in said for word in UNSIGNED):
        hint = "its signature is not Debian's: check the archive's address"
    elif "is not valid yet" in said:
        hint = "by this machine's clock the archive's index is of the future: is the clock right?"
    elif "is expired" in said:
        hint = "the archive's index is out of date: choose another mirror, or see whether this machine's clock is right"
    elif match := NO_VERSION.search(said):
        what, hint = f"{match[2]}={match[1]} could not be fetched", GONE
    elif "Hash Sum mismatch" in said:
        hint = "the archive sent something else than it announces: try again, or choose another mirror"
    return FetchError(what, hint, tail=tail(done.stderr))
