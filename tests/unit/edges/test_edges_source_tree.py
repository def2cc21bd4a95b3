"""Source trees on disk: listed by content, searched for words."""

from pathlib import Path

import pytest

from builder.edges.source_tree import Pair, listing
from builder.edges.store import Store
from builder.model import KernelSource, Package

PACKAGE = Package("linux-source-6.12", "1", "all", "0" * 64)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    for name, number in (("old", 1), ("new", 2)):
        for path, text in {
            "kernel/a.c": f"int a = LIMIT + {number};\n",
            "kernel/all.c": '#include "part.c"\n#include <linux/x.h>\n',
            "kernel/part.c": "int part;\n",
            "include/x.h": "#define LIMIT 3\n#define OPEN(x) \\\n\tdo_##x()\n",
            "unread.c": "int LIMIT;\n",
        }.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    (tmp_path / "old" / "link").symlink_to("kernel")
    return tmp_path / "old", tmp_path / "new"


@pytest.fixture
def pair(trees: tuple[Path, Path]) -> Pair:
    read = ("kernel/a.c", "kernel/all.c", "kernel/part.c", "include/x.h", "not/there.c")
    return Pair(str(trees[0]), str(trees[1]), read)


def test_a_listing_tells_contents_apart_and_is_kept(trees: tuple[Path, Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    old, new = (listing(KernelSource(str(tree), "6", PACKAGE, (), tree.name), store) for tree in trees)
    assert {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)} == {"kernel/a.c", "link"}
    (trees[0] / "kernel/a.c").write_text("changed behind its back: sources in the store never are")
    assert listing(KernelSource(str(trees[0]), "6", PACKAGE, (), "old"), store) == old


def test_words_are_found_in_the_files_the_build_read(pair: Pair) -> None:
    assert pair.mentions(["LIMIT", "part", "absent"]) == {
        "LIMIT": ("include/x.h", "kernel/a.c"),
        "part": ("kernel/all.c", "kernel/part.c"),
    }


def test_both_versions_can_be_read(pair: Pair) -> None:
    assert [path for path in ("kernel/a.c", "include/x.h", "not/there.c") if pair.differs(path)] == ["kernel/a.c"]
    assert pair.old("kernel/a.c") != pair.new("kernel/a.c") != ""
    assert pair.old("not/there.c") == pair.new("kernel") == ""


def test_c_files_that_others_include_are_known(pair: Pair) -> None:
    assert pair.included() == {"kernel/part.c"}


def test_lines_that_paste_words_are_joined(pair: Pair) -> None:
    assert pair.pasted() == ("#define OPEN(x)  \tdo_##x()",)
