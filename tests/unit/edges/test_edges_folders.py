"""Result folders: whole at every moment, and not touched when nothing has changed."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from builder.edges.folders import holds, swap_in

CONTENTS = {"kernel": b"kernel", "image.json": b"{}", "run.sh": b"#!/bin/sh\n"}


def found(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def visible(folder: Path) -> list[str]:
    """The folders beside a result: leftovers show here."""
    return sorted(path.name for path in folder.parent.iterdir() if path.is_dir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dist" / "web"


def test_a_new_folder_appears_with_its_files(folder: Path) -> None:
    swap_in(folder, CONTENTS, executable={"run.sh"})
    assert found(folder) == CONTENTS
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"kernel": 0o644, "image.json": 0o644, "run.sh": 0o755}
    assert visible(folder) == ["web"]


def test_the_old_content_is_replaced_whole(folder: Path) -> None:
    swap_in(folder, CONTENTS)
    (folder / "notes.txt").write_text("from the user")
    (folder / "deep").mkdir()
    swap_in(folder, {"kernel": b"new"})
    assert found(folder) == {"kernel": b"new"}
    assert visible(folder) == ["web"]


def test_a_file_is_copied_with_its_times(folder: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "vmlinux"
    artifact.write_bytes(b"kernel")
    artifact.chmod(0o600)
    swap_in(folder, {"kernel": artifact})
    assert (folder / "kernel").stat().st_mtime_ns == artifact.stat().st_mtime_ns
    assert (folder / "kernel").stat().st_mode & 0o777 == 0o644
    assert artifact.stat().st_nlink == 1


def test_a_file_that_nobody_may_write_to_takes_no_more_room(folder: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "vmlinux"
    artifact.write_bytes(b"kernel")
    artifact.chmod(0o444)
    swap_in(folder, {"kernel": artifact, "run.sh": artifact}, executable={"run.sh"})
    assert (folder / "kernel").samefile(artifact)
    assert not (folder / "run.sh").samefile(artifact)  # its mode would be the artifact's, too
    assert artifact.stat().st_mode & 0o777 == 0o444
    swap_in(folder, CONTENTS)
    assert artifact.read_bytes() == b"kernel"


def test_a_link_is_copied_as_the_file_it_leads_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(b"kernel")
    (tmp_path / "link").symlink_to("vmlinux")
    swap_in(folder, {"kernel": tmp_path / "link"})
    assert not (folder / "kernel").is_symlink()
    assert found(folder) == {"kernel": b"kernel"}


@pytest.mark.parametrize("leftovers", [[".web.new"], [".web.old"], [".web.new", ".web.old"]])
@pytest.mark.parametrize("there", [True, False])
def test_what_a_kill_left_behind_does_not_hinder(folder: Path, leftovers: list[str], there: bool) -> None:
    if there:
        swap_in(folder, {"kernel": b"old"})
    for name in leftovers:
        (folder.parent / name).mkdir(parents=True)
        (folder.parent / name / "half").write_bytes(b"half")
    swap_in(folder, CONTENTS)
    assert found(folder) == CONTENTS
    assert visible(folder) == ["web"]


def test_what_cannot_be_copied_leaves_the_old_folder(folder: Path, tmp_path: Path) -> None:
    swap_in(folder, CONTENTS)
    with pytest.raises(FileNotFoundError):
        swap_in(folder, {"kernel": b"new", "rootfs": tmp_path / "gone"})
    assert found(folder) == CONTENTS


def test_the_folder_is_there_and_whole_all_the_time(folder: Path) -> None:
    versions = [{f"file{number}": bytes([version]) for number in range(3)} for version in range(2)]
    swap_in(folder, versions[0])
    stop, seen, broken = threading.Event(), set(), []

    def watch() -> None:
        while not stop.is_set():
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                broken.append("no folder")
                continue
            names = os.listdir(descriptor)  # noqa: PTH208 - of the folder that was opened, wherever it is by now
            os.close(descriptor)
            seen.add(len(names))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(100):
        swap_in(folder, versions[turn % 2])
    stop.set()
    watcher.join()
    assert broken == []
    assert found(folder) in versions
    assert 3 in seen


def _swap_for_ever(folder: Path) -> None:
    turn = 0
    while True:
        swap_in(folder, {name: bytes([turn % 256]) * 100_000 for name in ("a", "b", "c")})
        turn += 1


def test_a_kill_at_any_moment_leaves_a_whole_folder(folder: Path) -> None:
    swap_in(folder, dict.fromkeys(("a", "b", "c"), bytes(100_000)))
    for turn in range(8):
        process = multiprocessing.get_context("fork").Process(target=_swap_for_ever, args=(folder,))
        process.start()
        process.join(0.01 + 0.007 * turn)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        content = found(folder)
        assert sorted(content) == ["a", "b", "c"]
        assert len(set(content.values())) == 1
        assert len(content["a"]) == 100_000


class TestHolds:
    def test_the_same_names_and_contents(self, folder: Path) -> None:
        swap_in(folder, CONTENTS)
        assert holds(folder, CONTENTS)

    def test_not_when_a_name_or_a_content_differs_or_nothing_is_there(self, folder: Path) -> None:
        assert not holds(folder, CONTENTS)
        swap_in(folder, CONTENTS)
        assert not holds(folder, {**CONTENTS, "more": b""})
        assert not holds(folder, {"kernel": b"kernel"})
        assert not holds(folder, {**CONTENTS, "kernel": b"KERNEL"})

    def test_a_copied_file_is_known_by_size_and_time(self, folder: Path, tmp_path: Path) -> None:
        artifact = tmp_path / "vmlinux"
        artifact.write_bytes(b"kernel")
        swap_in(folder, {"kernel": artifact})
        assert holds(folder, {"kernel": artifact})
        os.utime(artifact, ns=(0, 0))
        assert not holds(folder, {"kernel": artifact})
