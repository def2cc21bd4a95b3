"""Data disks: a clean ext4 file system, whole or not there at all, and never made over one that holds data."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builder.edges import disk
from builder.errors import HostError
from tests.conftest import REPOSITORY, wait_for

TOOLS = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
LIMIT_S = 60.0


def inspected(path: Path, *argv: str) -> str:
    """What a tool of e2fsprogs says of a file system; it must find nothing wrong."""
    done = subprocess.run([*argv, path], capture_output=True, text=True, env=TOOLS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def superblock(path: Path) -> dict[str, str]:
    text = inspected(path, "dumpe2fs", "-h")
    return dict(re.findall(r"^([^:]+):\s+(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("size_mib", [4, 64, 1000])
def test_a_new_disk_is_a_clean_ext4_file_system(tmp_path: Path, size_mib: int) -> None:
    path = disk.make(tmp_path / "data" / "app.img", size_mib)
    assert path == tmp_path / "data" / "app.img"
    assert path.stat().st_size == size_mib << 20
    inspected(path, "e2fsck", "-f", "-n")
    found = superblock(path)
    assert found["Filesystem state"] == "clean"
    assert int(found["Block count"]) * int(found["Block size"]) == size_mib << 20
    assert found["Reserved block count"] == "0"
    assert [entry.name for entry in path.parent.iterdir()] == ["app.img"]


def test_it_asks_of_the_guests_kernel_only_what_that_has(tmp_path: Path) -> None:
    features = set(superblock(disk.make(tmp_path / "app.img", 64))["Filesystem features"].split())
    assert {"has_journal", "extent"} <= features
    assert not features & {"metadata_csum", "64bit", "encrypt", "casefold", "verity", "quota"}


def test_it_takes_little_room(tmp_path: Path) -> None:
    path = disk.make(tmp_path / "app.img", 1000)
    assert path.stat().st_blocks * 512 < path.stat().st_size // 4


def test_a_disk_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.img"
    path.write_bytes(b"precious")
    assert disk.make(path, 64) == path
    assert path.read_bytes() == b"precious"


def test_a_file_system_that_cannot_be_made_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"app\.img: no file system") as caught:
        disk.make(tmp_path / "app.img", 0)
    assert caught.value.tail
    assert list(tmp_path.iterdir()) == []


def test_killed_half_way_it_leaves_no_disk_and_the_next_run_makes_one(tmp_path: Path) -> None:
    """Killed at the worst moment: the file system is complete, its file is not yet in its place."""
    tools, made = tmp_path / "tools", tmp_path / "made"
    tools.mkdir()
    real = subprocess.run(["which", "mkfs.ext4"], capture_output=True, text=True, env=TOOLS, check=True).stdout.strip()
    (tools / "mkfs.ext4").write_text(
        f'#!/bin/sh\n{real} "$@"\necho $$ > {made}.new\nmv {made}.new {made}\nexec sleep 1000\n'
    )
    (tools / "mkfs.ext4").chmod(0o755)
    path = tmp_path / "app.img"
    script = "import sys; from pathlib import Path; from builder.edges import disk; disk.make(Path(sys.argv[1]), 64)"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": f"{tools}:{TOOLS['PATH']}"},
    )
    try:
        wait_for(made.exists, LIMIT_S, "the file system")
    finally:
        child.kill()
        child.wait()
        if made.exists():
            os.kill(int(made.read_text()), signal.SIGKILL)
    assert not path.exists()
    inspected(disk.make(path, 8), "e2fsck", "-f", "-n")
    assert path.stat().st_size == 8 << 20
    assert not list(tmp_path.glob(".app*"))
