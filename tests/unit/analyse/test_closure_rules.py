"""The loader's rules one by one; where it can be asked, the real loader is the judge."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.analyse import closure, ldcache
from builder.analyse.guest import Guest
from builder.analyse.machine import X86_64
from builder.errors import AnalysisError
from builder.model import File, Tree
from tests.unit.analyse.programs import tree
from tests.unit.analyse.scene import LOADER, Loader, mapped, tree_of, walk, write
from tests.unit.analyse.tiny import Tiny

DEBIAN = "/lib/x86_64-linux-gnu"
AUXILIARY, FILTER = 0x7FFFFFFD, 0x7FFFFFFF
MUSL = "/lib/ld-musl-x86_64.so.1"


def app(root: Path, *needed: str, **more: object) -> Path:
    return write(root / "bin/app", Tiny(needed=needed, interpreter=LOADER, **more))  # type: ignore[arg-type]


def lib(root: Path, place: str, *needed: str, **more: object) -> Path:
    more.setdefault("soname", Path(place).name)
    return write(root / place, Tiny(needed=needed, **more))  # type: ignore[arg-type]


def guest(root: Path, files: dict[str, Tiny | bytes], links: dict[str, str] | None = None) -> Tree:
    """A guest of made files, with this machine's loader."""
    host = {path: write(root / path.lstrip("/"), content) for path, content in files.items()}
    return tree({LOADER: Path(LOADER), **host}, links)


def agree(root: Path, program: Path, environment: dict[str, str] | None = None, directory: str = "/") -> list[str]:
    """What both map, in the order both map it."""
    judge, found = (
        Loader(program, environment, cwd=Path(directory)),
        walk(tree_of(root), program, environment, directory),
    )
    theirs = [path for path in judge.paths if not path.startswith("/lib")]
    assert [path for path in mapped(found) if path.startswith(str(root))] == theirs
    assert set(found.lacking) == judge.missing
    assert {(version, by) for _, version, by in found.unmet} == {(version, by) for _, version, by in judge.errors}
    return theirs


def test_rpath_then_library_path_then_runpath(tmp_path: Path) -> None:
    for folder in ("rpath", "environment", "runpath"):
        lib(tmp_path, f"{folder}/liba.so")
    environment = {"LD_LIBRARY_PATH": f"{tmp_path}/none;{tmp_path}/environment"}
    old = app(tmp_path, "liba.so", rpath=f"{tmp_path}/rpath")
    assert agree(tmp_path, old, environment) == [f"{tmp_path}/rpath/liba.so"]
    new = app(tmp_path, "liba.so", rpath=f"{tmp_path}/rpath", runpath=f"{tmp_path}/runpath")
    assert agree(tmp_path, new, environment) == [f"{tmp_path}/environment/liba.so"]
    assert agree(tmp_path, new) == [f"{tmp_path}/runpath/liba.so"]


@pytest.mark.parametrize("between", [{}, {"runpath": "/none"}, {"rpath": "$ORIGIN/deep"}])
def test_rpath_reaches_through_libraries_that_have_no_runpath(tmp_path: Path, between: dict[str, str]) -> None:
    lib(tmp_path, "lib/libbetween.so", "libend.so", **between)
    lib(tmp_path, "lib/libend.so")
    lib(tmp_path, "lib/deep/libend.so")
    agree(tmp_path, app(tmp_path, "libbetween.so", rpath="$ORIGIN/../lib"))


def test_origin_is_the_real_folder_of_a_program_and_the_named_one_of_a_library(tmp_path: Path) -> None:
    lib(tmp_path, "real/lib/liba.so", "libb.so", runpath="$ORIGIN/near")
    lib(tmp_path, "real/lib/near/libb.so")
    write(tmp_path / "real/bin/app", Tiny(["liba.so"], runpath="${ORIGIN}/../lib", interpreter=LOADER))
    (tmp_path / "links").mkdir()
    (tmp_path / "links/app").symlink_to("../real/bin/app")
    assert len(agree(tmp_path, tmp_path / "links/app")) == 2
    (tmp_path / "other").symlink_to("real/lib")
    through = app(tmp_path, "liba.so", runpath=f"{tmp_path}/other")
    assert agree(tmp_path, through) == [f"{tmp_path}/other/liba.so", f"{tmp_path}/other/near/libb.so"]


def test_lib_and_platform_are_those_of_the_loader(tmp_path: Path) -> None:
    lib(tmp_path, "lib/x86_64-linux-gnu/liba.so")
    assert len(agree(tmp_path, app(tmp_path, "liba.so", runpath="$ORIGIN/../$LIB"))) == 1
    for platform in ("haswell", "x86_64"):
        lib(tmp_path, f"{platform}/libb.so")
    program = app(tmp_path, "libb.so", runpath="$ORIGIN/../$PLATFORM")
    found = walk(tree_of(tmp_path), program)
    assert mapped(found) == [f"{tmp_path}/x86_64/libb.so"]
    assert mapped(found, ("plugin",)) == [f"{tmp_path}/haswell/libb.so"]
    assert set(Loader(program).paths) <= set(mapped(found, ("needed", "plugin")))


def test_an_empty_element_is_the_working_directory(tmp_path: Path) -> None:
    lib(tmp_path, "liba.so")
    program = app(tmp_path, "liba.so", runpath="/none:")
    assert agree(tmp_path, program, directory=str(tmp_path)) == [f"{tmp_path}/liba.so"]
    assert agree(tmp_path, program, directory="/usr") == []


def test_a_name_with_a_slash_is_a_path(tmp_path: Path) -> None:
    lib(tmp_path, "lib/liba.so")
    program = app(tmp_path, "lib/liba.so", "$ORIGIN/../lib/libb.so", runpath=f"{tmp_path}/lib")
    lib(tmp_path, "lib/libb.so")
    assert len(agree(tmp_path, program, directory=str(tmp_path))) == 2
    assert len(agree(tmp_path, program, directory="/usr")) == 1


def test_a_library_is_mapped_once_by_soname_and_by_file(tmp_path: Path) -> None:
    lib(tmp_path, "lib/libreal.so.1")
    (tmp_path / "lib/libalias.so").symlink_to("libreal.so.1")
    lib(tmp_path, "lib/libwith.so", "libcalled.so", soname="libcalled.so")
    program = app(tmp_path, "libreal.so.1", "libalias.so", "libwith.so", runpath=f"{tmp_path}/lib")
    judge, found = Loader(program), walk(tree_of(tmp_path), program)
    assert judge.paths == [f"{tmp_path}/lib/libreal.so.1", f"{tmp_path}/lib/libwith.so"]
    # the link is part of the closure: the loader opens it before it knows
    assert mapped(found) == [judge.paths[0], f"{tmp_path}/lib/libalias.so", judge.paths[1]]
    assert [one.path for one in found.processes[0].loaded.values()][2:] == judge.paths


def test_a_file_of_another_class_or_machine_is_passed_over(tmp_path: Path) -> None:
    data = bytearray(Tiny(soname="liba.so").content())
    data[4] = 1
    write(tmp_path / "narrow/liba.so", bytes(data))
    lib(tmp_path, "arm/liba.so", machine=183)
    lib(tmp_path, "right/liba.so")
    folders = ":".join(f"{tmp_path}/{folder}" for folder in ("narrow", "arm", "right"))
    assert agree(tmp_path, app(tmp_path, "liba.so", runpath=folders)) == [f"{tmp_path}/right/liba.so"]


def test_every_variant_for_some_processor_is_part_of_the_closure(tmp_path: Path) -> None:
    levels = [f"lib/glibc-hwcaps/x86-64-v{level}" for level in (4, 3, 2)]
    for folder in ("lib", *levels):
        lib(tmp_path, f"{folder}/liba.so", f"lib{Path(folder).name}.so")
        lib(tmp_path, f"lib/lib{Path(folder).name}.so")
    lib(tmp_path, "lib/glibc-hwcaps/unknown/liba.so")
    program = app(tmp_path, "liba.so", rpath=f"{tmp_path}/lib")
    found = walk(tree_of(tmp_path), program)
    assert set(Loader(program).paths) <= set(mapped(found, ("needed", "plugin")))
    assert mapped(found)[0] == f"{tmp_path}/lib/liba.so"
    assert mapped(found, ("plugin",)) == [f"{tmp_path}/{folder}/liba.so" for folder in levels]
    assert len(mapped(found)) == 5  # what each variant needs is there too


def test_older_processor_folders_count_for_loaders_that_know_them(tmp_path: Path) -> None:
    lib(tmp_path, "lib/haswell/liba.so")
    lib(tmp_path, "lib/tls/x86_64/liba.so")
    lib(tmp_path, "lib/liba.so")
    program = app(tmp_path, "liba.so", rpath=f"{tmp_path}/lib")
    found = walk(tree_of(tmp_path), program)
    assert set(Loader(program).paths) <= set(mapped(found, ("needed", "plugin")))


def test_nodeflib_leaves_out_the_loaders_own_folders(tmp_path: Path) -> None:
    program = app(tmp_path, "libm.so.6", flags_1=0x800)
    agree(tmp_path, program)
    assert walk(tree_of(tmp_path), program).lacking
    assert not walk(tree_of(tmp_path), app(tmp_path, "libm.so.6")).lacking


def test_a_filter_brings_what_it_stands_for_and_an_auxiliary_one_may(tmp_path: Path) -> None:
    lib(tmp_path, "lib/libfront.so", extra=[(FILTER, "libback.so"), (AUXILIARY, "libabsent.so")])
    lib(tmp_path, "lib/libback.so")
    program = app(tmp_path, "libfront.so", rpath=f"{tmp_path}/lib")
    judge, found = Loader(program), walk(tree_of(tmp_path), program)
    assert set(mapped(found)) == set(judge.paths)
    assert mapped(found) == [f"{tmp_path}/lib/libback.so", f"{tmp_path}/lib/libfront.so"]  # asked for symbols first
    assert not found.lacking


def test_preloaded_libraries_come_before_needed_ones(tmp_path: Path) -> None:
    lib(tmp_path, "lib/liba.so")
    early = lib(tmp_path, "other/libearly.so", "liba.so", runpath=f"{tmp_path}/lib")
    program = app(tmp_path, "liba.so", runpath=f"{tmp_path}/lib")
    found = agree(tmp_path, program, {"LD_PRELOAD": f"{early} /none/lib.so"})
    assert found == [str(early), f"{tmp_path}/lib/liba.so"]
    walked = walk(tree_of(tmp_path), program, {"LD_PRELOAD": "/none/lib.so"})
    assert walked.warnings == [f"/none/lib.so: cannot be preloaded into {program}: not found"]


def test_the_file_of_preloaded_libraries_is_read(tmp_path: Path) -> None:
    files: dict[str, Tiny | bytes] = {
        "/bin/app": Tiny(interpreter=LOADER), "/opt/early.so": Tiny(), "/usr/lib/late.so": Tiny(),
             "/etc/ld.so.preload": b"# all of them\n/opt/early.so:late.so # two\n"}  # fmt: skip
    found = closure.resolve(guest(tmp_path, files), ["/bin/app"])
    assert [file.path for file in found[2:]] == ["/opt/early.so", "/usr/lib/late.so"]


def test_a_version_that_no_library_defines_is_an_error_naming_both(tmp_path: Path) -> None:
    lib(tmp_path, "lib/liba.so", defines=("V1",))
    wants = [("liba.so", "V1", False), ("liba.so", "V2", False)]
    program = app(tmp_path, "liba.so", runpath=f"{tmp_path}/lib", wants=wants)
    agree(tmp_path, program)
    with pytest.raises(AnalysisError) as caught:
        closure.resolve(tree_of(tmp_path), [str(program)])
    assert caught.value.message == f"{tmp_path}/lib/liba.so: version `V2' not found (required by {program})"


def test_a_weak_version_or_a_library_without_versions_only_warns(tmp_path: Path) -> None:
    lib(tmp_path, "lib/liba.so", defines=("V1",))
    lib(tmp_path, "lib/libb.so")
    program = app(tmp_path, "liba.so", "libb.so", runpath=f"{tmp_path}/lib",
                  wants=[("liba.so", "V2", True), ("libb.so", "V1", False)])  # fmt: skip
    agree(tmp_path, program)
    assert walk(tree_of(tmp_path), program).warnings == [
        f"{tmp_path}/lib/liba.so: weak version `V2' not found (required by {program})",
        f"{tmp_path}/lib/libb.so: no version information available (required by {program})",
    ]


def test_without_a_cache_only_the_loaders_own_folders_count(tmp_path: Path) -> None:
    files: dict[str, Tiny | bytes] = {"/bin/app": Tiny(["liba.so"], interpreter=LOADER), "/opt/lib/liba.so": Tiny(),
                                      "/etc/ld.so.conf": b"/opt/lib\n"}  # fmt: skip
    with pytest.raises(AnalysisError, match=r"liba\.so: shared library not found") as caught:
        closure.resolve(guest(tmp_path, files), ["/bin/app"])
    assert "/opt/lib/liba.so is in none of the loader's folders" in caught.value.hint
    assert "the loader reads /etc/ld.so.cache" in caught.value.hint
    for folder in ("/lib64", "/usr/lib64"):  # not Debian's; the loader's own file says which
        with pytest.raises(AnalysisError):
            closure.resolve(guest(tmp_path, {**files, f"{folder}/liba.so": Tiny()}), ["/bin/app"])
    closure.resolve(guest(tmp_path, {**files, "/usr/lib/liba.so": Tiny()}), ["/bin/app"])


def cached(*entries: tuple[str, str, str]) -> bytes:
    """A loader's cache of (name, path, glibc-hwcaps folder or nothing), as ldconfig writes it."""
    levels = sorted({level for _, _, level in entries if level})
    strings, places = bytearray(), {}
    start = 48 + 24 * len(entries)
    for text in {part: 0 for entry in entries for part in entry if part}:
        places[text] = start + len(strings)
        strings += text.encode() + b"\0"
    strings += bytes(-(start + len(strings)) % 4)
    rows = [struct.pack("<iIIIQ", 0x0303, places[n], places[p], 0, 1 << 62 | levels.index(v) if v else 0)
            for n, p, v in entries]  # fmt: skip
    after = start + len(strings)
    extension = struct.pack("<II4I", 0xEAA42174, 1, 1, 0, after + 24, 4 * len(levels))
    extension += b"".join(struct.pack("<I", places[level]) for level in levels)
    head = b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", len(entries), len(strings), 2, after)
    return head + b"".join(rows) + bytes(strings) + extension


def test_a_cache_says_where_libraries_are_also_those_for_some_processors(tmp_path: Path) -> None:
    variant = "/opt/lib/glibc-hwcaps/x86-64-v3/liba.so"
    files: dict[str, Tiny | bytes] = {
        "/bin/app": Tiny(["liba.so", "libb.so"], interpreter=LOADER),
        "/opt/lib/liba.so": Tiny(),
        variant: Tiny(),
        "/lib/libb.so": Tiny(),
        "/etc/ld.so.cache": cached(("liba.so", "/opt/lib/liba.so", ""), ("liba.so", variant, "x86-64-v3"),
                                   ("libb.so", "/gone/libb.so", "")),
    }  # fmt: skip
    found = closure.resolve(guest(tmp_path, files), ["/bin/app"])
    assert [(f.path, f.why) for f in found[2:]] == [("/opt/lib/liba.so", "needed"), (variant, "plugin"),
                                                    ("/lib/libb.so", "needed")]  # fmt: skip
    files["/bin/app"] = Tiny(["liba.so"], interpreter=LOADER, flags_1=0x800)
    assert len(closure.resolve(guest(tmp_path, files), ["/bin/app"])) == 4  # only the loader's own folders are out


@given(st.data())
def test_a_damaged_cache_is_read_as_far_as_it_goes_or_not_at_all(data: st.DataObject) -> None:
    whole = bytearray(cached(("liba.so", "/opt/lib/liba.so", ""), ("liba.so", "/x/liba.so", "x86-64-v3")))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    found = ldcache.read(bytes(whole[: data.draw(st.integers(0, len(whole)))]), X86_64.cache_flags)
    assert found is None or len(found) <= 2


def host_cache() -> dict[str, str]:
    """What ldconfig says is in this machine's cache, first entry of each name."""
    printed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    rows = [line.strip().split(" => ") for line in printed.splitlines() if " => " in line]
    found: dict[str, str] = {}
    for left, path in rows:
        name, kind = left.split(" ", 1)
        if ("x86-64" in kind and "hwcap" not in kind) or kind == "(ELF)":  # the loader takes both (dl-cache.h)
            found.setdefault(name, path)
    return found


@pytest.mark.skipif(not Path("/etc/ld.so.cache").exists(), reason="this machine has no cache")
def test_this_machines_cache_is_read_as_ldconfig_prints_it() -> None:
    read = ldcache.read(Path("/etc/ld.so.cache").read_bytes(), X86_64.cache_flags)
    assert read is not None
    plain = {name: next(e.path for e in entries if not e.variant) for name, entries in read.items()}
    assert plain == host_cache()


def test_libraries_that_need_each_other_end_and_so_do_links_in_a_circle(tmp_path: Path) -> None:
    lib(tmp_path, "lib/liba.so", "libb.so", "liba.so")
    lib(tmp_path, "lib/libb.so", "liba.so", rpath=f"{tmp_path}/lib:{tmp_path}/circle")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "lib/libc.so").symlink_to("libd.so")
    (tmp_path / "lib/libd.so").symlink_to("libc.so")
    program = app(tmp_path, "liba.so", "libd.so", rpath=f"{tmp_path}/circle:{tmp_path}/lib")
    judge, found = Loader(program), walk(tree_of(tmp_path), program)
    assert (mapped(found), set(found.lacking)) == (judge.paths, judge.missing)


def test_a_static_pie_has_no_interpreter_and_needs_nothing(tmp_path: Path) -> None:
    found = closure.resolve(guest(tmp_path, {"/init": Tiny(flags_1=0x08000000)}), ["/init"])
    assert [file.path for file in found] == ["/init"]


def test_a_closure_is_of_one_architecture(tmp_path: Path) -> None:
    loader = "/lib/ld-linux-aarch64.so.1"
    files: dict[str, Tiny | bytes] = {
        "/bin/app": Tiny(["liba.so"], interpreter=loader, machine=183),
        loader: Tiny(soname="ld-linux-aarch64.so.1", machine=183),
        "/lib/liba.so": Tiny(),
        "/usr/lib/aarch64-linux-gnu/liba.so": Tiny(machine=183),
    }
    there = guest(tmp_path, files)
    for machine in ("aarch64", ""):
        found = closure.resolve(there, ["/bin/app"], machine=machine)
        assert [file.path for file in found] == ["/bin/app", loader, "/usr/lib/aarch64-linux-gnu/liba.so"]
    with pytest.raises(AnalysisError, match="wrong architecture: 64-bit ELF for AArch64"):
        closure.resolve(there, ["/bin/app"])
    with pytest.raises(AnalysisError, match="wrong architecture: 64-bit ELF for x86-64") as caught:
        closure.resolve(there, ["/lib/liba.so"], machine="aarch64")
    assert "AArch64" in caught.value.hint


# ---- musl ---------------------------------------------------------------------------------------------------


def musl(root: Path, program: Path, environment: dict[str, str] | None = None) -> tuple[list[str], set[str]]:
    """What musl's loader maps and misses."""
    done = subprocess.run([MUSL, "--list", str(program)], env=environment or {}, capture_output=True, text=True,
                          timeout=30, check=False)  # fmt: skip
    rows = [line.split(" => ") for line in done.stdout.splitlines() if " => " in line]
    missing = {line.split("library ")[1].split(":")[0] for line in done.stderr.splitlines() if "loading" in line}
    return [os.path.normpath(row[1].split(" (")[0]) for row in rows if str(root) in row[1]], missing


def musl_tree(root: Path) -> dict[str, File]:
    return tree_of(root, (MUSL,))


@pytest.mark.skipif(not Path(MUSL).exists(), reason="musl's loader is the judge")
def test_musl_looks_into_library_path_then_both_kinds_of_own_folders(tmp_path: Path) -> None:
    def made(*needed: str, **more: object) -> Path:
        return write(tmp_path / "bin/app", Tiny(needed, interpreter=MUSL, **more))  # type: ignore[arg-type]

    def both(program: Path, environment: dict[str, str] | None = None) -> list[str]:
        found = walk(musl_tree(tmp_path), program, environment)
        theirs, missing = musl(tmp_path, program, environment)
        assert (mapped(found), set(found.lacking)) == (theirs, missing)
        return theirs

    for folder in ("one", "two", "two/deep"):
        lib(tmp_path, f"{folder}/liba.so", "libend.so", "libc.musl-x86_64.so.1")
    lib(tmp_path, "two/libend.so", "libpthread.so.0")
    one, two = f"{tmp_path}/one", f"{tmp_path}/two"
    assert both(made("liba.so", runpath=two), {"LD_LIBRARY_PATH": one}) == [f"{one}/liba.so", f"{two}/libend.so"]
    assert len(both(made("liba.so", runpath="${ORIGIN}/../two"))) == 2  # inherited, though it is a RUNPATH
    assert len(both(made("liba.so", rpath=two))) == 2
    assert both(made("liba.so", rpath=f"{two}:$PLATFORM")) == []  # an unknown token voids the list
    assert both(made("libabsent.so", "liba.so", rpath=two))


def test_musls_own_folders_can_be_said_by_a_file(tmp_path: Path) -> None:
    files: dict[str, Tiny | bytes] = {"/bin/app": Tiny(["liba.so"], interpreter=MUSL), MUSL: Tiny(),
                                      "/opt/lib/liba.so": Tiny(), "/usr/local/lib/libb.so": Tiny()}  # fmt: skip
    named = guest(tmp_path, {**files, "/etc/ld-musl-x86_64.path": b"/none\n/opt/lib:/usr"})
    assert closure.resolve(named, ["/bin/app"])[-1].path == "/opt/lib/liba.so"
    assert closure.missing(guest(tmp_path, files), ["/bin/app"]) == ("liba.so",)
    files["/bin/app"] = Tiny(["libb.so"], interpreter=MUSL)
    assert closure.resolve(guest(tmp_path, files), ["/bin/app"])[-1].path == "/usr/local/lib/libb.so"


# ---- scripts ------------------------------------------------------------------------------------------------


def test_a_script_for_env_brings_env_and_what_it_starts(tmp_path: Path) -> None:
    program = Tiny(interpreter=LOADER)
    files: dict[str, Tiny | bytes] = {"/usr/bin/env": program, "/usr/bin/tool": b"#!/opt/bin/deep -x\n",
                                      "/opt/bin/deep": program, "/opt/bin/tool": program,
                                      "/bin/app": b"#!/usr/bin/env -S A=1 tool -v\n"}  # fmt: skip
    there = guest(tmp_path, files)
    assert [f.path for f in closure.resolve(there, ["/bin/app"]) if f.why == "program"] == [
        "/usr/bin/env",
        "/opt/bin/deep",
    ]
    chosen = closure.resolve(there, ["/bin/app"], environment={"PATH": "/opt/bin:/usr/bin"})
    assert [f.path for f in chosen if f.why == "program"] == ["/usr/bin/env", "/opt/bin/tool"]
    del there["/usr/bin/tool"]  # type: ignore[attr-defined]
    with pytest.raises(AnalysisError, match="tool: no such file among the image's files, needed by /bin/app"):
        closure.resolve(there, ["/bin/app"])


def test_a_script_whose_interpreter_is_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="its interpreter is a script again"):
        closure.resolve(guest(tmp_path, {"/bin/app": b"#!/bin/app\n"}), ["/bin/app"])


def test_parent_folders_are_taken_after_links(tmp_path: Path) -> None:
    files = guest(tmp_path, {"/opt/deep/bin/app": Tiny(), "/opt/lib/a": Tiny()}, {"/link": "opt/deep"})
    found = Guest(files)
    assert found.real("/link/../lib/a") == "/opt/lib/a"
    assert found.tidy("/link/../lib/a") == "/opt/lib/a"
    assert found.tidy("/link/./bin//app") == "/link/bin/app"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the root")
def test_in_a_root_of_its_own_a_program_maps_just_its_closure(tmp_path: Path) -> None:
    root = tmp_path / "root"
    lib(root, "lib/liba.so", "libb.so")
    lib(root, "usr/lib/libb.so")
    lib(root, "lib64/libc.so")
    lib(root, "opt/lib/libd.so")
    program = write(root / "bin/app", Tiny(["liba.so", "libc.so", "libd.so"], interpreter=LOADER))
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").write_text("/opt/lib\n")
    subprocess.run(["/sbin/ldconfig", "-r", str(root), "-X"], check=True, capture_output=True)
    (root / "lib64").mkdir(exist_ok=True)
    shutil.copy(Path(LOADER).resolve(), root / LOADER.lstrip("/"))
    done = subprocess.run(["/bin/app"], env={"LD_TRACE_LOADED_OBJECTS": "1"}, timeout=30, capture_output=True,
                          text=True, check=False, preexec_fn=lambda: os.chroot(root))  # fmt: skip
    files = {f"/{path.relative_to(root)}": path for path in root.rglob("*") if path.is_file()}
    found = walk(tree(files), Path("/bin/app"))
    assert program.exists()
    assert mapped(found) == ["/lib/liba.so", "/opt/lib/libd.so", "/usr/lib/libb.so"]
    assert all(f"=> {path} (" in done.stdout for path in mapped(found))
    assert "libc.so => not found" in done.stdout
    assert set(found.lacking) == {"libc.so"}
