"""A private apt: where its archive comes from, and that the host's own configuration does not act through it."""

import os
from pathlib import Path

import pytest

from builder.edges import apt_state
from builder.edges.apt import Archive
from builder.edges.apt_state import State, sources_list
from builder.errors import FetchError, HostError
from tests.unit.inputs.archives import LocalArchive, unreachable

DEBIAN = 'ID=debian\nVERSION_CODENAME="trixie"\n'
DEB822 = """\
Types: deb
URIs: http://deb.example.org/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """The configuration of a Debian 13 machine, in both forms of sources."""
    parts = tmp_path / "etc/apt/sources.list.d"
    parts.mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(DEBIAN)
    (parts / "debian.sources").write_text(DEB822)
    (parts / "security.list").write_text("deb http://security.example.org/debian-security trixie-security main\n")
    (parts / "tools.list.save").write_text("deb http://old.example.org/debian bookworm main\n")
    return tmp_path / "etc"


def entries(text: str) -> list[str]:
    return [line.partition("] ")[2] for line in text.splitlines()]


class TestSources:
    def test_they_are_those_of_the_machine_for_the_wanted_release(self, etc: Path) -> None:
        text = sources_list("bookworm", {}, etc)
        assert entries(text) == [
            "http://security.example.org/debian-security bookworm-security main",
            "http://deb.example.org/debian bookworm main",
            "http://deb.example.org/debian bookworm-updates main",
        ]
        assert text.count("signed-by=/usr/share/keyrings/debian-archive-keyring") == 3

    def test_a_mirror_may_be_set(self, etc: Path) -> None:
        text = sources_list("bookworm", {"KILN_DEBIAN_MIRROR": "http://m.example.org/debian/"}, etc)
        assert entries(text)[0] == "http://m.example.org/debian bookworm main"
        assert entries(text)[2] == "http://m.example.org/debian-security bookworm-security main"

    @pytest.mark.parametrize("mirror", ["m.example.org", "http://m.example.org/debian bookworm", "/srv/mirror"])
    def test_a_mirror_that_is_no_address_is_refused(self, etc: Path, mirror: str) -> None:
        with pytest.raises(HostError, match="KILN_DEBIAN_MIRROR="):
            sources_list("bookworm", {"KILN_DEBIAN_MIRROR": mirror}, etc)

    def test_a_sources_file_may_be_set(self, etc: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.list").write_text("deb http://mine.example.org/debian bookworm main\n")
        text = sources_list("bookworm", {"KILN_APT_SOURCES": str(tmp_path / "mine.list")}, etc)
        assert text == (tmp_path / "mine.list").read_text()

    def test_a_sources_file_that_cannot_be_read_is_an_error_with_its_name(self, etc: Path, tmp_path: Path) -> None:
        for path in (tmp_path / "absent.list", tmp_path):
            with pytest.raises(HostError, match=f"KILN_APT_SOURCES={path}: cannot be read") as caught:
                sources_list("bookworm", {"KILN_APT_SOURCES": str(path)}, etc)
            assert "choose-the-archive" in caught.value.hint

    def test_a_machine_without_apt_or_os_release_is_told_what_to_set(self, tmp_path: Path) -> None:
        with pytest.raises(HostError) as caught:
            sources_list("bookworm", {}, tmp_path)
        assert "KILN_DEBIAN_MIRROR" in caught.value.hint
        assert "KILN_APT_SOURCES" in caught.value.hint

    def test_a_machine_without_debians_keys_is_told_the_package(
        self, etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(apt_state, "KEYRINGS", (tmp_path / "absent.gpg",))
        with pytest.raises(HostError, match=r"absent\.gpg") as caught:
            sources_list("bookworm", {}, etc)
        assert "debian-archive-keyring" in caught.value.hint


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    found = LocalArchive(tmp_path)
    found.add("tool", {"usr/bin/tool": b"tool"})
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KILN_APT_SOURCES", str(found.sources))
    return found


class TestApart:
    def test_hooks_of_the_host_are_not_run(
        self, local: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hooks = "".join(f'{hook} {{"touch {tmp_path}/ran";}};\n' for hook in apt_state.HOOKS)
        (tmp_path / "host.conf").write_text(hooks)
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "host.conf"))
        Archive("bookworm").refresh()
        assert not (tmp_path / "ran").exists()

    def test_a_host_that_prefers_a_release_does_not_matter(
        self, local: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "host.conf").write_text('APT::Default-Release "trixie";\nAPT::Install-Recommends "true";\n')
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "host.conf"))
        assert [package.name for package in Archive("bookworm").candidates(["tool"])] == ["tool"]

    def test_a_host_that_trusts_everything_does_not_matter(
        self, local: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        local.sources.write_text(f"deb file:{local.folder} ./\n")
        (tmp_path / "host.conf").write_text('Acquire::AllowInsecureRepositories "true";\n')
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "host.conf"))
        with pytest.raises(FetchError) as caught:
            Archive("bookworm").candidates(["tool"])
        assert "signature" in caught.value.hint

    def test_sources_with_fields_are_understood(self, local: LocalArchive) -> None:
        local.sources.write_text(f"Types: deb\nURIs: file:{local.folder}\nSuites: ./\nTrusted: yes\n")
        assert [package.name for package in Archive("bookworm").candidates(["tool"])] == ["tool"]

    def test_the_state_is_below_the_cache_folder(self, local: LocalArchive, tmp_path: Path) -> None:
        Archive("bookworm").refresh()
        assert State("bookworm").folder.is_relative_to(tmp_path / "cache")
        assert list((State("bookworm").folder / "state/lists").glob("*_Packages*"))

    def test_a_damaged_state_is_mended(self, local: LocalArchive) -> None:
        folder = State("bookworm").folder
        for name in ("sources.list", "apt.conf", "status"):
            (folder / name).write_text("half wri")
        assert [package.name for package in Archive("bookworm").candidates(["tool"])] == ["tool"]


def test_versions_are_chosen_from_the_last_index_when_there_is_no_network(local: LocalArchive, tmp_path: Path) -> None:
    Archive("bookworm").refresh()
    stamp = State("bookworm").folder / "stamp"
    os.utime(stamp, (0, 0))
    local.folder.rename(tmp_path / "unplugged")
    assert [package.name for package in Archive("bookworm").candidates(["tool"])] == ["tool"]


def test_without_a_network_and_any_index_choosing_is_an_error(
    local: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILN_APT_SOURCES", str(unreachable(tmp_path)))
    with pytest.raises(FetchError, match="index could not be fetched"):
        Archive("bookworm").candidates(["tool"])
