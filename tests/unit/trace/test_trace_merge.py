"""What the boots of an application have recorded becomes one trace: counted together, sorted, with digests."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from builder.model import File, Tree
from builder.trace import merge
from builder.trace.places import address, segments
from builder.trace.recorded import Call, Place, Recorded
from builder.traced import Spot

NAMES = {0: "read", 41: "socket"}
APP, LIBRARY, SCRIPT = "/usr/bin/app", "/usr/lib/libx.so", "/usr/bin/script"


def entry(path: str, host: Path) -> File:
    return File(path, "file", sha256=hashlib.sha256(host.read_bytes()).hexdigest(), host=str(host))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    folder = tmp_path_factory.mktemp("merge")
    (folder / "a.c").write_text("int main(void) { return 0; }\n")
    (folder / "script").write_text("#!/bin/sh\n")
    for name, options in (("app", ["-no-pie"]), ("libx.so", ["-shared", "-fPIC"])):
        subprocess.run(["gcc", *options, "-o", name, "a.c"], cwd=folder, check=True, timeout=60)
    hosts = {APP: folder / "app", LIBRARY: folder / "libx.so", SCRIPT: folder / "script"}
    link = File("/bin", "symlink", target="usr/bin")
    return {"/bin": link, **{path: entry(path, host) for path, host in hosts.items()}}


def boot(*calls: Call, opened: tuple[str, ...] = (), reached: tuple[Place, ...] = (), app: int = 0) -> Recorded:
    """A boot's records; `app` is the number the program has in it."""
    files = {app: APP, app + 1: LIBRARY, app + 2: "/tmp/made", app + 3: SCRIPT}
    return Recorded(files, frozenset(files), opened, reached, calls)


def call(number: int, site: Place, count: int = 1, app: int = 0, **more: object) -> Call:
    known: dict[str, object] = {"arguments": {}, "callers": (), "command": "app", "text": ""} | more
    return Call(number, site, count, app, **known)  # type: ignore[arg-type]


def test_places_are_addresses_of_the_files(tree: Tree) -> None:
    found = merge.trace(
        "x", [boot(call(41, Place(0, 0x1010), callers=(Place(1, 0x1020), Place(0, 0x1030))))], tree, NAMES
    )
    app, library = (segments(Path(tree[path].host)) for path in (APP, LIBRARY))
    [only] = found.calls
    assert only.site == Spot(APP, address(0x1010, app))
    assert only.site.address > 0x400000
    assert only.callers == (Spot(LIBRARY, address(0x1020, library)), Spot(APP, address(0x1030, app)))
    assert (only.name, only.program) == ("socket", APP)


def test_the_same_call_of_two_boots_is_one_whatever_numbers_its_files_have(tree: Tree) -> None:
    first = boot(call(0, Place(0, 0x1010), 2), call(41, Place(0, 0x1020)), opened=("/b", "/a"))
    second = boot(call(0, Place(7, 0x1010), 3, app=7), opened=("/c", "/a"), app=7)
    found = merge.trace("x", [first, second], tree, NAMES)
    assert [(one.name, one.count) for one in found.calls] == [("read", 5), ("socket", 1)]
    assert found.opened == ("/a", "/b", "/c")
    assert found.syscalls() == ("read", "socket")


def test_arguments_text_and_program_tell_calls_apart(tree: Tree) -> None:
    here = Place(0, 0x1010)
    calls = [
        call(41, here, arguments={0: 2}),
        call(41, here, arguments={0: 1}),
        call(41, here, text="/proc/stat"),
        call(41, here, app=1),
    ]
    found = merge.trace("x", [boot(*calls)], tree, NAMES)
    assert len(found.calls) == 4
    assert merge.trace("x", [boot(*reversed(calls))], tree, NAMES) == found


def test_digests_are_those_of_elf_files_that_the_image_brought(tree: Tree) -> None:
    found = merge.trace("x", [boot(call(0, Place(2, 0x44)))], tree, NAMES)
    assert found.files == {APP: tree[APP].sha256, LIBRARY: tree[LIBRARY].sha256}
    assert found.calls[0].site == Spot("/tmp/made", 0x44)


def test_a_call_from_no_file_and_a_number_that_no_kernel_has(tree: Tree) -> None:
    found = merge.trace("x", [boot(call(999, Place()))], tree, NAMES)
    assert (found.calls[0].name, found.calls[0].site) == ("unknown_999", Spot("", 0))


def test_places_reached_by_other_ways_are_told_once_without_those_that_calls_tell(tree: Tree) -> None:
    known, other = Place(0, 0x1010), Place(1, 0x1020)
    first = boot(call(0, Place(0, 0x1000), callers=(known,)), reached=(known, other))
    second = boot(call(0, Place(0, 0x1000), callers=(known,)), reached=(other,))
    library = segments(Path(tree[LIBRARY].host))
    assert merge.trace("x", [first, second], tree, NAMES).reached == (Spot(LIBRARY, address(0x1020, library)),)
