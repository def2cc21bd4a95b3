"""The store: made once, verified when taken, whole or not there."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.edges.store import MANIFEST, Store, WouldMake


def write(name: str, text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / name).write_text(text)

    return fill


def test_an_artifact_is_made_once_and_taken_afterwards(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find("stage", "key") is None
    first = store.make("stage", "key", write("a", "one"))
    second = store.make("stage", "key", write("a", "two"))
    assert first == second
    assert (second / "a").read_text() == "one"
    assert store.made == [("stage", "key")]


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone", "manifest"])
def test_a_damaged_artifact_is_not_taken(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    folder = store.make("stage", "key", write("a", "one"))
    victim = folder / (MANIFEST if damage == "manifest" else "a")
    victim.chmod(0o644)
    match damage:
        case "changed":
            victim.write_text("two")
        case "shorter":
            victim.write_text("")
        case "gone":
            victim.unlink()
        case _:
            victim.write_text("{")
    assert store.find("stage", "key") is None
    assert (store.make("stage", "key", write("a", "new")) / "a").read_text() == "new"


def test_a_failing_maker_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.make("stage", "key", fail)
    assert store.find("stage", "key") is None
    assert not list((tmp_path / "tmp").iterdir())


def test_a_dry_store_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(WouldMake) as caught:
        Store(tmp_path, dry=True).make("stage", "key", write("a", "one"))
    assert (caught.value.stage, caught.value.key) == ("stage", "key")
    assert not (tmp_path / "stage").exists()


def _slow_maker(root: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "a").write_text("half")
        (root / "started").touch()
        time.sleep(60)

    Store(root).make("stage", "key", fill)


def test_a_killed_maker_leaves_nothing_that_hinders_the_next(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_slow_maker, args=(tmp_path,))
    process.start()
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    folder = Store(tmp_path).make("stage", "key", write("b", "whole"))
    assert [path.name for path in folder.iterdir() if path.name != MANIFEST] == ["b"]


def _counting_maker(root: Path) -> None:
    def fill(folder: Path) -> None:
        with (root / "count").open("a") as stream:
            stream.write("x")
        time.sleep(0.2)
        (folder / "a").write_text("one")

    Store(root).make("stage", "key", fill)


def test_two_makers_of_the_same_key_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_counting_maker, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "count").read_text() == "x"
