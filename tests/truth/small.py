"""Small programs of this machine, each really run and traced in a scratch folder of its own."""

import gzip
import os
import shutil
import tarfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from builder.traced import Trace
from builder.value import Value
from tests.truth.machine import ENVIRONMENT, traced_run

TABLE = Path(__file__).parent / "small.toml"
WORDS = "alpha\nbeta b\ngamma aab\ndelta\tx\nomega\n"
SCRIPT = """set -e
for f in tree/one/*.txt; do while read -r line; do echo "$line"; done < "$f"; done > out
x=$(cat words.txt | wc -l); echo $((x + 1)) >> out
trap 'echo bye' EXIT
(sleep 0.01; echo sub) & wait
test -f out && . ./part.sh
"""


class Small(Value, frozen=True):
    """A program of this machine and the runs that show what it does."""

    name: str
    program: str  # as found in PATH; the file it is once links are followed is `real`
    real: str
    runs: tuple[str, ...]


@cache
def programs() -> tuple[Small, ...]:
    """The table's programs that this machine has: ELF files, each file once."""
    table: dict[str, list[str]] = tomllib.loads(TABLE.read_text())["runs"]
    found: dict[str, Small] = {}
    for name, runs in table.items():
        where = shutil.which(name, path=ENVIRONMENT["PATH"])
        real = str(Path(where).resolve()) if where else ""
        if where and real not in found and Path(real).read_bytes()[:4] == b"\x7fELF":
            found[real] = Small(name, where, real, tuple(runs))
    return tuple(found.values())


def record(small: Small, folder: Path) -> Trace:
    """The trace of all runs of a program, each in a fresh folder below `folder`."""
    parts = []
    for number, run in enumerate(small.runs):
        place = folder / f"{small.name}-{number}"
        prepare(place)
        words = [word.replace("~", " ") for word in run.split()]
        argv = [shutil.which(words[0], path=ENVIRONMENT["PATH"]) or words[0], *words[1:]]
        parts.append(traced_run(argv, small.name, small.real, place, stdin=WORDS.encode())[0])
        shutil.rmtree(place, ignore_errors=True)
    return join(small.name, parts)


def join(app: str, parts: list[Trace]) -> Trace:
    """One trace of several."""
    files = {path: digest for part in parts for path, digest in part.files.items()}
    return Trace(app, files, tuple(call for part in parts for call in part.calls))


def prepare(place: Path) -> None:
    """The files that the runs work on."""
    for name, text in _files():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (place / "data.bin").write_bytes(bytes(range(256)) * 256 + bytes(16384))
    (place / "words.txt.gz").write_bytes(gzip.compress(WORDS.encode()))
    (place / "link").symlink_to("tree/one")
    (place / "empty/in").mkdir(parents=True)
    (place / "copy0").mkdir()
    (place / "made0").mkdir()
    os.mkfifo(place / "fifo")
    with tarfile.open(place / "pack.tar", "w") as tar:
        tar.add(place / "tree", "tree")


def _files() -> Iterator[tuple[str, str]]:
    yield "words.txt", WORDS
    yield "more.txt", "alpha\ngamma aab\nzeta\n"
    yield "numbers.txt", "".join(f"{n},{n * n}\n" for n in range(60))
    yield "large.txt", "".join(f"{n * 7919 % 100003}\n" for n in range(60000))
    yield "pairs.txt", "a b\nb c\n"
    yield "nums.bc", "2^10\nscale=5\n1/3\nquit\n"
    yield "data.json", '{"a": {"b": [1, 2]}}\n'
    yield "script.sh", SCRIPT
    yield "part.sh", "umask 022\nexport A=1\n"
    yield "makefile", "all: a b\na:\n\techo a > a\nb:\n\ttouch b\n"
    yield "change.patch", "--- more.txt\n+++ more.txt\n@@ -1,3 +1,3 @@\n-alpha\n+alfa\n gamma aab\n zeta\n"
    for folder in ("one", "two"):
        for number in range(3):
            yield f"tree/{folder}/{number}.txt", f"{folder} {number} e\n"
