"""The closure against the real loader: any arrangement of libraries gives what the loader itself would map."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from builder.analyse import closure, elf
from tests.unit.analyse.scene import LOADER, Host, Loader, mapped, tree_of, walk, write
from tests.unit.analyse.tiny import Tiny

NAMES = ("liba.so", "libb.so", "libc.so.6", "libd.so", "libm.so.6")
FOLDERS = ("one", "two", "two/sub", "three", "two/glibc-hwcaps/x86-64-v2", "one/haswell")
PLACES = ("", "ROOT/one", "ROOT/two", "$ORIGIN", "${ORIGIN}/../two", "ROOT/link", "ROOT/none", "ROOT/two/$PLATFORM",
          "ROOT/$LIB", "ROOT/link/..", "three", "$ORIGINAL")  # fmt: skip
JUDGED = settings(max_examples=60, deadline=None)
lists = st.lists(st.sampled_from(PLACES), max_size=3).map(":".join)
needs = st.lists(st.sampled_from((*NAMES, "ROOT/one/libb.so", "three/libd.so")), max_size=3)
wants = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("V1", "V2")), st.booleans()), max_size=2)


@st.composite
def files(draw: st.DrawFn) -> Tiny:
    soname = draw(st.sampled_from(("", *NAMES)))
    needed = draw(needs)
    return Tiny(
        needed=needed,
        soname=soname,
        rpath=draw(lists),
        runpath=draw(st.just("") | lists),
        flags_1=draw(st.sampled_from((0, 0, 0, 0x800))),
        wants=[want for want in draw(wants) if want[0] in needed],
        defines=draw(st.sampled_from(((), ("V1",), ("V1", "V2")))),
    )


scenes = st.dictionaries(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)), files(), max_size=6)


def placed(tiny: Tiny, root: Path) -> Tiny:
    tiny.needed = [name.replace("ROOT", str(root)) for name in tiny.needed]
    tiny.rpath, tiny.runpath = (text.replace("ROOT", str(root)) for text in (tiny.rpath, tiny.runpath))
    return tiny


@cache
def platform() -> str:
    """What the loader calls this machine's processor: it searches the folder of that name and none of another."""
    said = subprocess.run([LOADER, "--list-diagnostics"], capture_output=True, text=True, check=True, timeout=60).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("dl_platform="))
    return line.partition("=")[2].strip('"')


@JUDGED
@given(scenes, files(), st.just("") | lists)
def test_any_arrangement_of_libraries_is_resolved_as_the_loader_does(
    scene: dict[tuple[str, str], Tiny], program: Tiny, library_path: str
) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        for (folder, name), tiny in scene.items():
            write(root / folder / name, placed(tiny, root))
        (root / "two").mkdir(exist_ok=True)
        (root / "link").symlink_to("two/sub")
        program.interpreter = LOADER
        app = write(root / "one/app", placed(program, root))
        environment = {"LD_LIBRARY_PATH": library_path.replace("ROOT", str(root))} if library_path else {}
        judge, found = Loader(app, environment, cwd=root), walk(tree_of(root), app, environment, str(root))
        mine, maybe = mapped(found), mapped(found, ("needed", "plugin"))
        theirs = {os.path.realpath(path) for path in judge.paths} - {os.path.realpath(LOADER)}
        other_processors = any("/haswell/" in path for path in mine) and platform() != "haswell"
        if mine == maybe and not other_processors:  # no choice by processor
            assert {os.path.realpath(path) for path in mine} == theirs
            assert set(found.lacking) == judge.missing
            assert bool(found.unmet) == bool(judge.errors)
        assert theirs <= {os.path.realpath(path) for path in maybe}
        assert other_processors or judge.missing <= set(found.lacking)
    finally:
        shutil.rmtree(root)


def programs() -> list[Path]:
    """Every dynamic x86-64 program of this machine that runs with its caller's rights, some 60 of them."""
    found = []
    for path in sorted(Path("/usr/bin").iterdir()):
        if path.is_file() and not path.stat().st_mode & 0o6000 and os.access(path, os.R_OK | os.X_OK):
            with path.open("rb") as stream:
                start = stream.read(20)
            if start[:6] == b"\x7fELF\x02\x01" and start[18:20] == b"\x3e\0":
                found.append(path)
    return found[:: max(len(found) // 60, 1)]


def test_programs_of_this_machine_map_what_the_closure_says() -> None:
    differences = {}
    for path in programs():
        if not elf.parse(path.read_bytes(), str(path)).interpreter:
            continue
        found = closure.walked(Host({}), [str(path)], [], {})
        judge = Loader(path)
        theirs = {os.path.realpath(p) for p in judge.paths}
        mine = {os.path.realpath(p) for p in mapped(found, ("needed", "interpreter"))}
        maybe = {os.path.realpath(p) for p in mapped(found, ("plugin",))}
        chosen = theirs - {os.path.realpath(LOADER)}
        if not chosen <= mine | maybe or judge.missing != set(found.lacking) or (not maybe and mine - theirs):
            differences[str(path)] = (chosen ^ mine, judge.missing ^ set(found.lacking))
    assert differences == {}
