"""The folders of running machines: names, who runs, what was said, also across the files of a long log."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.documents import Running
from builder.edges import machines


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KILN_DATA", str(tmp_path))
    return tmp_path / "machines"


def running(folder: Path) -> Running:
    return Running(folder.name, folder.name.rpartition("-")[0], os.getpid(), 1.0, "tcg", 64, {80: 8080})


def test_names_count_up_and_are_used_once() -> None:
    assert [machines.claim("web").name for _ in range(2)] + [machines.claim("web-api").name] == [
        "web-1",
        "web-2",
        "web-api-1",
    ]
    assert [folder.name for _, folder in machines.found("web", ended=True)] == []  # none has started


def test_only_one_whose_keeper_lives_runs() -> None:
    folder = machines.claim("web")
    with machines.kept(folder, running(folder)) as keeper:
        assert machines.is_running(folder)
        assert machines.found() == ((running(folder), folder),)
        keeper.ended(3)
    assert machines.found() == ()
    assert machines.found("web", ended=True) == ((running(folder), folder),)
    end = machines.end_of(folder)
    assert end is not None
    assert end.code == 3


def test_looking_at_one_does_not_make_it_run() -> None:
    folder = machines.claim("web")
    with machines.kept(folder, running(folder)):
        pass
    assert not machines.is_running(folder)
    with (folder / "lock").open("rb"):
        assert not machines.is_running(folder)


@pytest.mark.parametrize("record", [b"", b"{}", b'{"id":'])
def test_a_record_that_cannot_be_read_is_left_out(record: bytes) -> None:
    folder = machines.claim("web")
    (folder / "machine.json").write_bytes(record)
    assert machines.found(ended=True) == ()


def test_old_folders_of_an_image_go_and_those_of_running_machines_stay() -> None:
    first = machines.claim("web")
    with machines.kept(first, running(first)):
        for _ in range(machines.KEPT + 3):
            machines.claim("web")
        there = [folder.name for folder in machines.root().iterdir()]
        assert first.name in there
        assert len(there) == machines.KEPT + 2


def test_a_stranger_in_the_folder_is_nobodys_machine(data: Path) -> None:
    (data / "web-x").mkdir(parents=True)
    (data / "note-1").write_text("a file")
    assert machines.found(ended=True) == ()
    assert machines.claim("web").name == "web-1"


# ---- the log ------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Callable[[str], None]]:
    """A folder, and what writes a line to its log; a file of the log is full after some lines."""
    monkeypatch.setattr(machines, "LOG_BYTES", 100)
    folder = machines.claim("web")
    return folder, machines.Keeper(folder).write


def test_a_follower_reads_everything_once_across_files(log: tuple[Path, Callable[[str], None]]) -> None:
    folder, write = log
    follower, seen = machines.Follower(folder), []
    for number in range(100):
        write(f"line {number}")
        if number % 7 == 0:
            seen += follower.lines()
    seen += follower.lines()
    assert seen == [f"line {number}" for number in range(100)]
    assert follower.lines() == []


def test_one_that_comes_late_reads_what_is_still_there(log: tuple[Path, Callable[[str], None]]) -> None:
    folder, write = log
    for number in range(200):
        write(f"line {number}")
    seen = machines.Follower(folder).lines()
    assert seen == [f"line {number}" for number in range(200 - len(seen), 200)]
    assert len(seen) > 3 * 8
    assert len(list(folder.glob("console.log*"))) == 1 + machines.LOG_FILES


def test_half_a_line_waits_for_its_other_half() -> None:
    folder = machines.claim("web")
    follower = machines.Follower(folder)
    assert follower.lines() == []
    with (folder / machines.LOG).open("w") as stream:
        stream.write("one\ntw")
        stream.flush()
        assert follower.lines() == ["one"]
        stream.write("o\n")
        stream.flush()
        assert follower.lines() == ["two"]


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    folder = machines.claim("web")
    keeper = machines.Keeper(folder)
    keeper._log.stream = open("/dev/full", "w")  # noqa: SIM115, PTH123
    keeper.write("lost")
