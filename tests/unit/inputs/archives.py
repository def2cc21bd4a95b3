"""A small Debian archive in a folder, with real packages: apt itself answers, without a network."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

CONTROL = """\
Package: {name}
Version: {version}
Architecture: amd64
Maintainer: Nobody <nobody@example.org>
Section: {section}
Depends: {depends}
Description: made for a test
"""


def unreachable(folder: Path) -> Path:
    """The sources.list of an archive where nothing listens."""
    sources = folder / "unreachable.list"
    sources.write_text("deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n")
    return sources


class LocalArchive:
    """Packages in a folder that apt takes as an archive (`sources` is its sources.list)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "archive"
        self.folder.mkdir()
        self.sources = folder / "sources.list"
        self.sources.write_text(f"deb [trusted=yes] file:{self.folder} ./\n")
        self.index: list[str] = []

    def add(
        self, name: str, files: Mapping[str, bytes], *, version: str = "1.0", section: str = "misc", depends: str = ""
    ) -> Path:
        """Make a package of executable files and return its place in the archive."""
        content = self.folder / f"{name}-{version}"
        for path, data in {**files, f"usr/share/doc/{name}/version": version.encode()}.items():
            (content / path).parent.mkdir(parents=True, exist_ok=True)
            (content / path).write_bytes(data)
            (content / path).chmod(0o755)
        control = CONTROL.format(name=name, version=version, section=section, depends=depends)
        control = control.replace("Depends: \n", "")
        (content / "DEBIAN").mkdir()
        (content / "DEBIAN" / "control").write_text(control)
        deb = self.folder / f"{name}_{version}_amd64.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-b", str(content), str(deb)], check=True, capture_output=True
        )
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        size = deb.stat().st_size
        self.index.append(f"{control}Filename: ./{deb.name}\nSize: {size}\nSHA256: {digest}\n")
        self.write_index()
        return deb

    def write_index(self) -> None:
        packages = "\n".join(self.index).encode()
        (self.folder / "Packages").write_bytes(packages)
        digest = hashlib.sha256(packages).hexdigest()
        (self.folder / "Release").write_text(
            f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {len(packages)} Packages\n"
        )
