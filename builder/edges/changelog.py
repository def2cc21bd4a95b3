"""The Debian changelog inside a package, kept in the store."""

import gzip
import re
import tarfile
import zlib
from pathlib import Path

from builder.edges.process import run, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store
from builder.errors import FetchError
from builder.model import Package
from builder.value import digest

# Debian policy 12.7; a package may link its folder to that of another one of the same source
PLACE = re.compile(r"(?:\./)?usr/share/doc/[^/]+/changelog(\.Debian)?(?:\.[\w-]+)?\.gz")
LIMIT_S = 120.0
LIMIT_BYTES = 64 << 20


def changelog(package: Package, deb: Path, store: Store) -> str:
    """The text of a package's changelog, empty where it has none of its own. Raises FetchError for a broken package."""

    def fill(folder: Path) -> None:
        (folder / "changelog").write_bytes(_extracted(deb))

    folder = store.make("changelog", digest([1, package.sha256]), fill)
    return (folder / "changelog").read_text(encoding="utf-8", errors="replace")


def _extracted(deb: Path) -> bytes:
    with scratch_folder("changelog") as scratch:
        archive = scratch / "data.tar"
        done = run(["dpkg-deb", "--fsys-tarfile", str(deb)], timeout_s=LIMIT_S, log=archive)
        if done.exit_code:
            raise FetchError(f"{deb.name}: not a Debian package", "remove it from the cache", tail=tail(done.stderr, 3))
        found: dict[bool, bytes] = {}
        try:
            with tarfile.open(archive) as stream:
                for member in stream:
                    if member.isfile() and (match := PLACE.fullmatch(member.name)):
                        content = stream.extractfile(member)
                        assert content is not None
                        found[bool(match[1])] = gzip.GzipFile(fileobj=content).read(LIMIT_BYTES)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise FetchError(
                f"{deb.name}: its changelog cannot be read: {error}", "remove it from the cache"
            ) from error
        return found.get(True, found.get(False, b""))
