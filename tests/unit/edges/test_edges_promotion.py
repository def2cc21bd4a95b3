"""Which version of an image is current: switched atomically, the one before kept, whatever is killed when."""

import os
import signal
import time
from pathlib import Path

import pytest

from builder.edges import promotion
from builder.package import raw


def version(folder: Path, name: str, *files: str) -> None:
    """A version of an image whose files hold its name."""
    raw.write(promotion.place(folder, name), dict.fromkeys(files or ("kernel", "image.json"), name.encode()))


def promote(folder: Path, name: str, *files: str) -> None:
    """A version is written, then promoted, as a build does it."""
    version(folder, name, *files)
    promotion.promote(folder, name)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "web"


def test_the_current_version_stands_at_fixed_places(image: Path) -> None:
    promote(image, "one")
    assert (image / "current" / "kernel").read_text() == (image / "kernel").read_text() == "one"
    promote(image, "two")
    assert (image / "kernel").read_text() == "two"


def test_the_one_before_is_kept_and_older_ones_go(image: Path) -> None:
    for name in ("one", "two", "three"):
        promote(image, name)
    assert (promotion.current(image), promotion.previous(image)) == ("three", "two")
    assert not promotion.place(image, "one").exists()


def test_the_same_version_again_keeps_the_one_before(image: Path) -> None:
    for name in ("one", "two", "two"):
        promote(image, name)
    assert promotion.previous(image) == "one"


def test_going_back_and_forth(image: Path) -> None:
    promote(image, "one")
    assert promotion.roll_back(image) == ""
    promote(image, "two")
    assert promotion.roll_back(image) == "one"
    assert (image / "kernel").read_text() == "one"
    assert promotion.roll_back(image) == "two"


def test_names_of_an_older_version_do_not_stay(image: Path) -> None:
    promote(image, "four", "kernel", "extra")
    promote(image, "one")
    assert {path.name for path in image.iterdir() if path.is_symlink()} == {
        "current",
        "previous",
        "kernel",
        "image.json",
    }


def test_files_of_an_older_layout_are_replaced(image: Path) -> None:
    image.mkdir()
    (image / "kernel").write_text("old layout")
    promote(image, "one")
    assert (image / "kernel").read_text() == "one"


def test_a_kill_at_any_moment_leaves_a_whole_image(image: Path) -> None:
    promote(image, "one")
    for turn in range(30):
        child = os.fork()
        if not child:
            for name in ("two", "one") * 50:
                promote(image, name)
            os._exit(0)
        time.sleep(0.002 * turn)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        now = promotion.current(image)
        assert now in ("one", "two")
        assert (image / "kernel").read_text() == (image / "image.json").read_text() == now
