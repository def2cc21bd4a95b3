"""Object trees: begun from the nearest one, mended after a kill, removed when they were not used for long."""

import os
import subprocess
from pathlib import Path

import pytest

from builder.compile import trees
from builder.edges import make

FAMILY = trees.Family("source", "gcc and ld", ("-O2",))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def silent(_: str) -> None:
    pass


def built(config: str, family: trees.Family = FAMILY, **files: str) -> Path:
    """A finished tree that holds the given files; returns its objects."""
    with trees.opened(family, config, silent) as tree, tree.building():
        for name, text in files.items():
            (tree.objects / name).write_text(text)
        tree.finish(trees.Record(family, config, len(files)))
    return tree.objects


def known(config: str, files: int = 0, **readers: int) -> trees.Record:
    """What is known of a tree with so many objects; those that read an option as bits."""
    return trees.Record(FAMILY, config, files, {f"CONFIG_{name}": f"{bits:x}" for name, bits in readers.items()})


def test_the_nearest_tree_is_the_one_of_which_most_objects_can_stay() -> None:
    candidates = {
        "one option that all read": known("CONFIG_A=y\n", 4, B=0b1111, C=0b1),
        "two that few read": known("CONFIG_B=y\n", 4, A=0b1, C=0b11),
        "the same, but small": known("CONFIG_B=y\n", 1, A=0b0),
    }
    assert trees.nearest("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n", candidates) == (
        "two that few read", "the same, but small", "one option that all read",
    )  # fmt: skip


def test_where_nobody_reads_them_the_fewest_settings_decide_and_what_is_not_set_is_none() -> None:
    candidates = {
        "far": known("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n"),
        "near": known("CONFIG_A=y\nCONFIG_D=y\n# CONFIG_E is not set\n# CONFIG_F is not set\n"),
        "same but one": known("CONFIG_A=y\n"),
    }
    wanted = "CONFIG_A=y\nCONFIG_D=y\n"
    assert trees.nearest(wanted, candidates) == ("near", "same but one", "far")


def test_what_objects_read_is_what_kbuild_noted(tmp_path: Path) -> None:
    for name, options in (("a.o", ("NET", "SMP")), ("b.o", ("NET",)), ("c.o", ())):
        mentioned = "".join(f"    $(wildcard include/config/{option}) \\\n" for option in options)
        (tmp_path / f".{name}.cmd").write_text(f"deps_{name} := \\\n{mentioned}  include/linux/kconfig.h \\\n")
    assert trees.record(tmp_path, FAMILY, "") == known("", 3, NET=0b11, SMP=0b1)


def test_a_new_tree_starts_as_a_copy_of_the_nearest_with_its_times() -> None:
    near = built("CONFIG_A=y\n", fork="near")
    built("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_D=y\n", fork="far")
    os.utime(near / "fork", ns=(1_000_000_001, 1_000_000_002))
    with trees.opened(FAMILY, "CONFIG_A=y\nCONFIG_B=y\n", silent) as tree:
        assert (tree.objects / "fork").read_text() == "near"
        assert (tree.objects / "fork").stat().st_mtime_ns == 1_000_000_002
        assert tree.is_started


def test_a_record_that_another_version_wrote_is_none() -> None:
    objects = built("CONFIG_A=y\n", fork="other")
    (objects.parent / "tree.json").write_text('{"family": "of tomorrow"}')
    assert not trees.records()
    with trees.opened(FAMILY, "CONFIG_B=y\n", silent) as tree:
        assert not tree.is_started


def test_trees_of_another_source_toolchain_or_flags_are_never_copied() -> None:
    built("A=y\n", fork="other")
    for family in (
        trees.Family("other source", FAMILY.toolchain, FAMILY.flags),
        trees.Family(FAMILY.source, "other gcc", FAMILY.flags),
        trees.Family(FAMILY.source, FAMILY.toolchain, ()),
    ):
        with trees.opened(family, "A=y\n", silent) as tree:
            assert not tree.is_started


def test_a_tree_whose_build_was_killed_is_not_copied_and_says_so() -> None:
    objects = built("A=y\n", fork="half")
    (objects.parent / "building").touch()
    with trees.opened(FAMILY, "A=y\nB=y\n", silent) as other:
        assert not other.is_started
    with trees.opened(FAMILY, "A=y\n", silent) as tree:
        assert tree.was_killed


def test_a_tree_in_use_is_not_copied() -> None:
    objects = built("A=y\n", fork="busy")
    with make.held(trees._lock(objects.parent)), trees.opened(FAMILY, "A=y\nB=y\n", silent) as tree:
        assert not tree.is_started


def test_an_exception_leaves_the_mark_of_an_unfinished_build() -> None:
    def interrupted() -> None:
        with trees.opened(FAMILY, "A=y\n", silent) as tree, tree.building():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with trees.opened(FAMILY, "A=y\n", silent) as tree:
        assert tree.was_killed


def command_file(objects: Path, target: str, text: str, *, age_ns: int) -> None:
    (objects / f".{target}.cmd").write_text(text)
    moment = (objects / target).stat().st_mtime_ns + age_ns
    os.utime(objects / f".{target}.cmd", ns=(moment, moment))


def test_mending_removes_what_was_not_finished_and_keeps_the_rest(tmp_path: Path) -> None:
    whole = "savedcmd_x.o := gcc -Wp,-MMD,x.d\n\nx.o: $(deps_x.o)\n\n$(deps_x.o):\n"
    for name in ("done.o", "rewritten.o", "torn.o", "cut.o", "plain.a"):
        (tmp_path / name).touch()
    command_file(tmp_path, "done.o", whole + "\nx.o: $(wildcard ./tools/objtool/objtool)\n", age_ns=1)
    command_file(tmp_path, "rewritten.o", whole, age_ns=-1)
    command_file(tmp_path, "torn.o", whole[:-9], age_ns=1)
    command_file(tmp_path, "cut.o", whole[: whole.index("\n") + 1], age_ns=1)
    command_file(tmp_path, "plain.a", "savedcmd_plain.a := ar\n", age_ns=1)
    trees.mend(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".done.o.cmd", ".plain.a.cmd", "done.o", "plain.a"]


def test_a_copied_tree_names_its_own_folder_in_the_host_tools_command_files(tmp_path: Path) -> None:
    tools = tmp_path / "new" / "tools"
    tools.mkdir(parents=True)
    (tools / ".objtool.o.cmd").write_text(f"deps := {tmp_path}/old/tools/builtin.h {tmp_path}/older/x.h\n")
    trees.relocate(tmp_path / "new", tmp_path / "old")
    assert (tools / ".objtool.o.cmd").read_text() == f"deps := {tmp_path}/new/tools/builtin.h {tmp_path}/older/x.h\n"


def test_the_trees_not_used_for_longest_are_removed_unless_in_use() -> None:
    folders = [built(f"A={number}\n", fork="x").parent for number in range(4)]
    for age, folder in enumerate(folders):
        os.utime(folder / "tree.json", ns=(age, age))
    with make.held(trees._lock(folders[0])):
        trees.prune(spare=folders[3], kept=2)
    assert [folder.exists() for folder in folders] == [True, False, True, True]


def test_a_lock_lasts_as_long_as_a_child_that_inherited_it(tmp_path: Path) -> None:
    lock = tmp_path / "tree.lock"
    with make.held(lock) as descriptor:
        assert descriptor is not None
        # The child gets a duplicate of the open file; when we vanish without unlocking, it still holds the lock.
        copy = os.dup(descriptor)
        child = subprocess.Popen(["sleep", "60"], pass_fds=(copy,))
        os.close(copy)
        with make.held(lock, wait_s=0) as second:
            assert second is None
    child.terminate()
    child.wait()
    with make.held(lock, wait_s=0) as free:
        assert free is not None
