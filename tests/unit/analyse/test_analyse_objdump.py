"""Decoding held against GNU objdump's on the C library, libcrypto and nginx: where instructions begin, calls, jumps,
system calls. objdump reads a section straight on and is out of step behind data; from where a function begins it is
asked again."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from builder import paths
from builder.analyse.arch import Unit
from builder.analyse.summary import File
from builder.edges.store import Store
from tests.truth import servers

pytestmark = pytest.mark.slow

LINE = re.compile(r"^ +([0-9a-f]+):\t(\S+)(?: +([0-9a-f]+) <)?", re.MULTILINE)
FILES = ("/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/sbin/nginx")


@dataclass(frozen=True)
class Judged:
    """A file as Kiln reads it, its units, and what objdump says of each address: mnemonic and direct target."""

    file: File
    host: str
    theirs: Mapping[int, tuple[str, int]]

    @property
    def units(self) -> list[Unit]:
        """The functions that the file's unwind records tell of; between them data may stand as well."""
        return [unit for unit in self.file.code.units if unit.framed]

    def of(self, unit: Unit) -> dict[int, tuple[str, int]]:
        """What objdump says of a unit; of one it is out of step in, when it is asked from its start."""
        ours = self.file.reader.scanner.boundaries(self.file.reader.bytes_of(unit.start, unit.end), unit.start)
        found = {a: self.theirs[a] for a in range(unit.start, unit.end) if a in self.theirs}
        return found if found.keys() == ours else dumped(self.host, unit.start, unit.end)


def dumped(host: str, start: int = 0, stop: int = 1 << 48) -> dict[int, tuple[str, int]]:
    """objdump's instructions by address."""
    argv = ["objdump", "-d", "-w", "--no-show-raw-insn", f"--start-address={start}", f"--stop-address={stop}", host]
    text = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
    return {int(m[1], 16): (m[2], int(m[3], 16) if m[3] else -1) for m in LINE.finditer(text)}


@cache
def judged(path: str) -> Judged:
    entry = paths.find(servers.case("nginx", Store()).tree, path)
    assert entry
    return Judged(File(Path(entry.host).read_bytes(), path), entry.host, dumped(entry.host))


@pytest.mark.parametrize("path", FILES)
def test_instructions_begin_where_objdump_says(path: str) -> None:
    one = judged(path)
    reader = one.file.reader
    for unit in one.units:
        ours = reader.scanner.boundaries(reader.bytes_of(unit.start, unit.end), unit.start)
        theirs = one.of(unit)
        bad = min((a for a, (name, _) in theirs.items() if name == "(bad)"), default=unit.end)  # data inside a function
        assert {a for a in ours if a < bad} == {a for a in theirs if a < bad}, hex(unit.start)


@pytest.mark.parametrize("path", FILES)
def test_nearly_all_that_objdump_takes_for_code_is_in_units(path: str) -> None:
    one = judged(path)
    outside = [a for a, (name, _) in one.theirs.items() if one.file.code.index(a) < 0 and not padding(name)]
    assert len(outside) < 0.01 * len(one.theirs)  # data between functions, which objdump reads as code


def padding(name: str) -> bool:
    """Whether a mnemonic is one that stands between functions."""
    return name in ("nop", "nopw", "nopl", "int3", "cs", "data16", "xchg", "add", "(bad)")


@pytest.mark.parametrize("path", FILES)
def test_calls_and_jumps_lead_where_objdump_says(path: str) -> None:
    one = judged(path)
    for unit in one.units:
        theirs = one.of(unit)
        direct = {a: (name, target) for a, (name, target) in theirs.items() if target >= 0}
        calls = {t for name, t in direct.values() if name == "call"}
        outward = {t for name, t in direct.values() if name.startswith("j") and not unit.start <= t < unit.end}
        if any(name == "(bad)" for name, _ in theirs.values()):  # data inside: what objdump reads in it is no judge
            continue
        assert unit.calls == {t for t in calls if not (unit.framed and unit.start <= t < unit.end)}, hex(unit.start)
        assert outward <= unit.jumps, hex(unit.start)
        i = one.file.code.index(unit.start)
        if one.file.code.inner.get(i, set()) <= theirs.keys():  # else it is decoded again from inside an instruction
            assert unit.jumps - outward <= one.file.code.tables.get(i, set()), hex(unit.start)


@pytest.mark.parametrize("path", FILES)
def test_system_calls_stand_where_objdump_says(path: str) -> None:
    one = judged(path)
    for unit in one.units:
        assert unit.syscalls == {a for a, (name, _) in one.of(unit).items() if name == "syscall"}, hex(unit.start)


@pytest.mark.parametrize("path", FILES)
def test_symbols_and_relocations_are_those_readelf_lists(path: str) -> None:
    one = judged(path)
    said = subprocess.run(["readelf", "-W", "--dyn-syms", one.host], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in said.splitlines() if re.match(r"^ +\d+: ", line)]
    named = [(int(r[1], 16), r[7].partition("@")[0]) for r in rows if len(r) > 7]
    assert [(s.address, s.name) for s in one.file.symbols if s.name] == named
    said = subprocess.run(["readelf", "-W", "-r", one.host], capture_output=True, text=True, check=True).stdout
    whole = re.findall(r"'\.rel[a-z.]+' at offset \S+ contains (\d+) entr(?:y|ies):\n(?:  (\d+) offsets)?", said)
    assert len(one.file.moves) == sum(int(packed or entries) for entries, packed in whole)
