"""Explanations say who asked, by which path; and say plainly when nobody did."""

import pytest

from builder.analysis_documents import Explained, Feature, Proof
from builder.documents import ImageFiles, ImageNeeds, ImageOptions, PlacedFile
from builder.errors import DefinitionError
from builder.model import ClosureFile, Evidence, Need, Needs, Option, Reason
from builder.report import explain

EVIDENCE = Evidence(
    "immediate in eax", "/lib/libc.so.6", 0x1234, "epoll_wait", ("main@/bin/app", "epoll_wait@/lib/libc.so.6")
)
PROOF = Proof(
    "constant at the instruction",
    "calls epoll_wait",
    EVIDENCE.file,
    EVIDENCE.address,
    EVIDENCE.function,
    EVIDENCE.chain,
    "libc6 2.36",
    "ab12",
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


def explained(*asked: Feature, kept: bool | None = True) -> list[str]:
    return explain.need(Explained("app", "epoll_wait", kept, asked, ("EPOLL",)), ["epoll_wait", "write"])


def test_a_kept_call_shows_how_it_was_found_where_by_which_chain_and_the_options() -> None:
    assert explained(Feature("syscall:epoll_wait", "reachable", "app", 3, (PROOF,))) == [
        "epoll_wait: kept",
        "  for the application, 3 sites",
        "    calls epoll_wait: constant at the instruction",
        "      /lib/libc.so.6+0x1234 in epoll_wait",
        "      libc6 2.36, build-id ab12",
        "      main@app → epoll_wait@libc.so.6",
        "    and 2 other sites",
        "  options it asks for: EPOLL",
    ]


def test_an_image_that_is_not_built_says_what_a_build_would_keep() -> None:
    assert "would be kept" in explained(Feature("syscall:epoll_wait", "unresolved", "app", 1, (PROOF,)), kept=None)[0]


def test_a_call_that_is_not_kept_says_so_and_names_the_near_one() -> None:
    text = explain.need(Explained("app", "epoll_wai", False, (), ()), ["epoll_wait", "write"])
    assert len(text) == 1
    assert "not kept" in text[0]
    assert "there is epoll_wait" in text[0]


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
