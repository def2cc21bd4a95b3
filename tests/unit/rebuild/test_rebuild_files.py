"""Two file trees compared: what is a difference, and what is only another place on this machine."""

from msgspec.structs import replace

from builder.model import File
from builder.rebuild.files import FileDelta, deltas

FILE = File("/bin/a", "file", 0o755, sha256="1" * 64, size_bytes=3, host="/here", origin="deb:a")


def test_the_same_files_elsewhere_are_no_difference() -> None:
    assert deltas({"/bin/a": FILE}, {"/bin/a": replace(FILE, host="/there", origin="deb:b")}) == ()


def test_content_mode_owner_kind_and_target_count() -> None:
    for change in ({"sha256": "2" * 64}, {"mode": 0o700}, {"uid": 5}, {"kind": "directory"}, {"target": "x"}):
        assert deltas({"/bin/a": FILE}, {"/bin/a": replace(FILE, **change)}) == (
            FileDelta("/bin/a", "changed", "deb:a"),
        )


def test_what_comes_and_goes_is_told_with_who_brought_it() -> None:
    found = deltas({"/a": FILE}, {"/b": replace(FILE, origin="deb:b")})
    assert found == (FileDelta("/a", "removed", "deb:a"), FileDelta("/b", "added", "deb:b"))
