"""What `apt-cache policy` says of packages."""

from hypothesis import given
from hypothesis import strategies as st

from builder.edges.apt_policy import Offered, parse

TEXT = """\
libssl3:
  Installed: (none)
  Candidate: 3.0.22-1~deb12u2
  Version table:
     3.0.22-1~deb12u2 500
        500 http://archive.example/debian-security bookworm-security/main amd64 Packages
     3.0.20-1~deb12u2 500
        500 http://archive.example/debian bookworm/main amd64 Packages
        500 http://archive.example/debian bookworm-updates/main amd64 Packages
mine:
  Installed: (none)
  Candidate: 1.1
  Version table:
     1.1 500
        500 file:/srv/archive ./ Packages
gone:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 100
        100 /var/lib/dpkg/status
"""


def test_versions_come_with_the_suites_that_have_them() -> None:
    assert parse(TEXT)["libssl3"] == (
        Offered("3.0.22-1~deb12u2", ("bookworm-security",)),
        Offered("3.0.20-1~deb12u2", ("bookworm", "bookworm-updates")),
    )


def test_a_flat_archive_has_no_suites_but_counts() -> None:
    assert parse(TEXT)["mine"] == (Offered("1.1", (".",)),)


def test_what_is_only_installed_is_not_on_offer() -> None:
    assert parse(TEXT)["gone"] == ()


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    parse(text)
