"""Hostile files and trees: one clear error that names the file, or a result; never a crash, a hang or gigabytes."""

import contextlib
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from builder.analyse import closure, elf, plugins, tables, versions
from builder.analyse.guest import Guest
from builder.errors import AnalysisError
from builder.model import File
from tests.unit.analyse.programs import tree
from tests.unit.analyse.scene import LOADER, write
from tests.unit.analyse.tiny import Tiny

LOOSE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE = Tiny(["libb.so", "liba.so"], soname="liba.so", runpath="/opt:$ORIGIN", interpreter=LOADER, defines=("V1", "V2"),
             wants=[("libb.so", "V1", False), ("libb.so", "V2", True), ("liba.so", "V1", False)]).content()  # fmt: skip


def resolved(root: Path, data: bytes) -> None:
    """A closure of a program and its libraries, all of the same damaged content."""
    place = write(root / "file", data)
    files = tree({LOADER: Path(LOADER), "/bin/app": place, "/lib/liba.so": place, "/opt/libb.so": place})
    with contextlib.suppress(AnalysisError):
        plugins.complete(files, ["/bin/app"])
    with contextlib.suppress(AnalysisError):
        closure.missing(files, ["/bin/app"])


@LOOSE
@given(st.data())
def test_no_damage_to_a_library_makes_anything_but_an_analysis_error(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 5))):
        size = data.draw(st.sampled_from((1, 2, 4, 8)))
        at = data.draw(st.integers(20, len(WHOLE) - 8))
        value = data.draw(st.integers(0, 2000) | st.integers(0, (1 << 64) - 1))
        damaged[at : at + size] = value.to_bytes(8, "little")[:size]
    resolved(tmp_path, bytes(damaged))


@LOOSE
@given(st.integers(0, len(WHOLE)))
def test_no_truncation_does(tmp_path: Path, size: int) -> None:
    resolved(tmp_path, WHOLE[:size])


def changed(tag: int, value: int, data: bytes = WHOLE) -> elf.Elf:
    """The file with one dynamic entry's value replaced."""
    file = elf.parse(data, "/lib/x.so")
    dynamic = next(s for s in file.segments if s.kind == elf.PT_DYNAMIC)
    where = dynamic.offset + 16 * [t for t, _ in file.dynamic].index(tag) + 8
    return elf.parse(data[:where] + struct.pack("<Q", value) + data[where + 8 :], "/lib/x.so")


def test_version_chains_that_overlap_or_have_too_many_records_are_refused() -> None:
    with pytest.raises(AnalysisError, match=r"/lib/x\.so: \d+ version records at address 0x"):
        versions.wanted(changed(elf.DT_VERNEEDNUM, 1 << 40))
    file = elf.parse(WHOLE, "/lib/x.so")
    at = file.value(elf.DT_VERNEED) + 12
    slow = WHOLE[:at] + struct.pack("<I", 1) + WHOLE[at + 4 :]
    with pytest.raises(AnalysisError, match=r"/lib/x\.so: two version records at address 0x\w+ overlap"):
        versions.wanted(elf.parse(slow, "/lib/x.so"))
    with pytest.raises(AnalysisError, match=r"lies outside the file"):
        versions.defined(changed(elf.DT_VERDEF, 1 << 50))
    with pytest.raises(AnalysisError):
        tables.dynamic_symbols(changed(elf.DT_VERNEEDNUM, 1 << 40))


def test_a_dynamic_section_or_a_name_without_end_costs_nothing() -> None:
    entry = struct.pack("<qQ", 1, 1)
    size = 64 + 2 * 56 + (1 << 22)
    heads = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 4096)
    heads += struct.pack("<IIQQQQQQ", 2, 6, 176, 176, 176, 1 << 22, 1 << 22, 8)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    tracemalloc.start()
    with pytest.raises(AnalysisError, match=r"the dynamic section at offset 0xb0 has more than 16384 entries"):
        elf.parse(head + heads + entry * (1 << 18), "x")
    assert tracemalloc.get_traced_memory()[1] < 3 * size
    tracemalloc.stop()
    long = Tiny(["a" * (1 << 20)]).content()
    with pytest.raises(AnalysisError, match=r"x: DT_NEEDED at offset 0x\w+ is too long"):
        _ = elf.parse(long, "x").needed


names = st.sampled_from(("a", "b", "dir", "sub"))
asked_for = st.lists(names | st.sampled_from(("..", ".")), min_size=1, max_size=6).map("/".join)
targets = st.tuples(st.sampled_from(("", "/")), asked_for).map("".join)
places = st.tuples(st.sampled_from(("", "dir/", "dir/sub/")), st.sampled_from(("a", "b"))).map("".join)


@LOOSE
@given(st.dictionaries(places, targets, max_size=6), asked_for)
@example({"a": "b", "b": "a"}, "a/x")
@example({"a": "a/a/a/a"}, "a")
def test_paths_lead_where_the_kernel_says(links: dict[str, str], path: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "dir/sub").mkdir(parents=True)
        entries = {place: File(place, "directory") for place in (name, f"{name}/dir", f"{name}/dir/sub")}
        for place, target in links.items():
            text = name + target if target.startswith("/") else target
            (root / place).symlink_to(text)
            entries[f"{name}/{place}"] = File(f"{name}/{place}", "symlink", target=text)
        guest, asked = Guest(entries), f"{name}/{path}"
        try:
            os.stat(asked)  # noqa: PTH116 - as the loader would ask
            there = os.path.realpath(asked)
        except OSError:
            there = ""
        if there.startswith(name):
            assert guest.real(asked) == there
        elif not there:
            assert guest.real(asked) not in entries
