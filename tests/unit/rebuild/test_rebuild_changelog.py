"""Changelogs between two versions, and the order of Debian's versions."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.rebuild.changelog import between, entries, order

TEXT = """\
nginx (1.22.1-9+deb12u11) bookworm-security; urgency=high

  * Fix buffer overread (CVE-2026-0002, CVE-2026-0001).

 -- Somebody <somebody@example.org>  Mon, 02 Nov 2026 10:00:00 +0000

nginx (1.22.1-9+deb12u10) bookworm; urgency=medium

  * Refresh a patch.
  * Again CVE-2026-0001.

 -- Somebody <somebody@example.org>  Sun, 01 Nov 2026 10:00:00 +0000

nginx (1.22.1-9) unstable; urgency=low

  * Old.

 -- Somebody <somebody@example.org>  Wed, 01 Jan 2025 10:00:00 +0000
"""


def test_only_what_is_newer_is_told() -> None:
    found = between(TEXT, "1.22.1-9", "1.22.1-9+deb12u11")
    assert [entry.version for entry in found] == ["1.22.1-9+deb12u11", "1.22.1-9+deb12u10"]
    assert found[0].distribution == "bookworm-security"
    assert found[0].urgency == "high"
    assert found[0].cves == ("CVE-2026-0001", "CVE-2026-0002")
    assert "Somebody" not in found[0].text


def test_nothing_newer_is_nothing() -> None:
    assert between(TEXT, "1.22.1-9+deb12u11", "1.22.1-9+deb12u11") == ()
    assert between("", "1", "2") == ()


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    list(entries(text))


versions = st.from_regex(r"\A([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9][0-9a-z+~]{0,3})?\Z")


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.0~rc1", "1.0"), ("9", "1:0"), ("6.12.115-2~deb12u1", "6.12.117-1~deb12u1"), ("1-9", "1-10")],
)
def test_the_order_is_debians(older: str, newer: str) -> None:
    assert order(older, newer) < 0 < order(newer, older)


@given(versions, versions)
def test_the_order_agrees_with_dpkg(one: str, other: str) -> None:
    relation = {-1: "lt", 0: "eq", 1: "gt"}[order(one, other)]
    assert subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0
