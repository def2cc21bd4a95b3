"""Tables of real files against readelf, system call numbers against the kernel's, and AArch64 beside x86-64."""

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from builder.analyse import elf, tables, versions
from builder.analyse.machine import MACHINES
from builder.analyse.table import names
from builder.errors import AnalysisError
from tests.unit.analyse.tiny import Tiny

LIBRARIES = Path("/lib/x86_64-linux-gnu")
FILES = [path for path in (LIBRARIES / "libc.so.6", LIBRARIES / "libcrypto.so.3", LIBRARIES / "libstdc++.so.6",
                           Path("/lib64/ld-linux-x86-64.so.2"), Path(sys.executable).resolve())
         if path.exists()]  # fmt: skip
HEADERS = Path("/usr/include")


def readelf(option: str, path: Path) -> str:
    return subprocess.run(["readelf", "-W", option, str(path)], capture_output=True, text=True, check=True,
                          env={"LC_ALL": "C"}, timeout=60).stdout  # fmt: skip


def parsed(path: Path) -> elf.Elf:
    return elf.parse(path.read_bytes(), str(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_names_in_the_dynamic_section_are_those_readelf_prints(path: Path) -> None:
    printed, file = readelf("-d", path), parsed(path)
    assert list(file.needed) == re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", printed)
    assert [file.soname] == (re.findall(r"\(SONAME\)\s+Library soname: \[(.*)\]", printed) or [""])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_versions_are_those_readelf_prints(path: Path) -> None:
    printed, file = readelf("-V", path), parsed(path)
    library, wanted, defined = "", [], set()
    for line in printed.splitlines():
        if match := re.search(r"Version: \d+  File: (\S+)", line):
            library = match[1]
        elif match := re.search(r": +Name: (\S+)  Flags: (.*?)  Version: \d+", line):
            wanted.append(versions.Wanted(library, match[1], "WEAK" in match[2]))
        elif match := re.search(r"Rev: \d+  Flags: .*Name: (\S+)", line):
            defined.add(match[1])
    assert list(versions.wanted(file)) == wanted
    assert (versions.defined(file) or set()) == defined


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_dynamic_symbols_are_those_readelf_prints(path: Path) -> None:
    row = re.compile(r"^\s*\d+: ([0-9a-f]+)\s+\S+\s+\S+\s+(\S+)\s+\S+.*?\s+(\S+) (\S+?)(?:(@@?)(\S+))?(?: \(\d+\))?$")
    found = [match for match in map(row.match, readelf("--dyn-syms", path).splitlines()) if match]
    theirs = [(m[4], int(m[1], 16), m[3] != "UND", m[6] or "") for m in found]
    mine = [(s.name, s.address, bool(s.section), s.version) for s in tables.dynamic_symbols(parsed(path)) if s.name]
    assert len(mine) > 10
    marks = {name for name, _, _, version in mine if name == version}  # a version's own symbol: printed without it
    assert [row for row in mine if row[0] not in marks] == [row for row in theirs if row[0] not in marks]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_relocations_have_the_role_of_their_type(path: Path) -> None:
    roles = {"R_X86_64_64": "absolute", "R_X86_64_GLOB_DAT": "glob_dat", "R_X86_64_JUMP_SLOT": "jump_slot",
             "R_X86_64_RELATIVE": "relative", "R_X86_64_IRELATIVE": "irelative", "R_X86_64_COPY": "copy",
             "R_X86_64_DTPMOD64": "tls", "R_X86_64_TPOFF64": "tls", "R_X86_64_DTPOFF64": "tls"}  # fmt: skip
    rows = re.findall(r"^([0-9a-f]{16})  [0-9a-f]{16} (R_\S+)", readelf("-r", path), re.MULTILINE)
    theirs = {(int(at, 16), roles.get(kind, "other")) for at, kind in rows}
    mine = {(move.address, move.role) for move in tables.relocations(parsed(path))}
    assert theirs <= mine
    assert {role for _, role in mine - theirs} <= {"relative"}  # DT_RELR, printed in another form


def test_relocations_of_aarch64_have_the_same_roles() -> None:
    rows = [(257, "absolute"), (1024, "copy"), (1025, "glob_dat"), (1026, "jump_slot"), (1027, "relative"),
            (1030, "tls"), (1032, "irelative"), (8, "other")]  # fmt: skip
    table = b"".join(struct.pack("<QQq", 8 * i, kind, 0) for i, (kind, _) in enumerate(rows))
    data = bytearray(Tiny(machine=183, extra=[(7, ""), (8, "")]).content())
    file = elf.parse(bytes(data), "x", "aarch64")
    dynamic = next(s for s in file.segments if s.kind == elf.PT_DYNAMIC)
    place = len(data)
    data += table
    for i, (tag, _) in enumerate(file.dynamic):
        if tag in (elf.DT_RELA, elf.DT_RELASZ):
            struct.pack_into("<Q", data, dynamic.offset + 16 * i + 8, place if tag == elf.DT_RELA else len(table))
    for i in range(5):
        if struct.unpack_from("<I", data, 64 + 56 * i)[0] == elf.PT_LOAD:
            struct.pack_into("<QQ", data, 64 + 56 * i + 32, len(data), len(data))
    file = elf.parse(bytes(data), "x", "aarch64")
    assert file.machine == "aarch64"
    assert [(move.kind, move.role) for move in tables.relocations(file)] == rows


def test_the_architecture_is_what_is_asked_for() -> None:
    arm = Tiny(machine=183).content()
    with pytest.raises(AnalysisError, match="x: wrong architecture: 64-bit ELF for AArch64") as caught:
        elf.parse(arm, "x")
    assert caught.value.hint == elf.REBUILD
    with pytest.raises(AnalysisError, match="x: wrong architecture: 64-bit ELF for x86-64") as caught:
        elf.parse(Tiny().content(), "x", "aarch64")
    assert "AArch64" in caught.value.hint
    assert [elf.parse(Tiny(machine=m.number).content(), "x", "").machine for m in MACHINES.values()] == list(MACHINES)
    big = bytearray(arm)
    big[5], big[18:20] = 2, b"\0\xb7"
    with pytest.raises(AnalysisError, match="64-bit big-endian ELF for AArch64"):
        elf.parse(bytes(big), "x", "")


def test_system_call_numbers_of_x86_64_are_those_of_this_machines_headers() -> None:
    text = (HEADERS / "x86_64-linux-gnu/asm/unistd_64.h").read_text()
    theirs = {int(number): name for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    assert {number: names().get(number) for number in theirs} == theirs


def test_system_call_numbers_of_aarch64_are_those_of_the_generic_header() -> None:
    text = (HEADERS / "asm-generic/unistd.h").read_text()
    theirs = {
        int(number): name.removeprefix("3264_") for name, number in re.findall(r"#define __NR_?(\w+) (\d+)", text)
    }
    mine = names("aarch64")
    other = {"fstatat": "newfstatat", "umount": "umount2"}  # names for 64 bits
    apart = {"arch_specific_syscall", "syscalls"} | {name for name in theirs.values() if name.endswith("time64")}
    expected = {number: other.get(name, name) for number, name in theirs.items() if name not in apart}
    assert {number: mine.get(number, "") for number in expected} == expected


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_both_tables_name_every_call_once(machine: str) -> None:
    table = names(machine)
    assert len(set(table.values())) == len(table)
    assert {"read", "openat", "clone3", "memfd_secret"} <= set(table.values())
    assert ("open" in table.values()) == (machine == "x86_64")
