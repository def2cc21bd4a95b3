"""Debian's archive through apt itself: a local archive answers, so no network is needed."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from builder.edges.apt import Archive
from builder.edges.apt_state import sources_list
from builder.edges.store import Store, digest_file
from builder.errors import DefinitionError, FetchError, HostError
from builder.model import Package
from tests.unit.inputs.archives import LocalArchive, unreachable


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    """An archive with a server, the library it needs, and two versions of a tool."""
    local = LocalArchive(tmp_path)
    local.add("libgreet1", {"usr/lib/libgreet.so.1": b"library"}, section="libs")
    local.add("greeter", {"usr/bin/greeter": b"server"}, depends="libgreet1 (>= 1.0)", section="net")
    local.add("tool", {"usr/bin/tool": b"old"}, version="1.0")
    local.add("tool", {"usr/bin/tool": b"new"}, version="1:0.5~rc1-2+deb12u1")
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KILN_APT_SOURCES", str(local.sources))
    return local


@pytest.fixture
def archive(debian: LocalArchive) -> Archive:
    found = Archive("bookworm")
    found.refresh()
    return found


class TestChoosing:
    def test_a_package_comes_with_what_it_depends_on(self, archive: Archive, debian: LocalArchive) -> None:
        found = {package.name: package for package in archive.candidates(["greeter"])}
        assert set(found) == {"greeter", "libgreet1"}
        deb = debian.folder / "libgreet1_1.0_amd64.deb"
        assert found["libgreet1"] == Package(
            "libgreet1", "1.0", "amd64", digest_file(deb), deb.stat().st_size, "libgreet1 1.0", "libs"
        )

    def test_the_newest_version_is_taken_unless_one_is_named(self, archive: Archive) -> None:
        assert [package.version for package in archive.candidates(["tool"])] == ["1:0.5~rc1-2+deb12u1"]
        assert [package.version for package in archive.candidates(["tool=1.0"])] == ["1.0"]

    def test_an_unknown_package_gets_the_near_names(self, archive: Archive) -> None:
        with pytest.raises(DefinitionError, match="greter: no such package in Debian bookworm") as caught:
            archive.candidates(["greter"])
        assert caught.value.hint == "did you mean greeter?"

    def test_an_unknown_version_gets_the_known_ones(self, archive: Archive) -> None:
        with pytest.raises(DefinitionError, match="tool=9: no such version in Debian bookworm") as caught:
            archive.candidates(["tool=9"])
        assert caught.value.hint == "there are: 1:0.5~rc1-2+deb12u1, 1.0"

    def test_what_cannot_be_installed_shows_the_words_of_apt(self, archive: Archive, debian: LocalArchive) -> None:
        debian.add("broken", {}, depends="no-such-package")
        archive.refresh()
        with pytest.raises(FetchError, match="broken: cannot be resolved") as caught:
            archive.candidates(["broken"])
        assert "broken : Depends: no-such-package but it is not installable" in caught.value.tail
        assert "W:" not in caught.value.tail


class TestIndex:
    def test_a_young_index_is_not_asked_for_again(self, archive: Archive, debian: LocalArchive) -> None:
        debian.add("newer", {})
        archive.refresh(older_than_s=3600)
        with pytest.raises(DefinitionError):
            archive.candidates(["newer"])
        archive.refresh()
        assert archive.candidates(["newer"])

    def test_an_index_from_the_future_is_no_young_one(self, archive: Archive, debian: LocalArchive) -> None:
        debian.add("newer", {})
        later = time.time() + 86400  # the clock was set back since
        os.utime(archive._state.folder / "stamp", (later, later))
        archive.refresh(older_than_s=3600)
        assert archive.candidates(["newer"])

    def test_another_archive_has_an_index_of_its_own(
        self, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "other").mkdir()
        other = LocalArchive(tmp_path / "other")
        other.add("elsewhere", {})
        monkeypatch.setenv("KILN_APT_SOURCES", str(other.sources))
        second = Archive("bookworm")
        second.refresh(older_than_s=3600)
        assert [package.name for package in second.candidates(["elsewhere"])] == ["elsewhere"]

    def test_an_archive_that_cannot_be_reached_is_an_error_about_the_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("KILN_APT_SOURCES", str(unreachable(tmp_path)))
        with pytest.raises(FetchError, match="the package index could not be fetched") as caught:
            Archive("bookworm").refresh()
        assert "network" in caught.value.hint
        assert "127.0.0.1" in caught.value.tail

    def test_an_archive_that_nobody_signed_is_refused(self, debian: LocalArchive) -> None:
        debian.sources.write_text(f"deb file:{debian.folder} ./\n")
        with pytest.raises(FetchError) as caught:
            Archive("bookworm").refresh()
        assert "signed" in caught.value.tail

    def test_a_changed_index_is_refused(self, debian: LocalArchive) -> None:
        index = debian.folder / "Packages"
        index.write_bytes(index.read_bytes().replace(b"Version: 1.0", b"Version: 6.6", 1))
        with pytest.raises(FetchError) as caught:
            Archive("bookworm").refresh()
        assert "Hash Sum mismatch" in caught.value.tail

    def test_two_builds_at_once_can_both_ask(self, debian: LocalArchive) -> None:
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=Archive("bookworm").refresh) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 4


class TestFetching:
    def test_packages_are_fetched_once_into_the_store(
        self, archive: Archive, debian: LocalArchive, tmp_path: Path
    ) -> None:
        store = Store(tmp_path / "store")
        packages = archive.candidates(["greeter"])
        debs = archive.fetch(packages, store)
        assert [digest_file(deb) for deb in debs] == [package.sha256 for package in packages]
        for deb in debian.folder.glob("*.deb"):
            deb.unlink()
        assert archive.fetch(packages, store) == debs
        assert len(store.made) == 2

    def test_a_digest_other_than_the_locked_one_is_refused(self, archive: Archive, tmp_path: Path) -> None:
        (package,) = archive.candidates(["tool"])
        wrong = Package(package.name, package.version, package.architecture, "ab" * 32, package.size_bytes)
        store = Store(tmp_path / "store")
        with pytest.raises(FetchError, match="digest mismatch: locked to sha256 abababababababab…") as caught:
            archive.fetch([wrong], store)
        assert "do not trust" in caught.value.hint
        assert store.find("deb", wrong.sha256) is None

    def test_a_package_changed_in_the_archive_is_refused(
        self, archive: Archive, debian: LocalArchive, tmp_path: Path
    ) -> None:
        (package,) = archive.candidates(["tool=1.0"])
        deb = debian.folder / "tool_1.0_amd64.deb"
        deb.write_bytes(deb.read_bytes()[:-1] + b"!")
        with pytest.raises(FetchError, match=r"tool=1\.0"):
            archive.fetch([package], Store(tmp_path / "store"))

    def test_a_version_that_is_gone_says_so(self, archive: Archive, tmp_path: Path) -> None:
        gone = Package("tool", "0.1", "amd64", "ab" * 32)
        with pytest.raises(FetchError, match=r"tool=0\.1 could not be fetched") as caught:
            archive.fetch([gone], Store(tmp_path / "store"))
        assert "no longer in the archive" in caught.value.hint

    def test_a_lock_is_enough_where_no_index_is_there_yet(
        self, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packages = archive.candidates(["tool"])
        monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cold"))
        assert Archive("bookworm").fetch(packages, Store(tmp_path / "store"))

    def test_without_a_network_and_an_index_the_package_is_named(
        self, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packages = archive.candidates(["tool"])
        monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cold"))
        monkeypatch.setenv("KILN_APT_SOURCES", str(unreachable(tmp_path)))
        with pytest.raises(FetchError, match=r"tool=1:0\.5") as caught:
            Archive("bookworm").fetch(packages, Store(tmp_path / "store"))
        assert "network" in caught.value.hint


def test_a_machine_without_a_debian_archive_is_told_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    with pytest.raises(HostError, match="so bookworm cannot be found") as caught:
        sources_list("bookworm", {}, tmp_path)
    assert "KILN_DEBIAN_MIRROR" in caught.value.hint
