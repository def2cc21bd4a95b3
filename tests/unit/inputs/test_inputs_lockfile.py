"""The lock of an image: readable, written whole, and clear about damage."""

import json
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import DefinitionError
from builder.inputs.lockfile import PATTERNS, Lock, read_lock, write_lock
from builder.model import Package

KERNEL = Package("linux-source-6.12", "6.12.1-1~bpo12+1", "all", "ab" * 32, 145, "linux 6.12.1-1~bpo12+1", "kernel")
LIBRARY = Package("libexample1", "1:2.0-3+deb12u1", "amd64", "cd" * 32, 99, "example 2.0-3", "libs")
LOCK = Lock("bookworm", KERNEL, (LIBRARY,), (KERNEL, LIBRARY))
IMAGES = Path(__file__).parents[3] / "images"

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
WORDS = {name: st.from_regex(pattern, fullmatch=True) for name, pattern in PATTERNS.items()}
PACKAGES = st.builds(Package, **WORDS, size_bytes=st.integers(0, 2**53), source=TEXTS, section=TEXTS)
SOME = st.lists(PACKAGES, max_size=3, unique_by=lambda package: package.name).map(tuple)
LOCKS = st.builds(Lock, st.sampled_from(["bookworm", "trixie"]), PACKAGES, SOME, SOME)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    folder.mkdir()
    return folder / "image.lock"


def refusal(place: Path) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read_lock(place)
    assert caught.value.message.startswith("images/web/image.lock:")
    assert "version control" in caught.value.hint
    return caught.value


def test_no_lock_is_none(place: Path) -> None:
    assert read_lock(place) is None


@settings(deadline=None)
@given(LOCKS)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, lock: Lock) -> None:
    place = tmp_path_factory.mktemp("web") / "image.lock"
    write_lock(place, lock)
    assert read_lock(place) == lock


def test_a_lock_is_json_with_one_fact_a_line_so_that_a_diff_can_be_read(place: Path) -> None:
    write_lock(place, LOCK)
    text = place.read_text()
    assert json.loads(text)["packages"][0]["version"] == "1:2.0-3+deb12u1"
    assert text.endswith("}\n")
    newer = text.replace("1:2.0-3+deb12u1", "1:2.0-3+deb12u2").splitlines()
    assert sum(one != other for one, other in zip(text.splitlines(), newer, strict=True)) == 2


@pytest.mark.parametrize("length", range(0, 700, 50))
def test_a_truncated_lock_is_refused(place: Path, length: int) -> None:
    write_lock(place, LOCK)
    assert length < len(place.read_bytes()) - 2
    place.write_bytes(place.read_bytes()[:length])
    refusal(place)


def test_merge_conflict_markers_are_named(place: Path) -> None:
    write_lock(place, LOCK)
    ours, theirs = place.read_text(), place.read_text().replace("2.0-3", "2.0-4")
    place.write_text(f"<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n")
    assert refusal(place).message == "images/web/image.lock:1: has merge conflict markers"


@pytest.mark.parametrize(
    ("good", "bad", "word"),
    [
        ('"suite"', '"suit"', "suit"),
        ('"bookworm"', "12", "suite"),
        ('"version"', '"vershion"', "vershion"),
        ('"size_bytes": 145', '"size_bytes": "many"', "size_bytes"),
        ('"bookworm"', '"../bookworm"', "not the name of a Debian release"),
        ("cd" * 32, "CD" * 32, "packages: 'libexample1': sha256"),
        ("cd" * 32, "../" * 21 + "x", "packages: 'libexample1': sha256"),
        ('"name": "libexample1"', '"name": "--option"', "packages: '--option': name"),
        ('"libexample1"', '"linux-source-6.12"', "build_packages: linux-source-6.12 is there twice"),
        ('"schema": 1', '"schema": 2', "schema 2 is of another Kiln"),
    ],
)
def test_an_edit_that_makes_no_lock_names_what_is_wrong(place: Path, good: str, bad: str, word: str) -> None:
    write_lock(place, LOCK)
    assert good in place.read_text()
    place.write_text(place.read_text().replace(good, bad))
    assert word in refusal(place).message


def test_bytes_that_are_no_text_are_refused(place: Path) -> None:
    place.write_bytes(b'{"suite": "\xff\xfe"}')
    refusal(place)


def test_a_lock_is_replaced_whole_and_nothing_stays_beside_it(place: Path) -> None:
    write_lock(place, LOCK)
    before = place.stat().st_ino
    with place.open() as reader:  # who reads the old one goes on reading the old one
        write_lock(place, Lock("trixie", KERNEL))
        assert json.loads(reader.read())["suite"] == "bookworm"
    assert place.stat().st_ino != before
    assert [path.name for path in place.parent.iterdir()] == ["image.lock"]


def test_a_full_disk_leaves_the_old_lock_and_nothing_beside_it(place: Path) -> None:
    write_lock(place, LOCK)
    before = place.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_lock(place, Lock("trixie", KERNEL))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert place.read_bytes() == before
    assert [path.name for path in place.parent.iterdir()] == ["image.lock"]


@pytest.mark.parametrize("place", sorted(IMAGES.glob("*/image.lock")), ids=lambda path: path.parent.name)
def test_the_locks_of_the_repository_are_good(place: Path) -> None:
    lock = read_lock(place)
    assert lock is not None
    for package in (lock.kernel, *lock.packages, *lock.build_packages):
        assert len(bytes.fromhex(package.sha256)) == 32
        assert package.size_bytes > 0
    names = [package.name for package in lock.packages]
    assert names == sorted(set(names))
