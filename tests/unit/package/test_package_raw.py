"""The plain format: a folder that is there whole, before and after, whatever happens in between."""

import ctypes
import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.package import FORMATS

RAW = FORMATS["raw"]


def sealed(path: Path, data: bytes) -> Path:
    """A file as the store leaves it: nobody may write to it."""
    path.write_bytes(data)
    path.chmod(0o444)
    return path


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def contents(tmp_path: Path) -> Mapping[str, bytes | Path]:
    return {
        "kernel": sealed(tmp_path / "vmlinux", b"kernel"),
        "serial.log": tmp_path / "vmlinux",
        "image.json": b"{}\n",
        "run.sh": b"#!/bin/sh\n",
    }


def test_the_folder_holds_exactly_what_was_given(tmp_path: Path, contents: Mapping[str, bytes | Path]) -> None:
    folder = tmp_path / "dist" / "app"
    RAW.write(folder, {"left-over": b"of an older build"})
    RAW.write(folder, contents)
    assert held(folder) == {
        "kernel": b"kernel",
        "serial.log": b"kernel",
        "image.json": b"{}\n",
        "run.sh": b"#!/bin/sh\n",
    }
    assert os.access(folder / "run.sh", os.X_OK)
    assert not os.access(folder / "kernel", os.X_OK)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["app"]


def test_what_nobody_may_write_to_is_linked_and_keeps_its_mode(tmp_path: Path) -> None:
    source = sealed(tmp_path / "store", b"artifact")
    RAW.write(tmp_path / "app", {"kernel": source})
    assert (tmp_path / "app/kernel").samefile(source)
    assert source.stat().st_mode & 0o777 == 0o444


def test_what_may_still_change_is_copied(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first boot")
    RAW.write(tmp_path / "app", {"serial.log": log})
    log.write_text("second boot")
    assert (tmp_path / "app/serial.log").read_text() == "first boot"


def test_where_links_are_not_possible_there_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    source = sealed(tmp_path / "store", b"artifact")
    RAW.write(tmp_path / "app", {"kernel": source, "run.sh": source})
    assert held(tmp_path / "app") == {"kernel": b"artifact", "run.sh": b"artifact"}
    assert not (tmp_path / "app/kernel").samefile(source)
    assert os.access(tmp_path / "app/run.sh", os.X_OK)
    assert source.stat().st_mode & 0o777 == 0o444


def test_nothing_is_written_when_nothing_changed(tmp_path: Path, contents: Mapping[str, bytes | Path]) -> None:
    folder = tmp_path / "app"
    RAW.write(folder, contents)
    before = folder.stat().st_ino
    RAW.write(folder, contents)
    assert folder.stat().st_ino == before
    RAW.write(folder, {**contents, "image.json": b"[]\n"})
    assert folder.stat().st_ino != before


@pytest.mark.parametrize("damage", ["changed", "gone", "more"])
def test_a_folder_somebody_changed_is_written_again(
    tmp_path: Path, contents: Mapping[str, bytes | Path], damage: str
) -> None:
    folder = tmp_path / "app"
    RAW.write(folder, contents)
    match damage:
        case "changed":
            (folder / "kernel").unlink()
            (folder / "kernel").write_bytes(b"mine..")
        case "gone":
            (folder / "image.json").unlink()
        case _:
            (folder / "more").touch()
    RAW.write(folder, contents)
    assert held(folder).keys() == contents.keys()
    assert (folder / "kernel").read_bytes() == b"kernel"


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    RAW.write(tmp_path / "app", {"a": b"old"})
    with pytest.raises(FileNotFoundError):
        RAW.write(tmp_path / "app", {"a": b"new", "b": tmp_path / "absent"})
    assert held(tmp_path / "app") == {"a": b"old"}
    RAW.write(tmp_path / "app", {"a": b"new"})
    assert held(tmp_path / "app") == {"a": b"new"}


def test_file_systems_that_cannot_exchange_folders_are_served_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        """A C library on such a file system."""

        @staticmethod
        def renameat2(*_arguments: object) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1

    RAW.write(tmp_path / "app", {"a": b"old"})
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_keywords: Library)
    RAW.write(tmp_path / "app", {"a": b"new"})
    assert held(tmp_path / "app") == {"a": b"new"}


def test_a_kill_at_any_moment_leaves_a_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "app"
    generations = [{"one": bytes([number]) * 4096, "two": bytes([number]) * 4096} for number in (1, 2)]
    RAW.write(folder, generations[0])
    for attempt in range(12):
        process = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(folder, generations))
        process.start()
        assert all(folder.is_dir() for _ in range(200)), "a folder is in place at every moment"
        time.sleep(attempt * 0.003)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        found = held(folder)
        assert found in generations
    RAW.write(folder, {"one": b"", "two": b""})  # what a kill left beside it goes with the next change
    assert held(folder) == {"one": b"", "two": b""}
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["app"]


def _write_for_ever(folder: Path, generations: list[dict[str, bytes]]) -> None:
    while True:
        for contents in generations:
            RAW.write(folder, contents)


def test_two_writers_at_once_leave_one_of_their_folders(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    fork = multiprocessing.get_context("fork")
    texts = [bytes([number]) for number in range(4)]
    writers = [fork.Process(target=RAW.write, args=(folder, {"a": text, "b": text})) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert held(folder) in [{"a": text, "b": text} for text in texts]
