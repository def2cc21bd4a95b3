"""Paths in a guest's tree."""

import posixpath

from hypothesis import given
from hypothesis import strategies as st

from builder.model import File, Tree
from builder.paths import expand, find, follow, normalise


def tree(*entries: File) -> Tree:
    return {entry.path: entry for entry in entries}


def link(path: str, target: str) -> File:
    return File(path, "symlink", target=target)


def test_links_are_followed_and_reported() -> None:
    lib = tree(link("/lib", "usr/lib"), link("/usr/lib/a.so.1", "a.so.1.2"), File("/usr/lib/a.so.1.2", "file"))
    assert follow(lib, "/lib/a.so.1") == ("/usr/lib/a.so.1.2", ("/lib", "/usr/lib/a.so.1"))
    assert find(lib, "/lib/a.so.1") == lib["/usr/lib/a.so.1.2"]


def test_links_stay_inside_the_tree() -> None:
    assert follow(tree(link("/a/b", "../../../etc")), "/a/b/x") == ("/etc/x", ("/a/b",))


def test_a_loop_leads_nowhere() -> None:
    assert follow(tree(link("/a", "/b"), link("/b", "/a")), "/a") is None


def test_globs_keep_to_their_level_unless_doubled() -> None:
    files = tree(*(File(path, "file") for path in ("/m/a.so", "/m/deep/b.so", "/m/c.txt")))
    assert expand(files, ["/m/*.so"]) == ("/m/a.so",)
    assert expand(files, ["/m/**/*.so"]) == ("/m/a.so", "/m/deep/b.so")
    assert expand(files, ["/m/c.txt", "/nothing"]) == ("/m/c.txt",)


@given(st.text(alphabet="ab./", max_size=20))
def test_a_normalised_path_is_absolute_and_has_no_dots(path: str) -> None:
    found = normalise(path)
    assert found.startswith("/")
    assert not {".", "..", ""} & set(found.split("/")[1:]) or found == "/"
    assert found == posixpath.normpath(found)


@given(st.dictionaries(st.text("ab/", max_size=6).map(normalise), st.text("ab./", min_size=1, max_size=8)))
def test_following_always_ends(links: dict[str, str]) -> None:
    hostile = tree(*(link(path, target) for path, target in links.items()))
    for path in hostile:
        found = follow(hostile, path)
        assert found is None or found[0] == "/" or found[0] not in hostile
