"""What is baked in for the agent to compare the files with: all that nobody may change, and nothing else."""

from builder.assemble import digests
from builder.model import File
from builder.paths import DIGESTS

SUM = "0123456789abcdef" * 4


def listed(*entries: File) -> list[str]:
    tree = {entry.path: entry for entry in entries}
    return digests.render(tree, writers={1000}, hidden=["/run"]).splitlines()


def test_a_line_has_digest_size_and_path() -> None:
    assert listed(File("/bin/a", "file", 0o755, sha256=SUM, size_bytes=7)) == [f"{SUM} 7 /bin/a"]


def test_lines_are_sorted_and_a_path_stays_on_one() -> None:
    files = [File(path, "file", sha256=SUM) for path in ("/b", "/a\nb\\c", "/a")]
    assert [line.partition(" 0 ")[2] for line in listed(*files)] == ["/a", "/a\\nb\\\\c", "/b"]


def test_only_regular_files_and_not_the_list_itself() -> None:
    entries = [File("/dev", "directory"), File("/link", "symlink", target="/a"), File(DIGESTS, "file", sha256=SUM)]
    assert listed(*entries) == []


def test_what_may_change_is_left_out() -> None:
    assert listed(
        File("/own", "file", 0o644, uid=1000, sha256=SUM),
        File("/everybody", "file", 0o666, sha256=SUM),
        File("/run/under-a-mount", "file", sha256=SUM),
    ) == []  # fmt: skip
    kept = [File("/own", "file", 0o444, uid=1000, sha256=SUM), File("/runner", "file", 0o644, sha256=SUM)]
    assert len(listed(*kept)) == 2
