"""Kernel source trees on disk: which files they hold, their texts, and which files mention a word."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from builder.edges.process import run, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import Store, digest_bytes
from builder.errors import BuilderError
from builder.model import KernelSource

LIST = "listing.json"
GREP_LIMIT_S = 300.0
PIECE = 1500  # files given to one grep: a command line holds 2 MB


def listing(source: KernelSource, store: Store) -> Mapping[str, str]:
    """Every file of a source tree by its path, with a digest of its content; kept in the store."""

    def fill(folder: Path) -> None:
        (folder / LIST).write_bytes(msgspec.json.encode(_listed(Path(source.path))))

    folder = store.make("listing", digest_bytes(f"1 {source.key}".encode()), fill)
    return msgspec.json.decode((folder / LIST).read_bytes(), type=dict[str, str])


def _listed(root: Path) -> dict[str, str]:
    paths = []
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
        paths += [f"{folder}/{name}" for name in (*names, *links)]
    with ThreadPoolExecutor() as pool:  # reading and hashing release the interpreter's lock
        digests = list(pool.map(_digest, paths))
    return {path[len(str(root)) + 1 :]: digest for path, digest in zip(paths, digests, strict=True)}


def _digest(path: str) -> str:
    if os.path.islink(path):  # noqa: PTH114 - a Path for each of 60,000 files takes longer than reading them
        return f"-> {os.readlink(path)}"  # noqa: PTH115
    with open(path, "rb") as stream:  # noqa: PTH123
        return hashlib.sha256(stream.read()).hexdigest()[:32]


class Pair:
    """Two versions of a source tree; `read` are the files that the build of the old one read."""

    def __init__(self, old: str, new: str, read: Sequence[str]) -> None:
        self._old, self._new = Path(old), Path(new)
        self._read = sorted(path for path in read if (self._old / path).is_file())

    def old(self, path: str) -> str:
        """The text of a file before, empty where there was none."""
        return _text(self._old / path)

    def new(self, path: str) -> str:
        """The text of a file after, empty where there is none."""
        return _text(self._new / path)

    def differs(self, path: str) -> bool:
        """Whether a file is another one in the two versions."""
        return _bytes(self._old / path) != _bytes(self._new / path)

    def mentions(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """By name, the files that mention it as a word, in either version."""
        found: dict[str, set[str]] = {}
        with scratch_folder("names") as folder:
            (folder / "names").write_text("".join(f"{name}\n" for name in sorted(names)))
            for line in self._grep(["-w", "-o", "-H", "-F", "-f", str(folder / "names")]):
                file, _, name = line.rpartition(":")
                found.setdefault(name, set()).add(file)
        return {name: tuple(sorted(files)) for name, files in found.items()}

    def included(self) -> frozenset[str]:
        """The C files that others include, as far as one that the build read has the same name."""
        lines = self._grep(["-h", "-E", r'^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]+\.c[">]'])
        names = {line.replace(">", '"').replace("<", '"').split('"')[1].rpartition("/")[2] for line in lines}
        return frozenset(path for path in self._read if path.rpartition("/")[2] in names)

    def redefined(self) -> frozenset[str]:
        """The options that a source sets or unsets itself (a 32-bit vDSO takes back that the kernel has 64)."""
        lines = self._grep(["-h", "-E", r"^[[:space:]]*#[[:space:]]*(define|undef)[[:space:]]+CONFIG_"])
        return frozenset(found for line in lines for found in re.findall(r"(?:define|undef)\s+CONFIG_(\w+)", line))

    def pasted(self) -> tuple[str, ...]:
        """The lines of headers in which a macro pastes words together, with their continuation."""
        headers = [path for path in self._read if path.endswith(".h")]
        return tuple(line for path in headers for line in self._pasting(path))

    def _pasting(self, path: str) -> list[str]:
        text = _text(self._old / path)
        if "##" not in text:
            return []
        return [line for line in re.sub(r"\\\n", " ", text).splitlines() if "##" in line]

    def _grep(self, options: Sequence[str]) -> list[str]:
        lines: list[str] = []
        for tree in (self._old, self._new):
            for start in range(0, len(self._read), PIECE):
                files = [path for path in self._read[start : start + PIECE] if (tree / path).is_file()]
                done = run(
                    ["grep", "-a", *options, "--", *files], timeout_s=GREP_LIMIT_S, cwd=tree, env={"LC_ALL": "C"}
                )
                if done.exit_code > 1:
                    raise BuilderError("the kernel's source cannot be searched", tail=tail(done.stderr))
                lines += done.stdout.decode(errors="replace").splitlines()
        return lines


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", errors="backslashreplace")  # which byte it is counts


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return b""
