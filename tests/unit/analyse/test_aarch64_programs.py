"""Real AArch64 programs of Debian: what they were seen to do is what the analysis says they can."""

from pathlib import Path

import pytest

from builder.analyse import closure
from builder.analyse.table import names
from builder.edges.store import Store
from tests.truth import arm64

pytestmark = pytest.mark.slow  # the packages come from the network

# a place that can make any call: in fzf's own code; libcap's functions that its users can put in place of its own
UNRESOLVED = ("/usr/bin/fzf", "/usr/bin/redis-server")


@pytest.mark.parametrize("program", arm64.recorded(), ids=lambda p: p.path)
def test_no_call_that_was_seen_is_missed(program: arm64.Program, store: Store) -> None:
    found = set(arm64.analysed(program.package, program.path, store).syscalls())
    assert set(program.calls.split()) - found == set()
    assert found <= set(names("aarch64").values())
    assert "open" not in found  # x86's; there is none here
    if program.path not in UNRESOLVED:
        assert len(found) < len(names("aarch64")) * 0.6


@pytest.mark.parametrize(
    ("package", "path", "arguments"),
    [
        ("busybox-static", "/bin/busybox", ["ash", "-c", "ls /; echo $((1 + 2)) | wc -c"]),
        ("coreutils", "/bin/ls", ["-l", "/"]),
        ("sqlite3", "/usr/bin/sqlite3", [":memory:", "select 1"]),
    ],
)
def test_no_call_of_a_program_run_now_is_missed(
    package: str, path: str, arguments: list[str], store: Store, tmp_path: Path
) -> None:
    traced = arm64.run(package, path, arguments, tmp_path)
    assert "write" in traced  # the last ones may be lost: some programs close the file that the emulator tells them on
    assert traced - set(arm64.analysed(package, path, store).syscalls()) == set()


def test_a_closure_is_of_its_own_architecture() -> None:
    tree = arm64.files("redis-server")
    found = [f.path for f in closure.resolve(tree, ("/usr/bin/redis-server",), machine="aarch64")]
    assert "/lib/ld-linux-aarch64.so.1" in found
    assert any(path.endswith("/aarch64-linux-gnu/libc.so.6") for path in found)
