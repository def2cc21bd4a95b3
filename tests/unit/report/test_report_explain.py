"""Explanations say who asked, by which path; and say plainly when nobody did."""

import pytest

from builder.documents import ImageFiles, ImageNeeds, ImageOptions, PlacedFile
from builder.errors import DefinitionError
from builder.model import (
    ClosureFile,
    Evidence,
    Need,
    Needs,
    Option,
    Reason,
)
from builder.report import explain

EVIDENCE = Evidence(
    "immediate in eax", "/lib/libc.so.6", 0x1234, "epoll_wait", ("main@/bin/app", "epoll_wait@/lib/libc.so.6")
)
NEEDS = ImageNeeds(
    Needs((ClosureFile("/lib/libc.so.6", "/bin/app"),), (Need("syscall:epoll_wait", (EVIDENCE,), sites=2),)),
    Needs((), ()),
    (),
)
OPTIONS = ImageOptions(
    (Option("EPOLL", "y", (Reason("files/poll.toml", "epoll", ("syscall:epoll_wait",)),)),), ("epoll_wait",)
)
FILES = ImageFiles((PlacedFile("/lib/libc.so.6", "file", "app", "deb:libc6", 10, "00"),))


def test_a_kept_call_shows_site_chain_and_options() -> None:
    text = explain.syscall("epoll_wait", NEEDS, OPTIONS)
    assert "/lib/libc.so.6+0x1234 in epoll_wait" in text
    assert "main@/bin/app → epoll_wait@/lib/libc.so.6" in text
    assert "EPOLL" in text


def test_a_call_that_is_not_kept_says_so_and_names_the_near_one() -> None:
    text = explain.syscall("epoll_wai", NEEDS, OPTIONS)
    assert "not kept" in text
    assert "epoll_wait" in text


def test_an_option_shows_recipe_and_needs_or_what_the_configuration_says() -> None:
    assert "files/poll.toml" in explain.option("CONFIG_EPOLL", OPTIONS, "")
    assert "selected by NET" in explain.option("BPF", OPTIONS, "# selected by NET\nCONFIG_BPF=y\n")
    assert explain.option("USB", OPTIONS, "# CONFIG_USB is not set\n") == "CONFIG_USB: off"


def test_a_file_shows_its_package_and_who_needs_it() -> None:
    text = explain.file("/lib/libc.so.6", NEEDS, FILES)
    assert "deb:libc6" in text
    assert "needed by /bin/app" in text
    with pytest.raises(DefinitionError, match="not in the image"):
        explain.file("/lib/libd.so.6", NEEDS, FILES)


def test_a_package_lists_what_it_brought() -> None:
    assert "/lib/libc.so.6" in explain.package("libc6", FILES)
    with pytest.raises(DefinitionError) as caught:
        explain.package("bash", FILES)
    assert "libc6" in caught.value.hint
