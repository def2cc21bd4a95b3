"""Coverage-guided fuzzing of everything that reads an ELF file: parsing, summary and closure, of both architectures.

    python -m tests.fuzz.elf_files CORPUS [options of libFuzzer, such as -max_total_time=1800]

See README.md beside this file. A find is any exception but AnalysisError, more than 10 s, or more than 1 GiB.
"""

import contextlib
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # see README.md

with atheris.instrument_imports(include=["builder"]):
    from builder.analyse import closure, ldcache, needs
    from builder.analyse.summary import summarise
    from builder.edges.store import Store
    from builder.errors import AnalysisError
    from builder.model import File

SOURCES = Path(__file__).parents[1] / "c" / "analyse"
KINDS = (
    ("pointers.c", "-O1", "-nostdlib", "-shared", "-fPIC", "-Wl,-soname,x"),
    ("switch.c", "-O2", "-s"),
    ("families.c", "-O1", "-static-pie"),
    ("plugin.c", "-O1", "-shared", "-fPIC"),
)
LONGEST = 40_000  # bytes of a seed: what is longer is fuzzed too slowly
FIELDS = (
    0,
    1,
    2,
    7,
    8,
    16,
    24,
    0x7F,
    0xFF,
    0x1000,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    1 << 40,
    (1 << 64) - 1,
    1 << 63,
)


def seeds(folder: Path) -> None:
    """Compile the first inputs; the same with AArch64's number in the header are further ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (source, *options) in enumerate(KINDS):
        for compiler in ("gcc", "musl-gcc"):
            out = folder / f"{compiler}-{number}"
            done = subprocess.run(
                [compiler, *options, "-o", str(out), str(SOURCES / source)], capture_output=True, check=False
            )
            if done.returncode or out.stat().st_size > LONGEST:
                out.unlink(missing_ok=True)
                continue
            data = out.read_bytes()
            (folder / f"{out.name}-arm").write_bytes(data[:18] + struct.pack("<H", 183) + data[20:])


def one(data: bytes) -> None:
    """All that is done with a file somebody brings."""
    for read in (lambda: summarise(data, "input"), lambda: ldcache.read(data, 0)):
        with contextlib.suppress(AnalysisError):
            read()
    with tempfile.TemporaryDirectory() as folder:
        host = Path(folder, "input")
        host.write_bytes(data)
        names = ("/bin/app", "/lib/x", "/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/etc/ld.so.cache")
        tree = {n: File(path=n, kind="file", host=str(host), mode=0o755) for n in names}
        with contextlib.suppress(AnalysisError):
            files = closure.resolve(tree, ("/bin/app",))
            needs.analyse(tree, files, Store(Path(folder, "store")))


def mutate(data: bytes, longest: int, seed: int) -> bytes:
    """Mostly change one number where headers and tables stand; else as libFuzzer would."""
    chance = random.Random(seed)
    if len(data) < 64 or chance.random() < 0.3:
        return bytes(atheris.Mutate(data, longest))
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        size = chance.choice((2, 4, 8, 8))
        at = chance.choice(_places(data, chance)) & ~(size - 1)
        if at + size <= len(changed):
            value = chance.choice((*FIELDS, len(data), len(data) - 1, chance.getrandbits(8 * size), at))
            changed[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(changed[:longest])


def _places(data: bytes, chance: random.Random) -> list[int]:
    """Offsets of the header, of program and section headers, and of what they lead to."""
    headers, sections = struct.unpack_from("<QQ", data, 32)
    found = [chance.randrange(64), chance.randrange(len(data))]
    for base, step in ((headers, 56), (sections, 64)):
        at = base + step * chance.randrange(12) + 8 * chance.randrange(8)
        found += [at % len(data)] * 3
        start = base + step * chance.randrange(30)
        if start + 40 < len(data):
            offset = struct.unpack_from("<Q", data, start + (8 if step == 56 else 24))[0]
            found += [(offset + chance.randrange(400)) % len(data)] * 3
    return found


def main() -> None:
    seeds(Path(sys.argv[1]))
    atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=1024", f"-max_len={LONGEST}"], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
