"""From a definition to locked inputs: apt chooses, the program's own needs decide what is kept, digests hold it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from builder.analyse import closure
from builder.definition import BuildSource, DebianSource, Definition, Run
from builder.edges.apt import Archive
from builder.edges.store import Store, digest_file
from builder.errors import DefinitionError, FetchError
from builder.inputs import definition_file
from builder.inputs.gather import KERNEL, Gathered, gather, kernel_package, library_packages
from builder.inputs.lockfile import Lock
from builder.model import Package, Tree
from tests.unit.inputs.archives import LocalArchive, unreachable

IMAGES = Path(__file__).parents[3] / "images"
PROGRAM = "/usr/bin/greeter"
GREETER = Definition(DebianSource(("greeter",)), Run((PROGRAM,)), name="greeter")


def linked(folder: Path, name: str, text: str, *flags: str) -> bytes:
    """An ELF file of a few instructions that needs nothing but what `flags` name."""
    (folder / f"{name}.c").write_text(text)
    argv = ["gcc", "-nostdlib", "-fPIC", "-o", str(folder / name), str(folder / f"{name}.c"), *flags]
    subprocess.run(argv, check=True, capture_output=True)
    return (folder / name).read_bytes()


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    """An archive with a program, the library it needs (and what that needs), and packages nobody needs."""
    place = tmp_path / "made"
    place.mkdir()
    deep = linked(place, "libdeep.so.2", "void deep(void) {}", "-shared", "-Wl,-soname,libdeep.so.2")
    greet = "void deep(void); void greet(void) { deep(); }"
    library = linked(place, "libgreet.so.1", greet, "-shared", "-Wl,-soname,libgreet.so.1", str(place / "libdeep.so.2"))
    start = "void greet(void); void _start(void) { greet(); }"
    shape = ("-pie", "-Wl,--no-dynamic-linker", "-Wl,-rpath-link", str(place), str(place / "libgreet.so.1"))
    program = linked(place, "greeter", start, *shape)
    local = LocalArchive(tmp_path)
    local.add("libgreet1", {"usr/lib/libgreet.so.1": library}, section="libs", depends="deep-runtime")
    local.add("deep-runtime", {"usr/lib/libdeep.so.2": deep}, section="misc")  # not named after its library
    local.add("greet-doc", {"usr/share/manual": b"read me"}, section="doc")
    local.add("greeter", {PROGRAM[1:]: program}, depends="libgreet1, greet-doc", section="net")
    local.add(KERNEL, {"usr/src/source": b"the kernel"}, section="kernel")
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KILN_APT_SOURCES", str(local.sources))
    return local


def missing(program: str) -> Callable[[Tree], tuple[str, ...]]:
    return lambda tree: closure.missing(tree, (program,))


def gathered(
    tmp_path: Path, store: Store, *, lock: Lock | None = None, definition: Definition = GREETER, name: str = "greeter"
) -> Gathered:
    return gather(definition, tmp_path / "images" / name, lock, store, missing(definition.run.command[0]))


class TestDebian:
    @pytest.fixture
    def store(self, debian: LocalArchive, tmp_path: Path) -> Store:
        return Store(tmp_path / "store")

    def test_libraries_come_from_the_packages_that_hold_them_and_nothing_else_does(
        self, store: Store, tmp_path: Path
    ) -> None:
        found = gathered(tmp_path, store)
        assert [package.name for package in found.lock.packages] == ["deep-runtime", "greeter", "libgreet1"]
        assert {PROGRAM, "/usr/lib/libgreet.so.1", "/usr/lib/libdeep.so.2"} <= set(found.available)
        assert found.available["/usr/lib/libdeep.so.2"].origin == "deb:deep-runtime"

    def test_the_lock_has_version_and_digest_of_every_package_and_of_the_kernel(
        self, store: Store, debian: LocalArchive, tmp_path: Path
    ) -> None:
        lock = gathered(tmp_path, store).lock
        for package in (*lock.packages, lock.kernel):
            assert package.version == "1.0"
            assert package.sha256 == digest_file(debian.folder / f"{package.name}_1.0_amd64.deb")
        assert (lock.suite, lock.kernel.name, lock.build_packages) == ("bookworm", KERNEL, ())

    def test_the_kernel_is_fetched_only_when_it_is_asked_for(self, store: Store, tmp_path: Path) -> None:
        lock = gathered(tmp_path, store).lock
        package, fetch = kernel_package(lock, store)
        assert store.find("deb", package.sha256) is None
        assert digest_file(fetch()) == package.sha256

    def test_the_same_again_makes_nothing_and_asks_nobody(
        self, store: Store, debian: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = gathered(tmp_path, store)
        monkeypatch.setenv("KILN_APT_SOURCES", str(unreachable(tmp_path)))
        again = Store(store.root)
        assert gathered(tmp_path, again, lock=first.lock) == first
        assert again.made == []

    def test_a_lock_gives_the_same_inputs_on_another_machine(
        self, store: Store, tmp_path: Path, debian: LocalArchive
    ) -> None:
        first = gathered(tmp_path, store)
        debian.add("libgreet1", {"usr/lib/libgreet.so.1": b"another"}, version="2.0", section="libs")
        other = gathered(tmp_path, Store(tmp_path / "other"), lock=first.lock)
        assert (other.key, other.lock) == (first.key, first.lock)
        assert {path: entry.sha256 for path, entry in other.available.items()} == {
            path: entry.sha256 for path, entry in first.available.items()
        }

    def test_without_a_lock_the_newest_is_taken(self, store: Store, tmp_path: Path, debian: LocalArchive) -> None:
        first = gathered(tmp_path, store)
        (debian.folder / "libgreet1-1.0/usr/lib/libgreet.so.1").rename(tmp_path / "library")
        debian.add("libgreet1", {"usr/lib/libgreet.so.1": (tmp_path / "library").read_bytes()}, version="2.0")
        Archive("bookworm").refresh()
        newer = gathered(tmp_path, store)
        assert {p.name: p.version for p in newer.lock.packages}["libgreet1"] == "2.0"
        assert newer.key != first.key

    def test_a_lock_with_a_wrong_digest_is_refused(self, store: Store, tmp_path: Path) -> None:
        lock = gathered(tmp_path, store).lock
        greeter = next(package for package in lock.packages if package.name == "greeter")
        others = tuple(package for package in lock.packages if package is not greeter)
        wrong = replace(lock, packages=(*others, replace(greeter, sha256="ab" * 32)))
        with pytest.raises(FetchError, match=r"greeter=1\.0: digest mismatch"):
            gathered(tmp_path, Store(tmp_path / "other"), lock=wrong)

    def test_a_cold_store_without_a_network_names_what_is_missing(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = gathered(tmp_path, store).lock
        monkeypatch.setenv("KILN_APT_SOURCES", str(unreachable(tmp_path)))
        with pytest.raises(FetchError, match=r"=1\.0") as caught:
            gathered(tmp_path, Store(tmp_path / "cold"), lock=lock)
        assert "network" in caught.value.hint

    def test_a_part_of_the_store_that_was_removed_is_fetched_again(self, store: Store, tmp_path: Path) -> None:
        first = gathered(tmp_path, store)
        victim = Path(first.available[PROGRAM].host)
        victim.parent.chmod(0o755)
        victim.unlink()
        again = gathered(tmp_path, store, lock=first.lock)
        assert digest_file(Path(again.available[PROGRAM].host)) == first.available[PROGRAM].sha256

    def test_an_unknown_package_is_an_error_of_the_definition(self, store: Store, tmp_path: Path) -> None:
        definition = replace(GREETER, source=DebianSource(("greter",)))
        with pytest.raises(DefinitionError, match="greter: no such package") as caught:
            gathered(tmp_path, store, definition=definition)
        assert "greeter" in caught.value.hint

    def test_a_version_the_definition_names_is_the_one_that_is_locked(
        self, store: Store, tmp_path: Path, debian: LocalArchive
    ) -> None:
        debian.add("greet-doc", {"usr/share/manual": b"newer"}, version="2.0", section="doc")
        definition = replace(GREETER, source=DebianSource(("greeter", "greet-doc=1.0")))
        first = gathered(tmp_path, store, definition=definition)
        assert ("greet-doc", "1.0") in [(package.name, package.version) for package in first.lock.packages]
        newer = replace(GREETER, source=DebianSource(("greeter", "greet-doc=2.0")))
        second = gathered(tmp_path, store, definition=newer, lock=first.lock)
        assert ("greet-doc", "2.0") in [(package.name, package.version) for package in second.lock.packages]

    def test_a_package_the_definition_names_no_more_leaves_the_lock(self, store: Store, tmp_path: Path) -> None:
        more = replace(GREETER, source=DebianSource(("greeter", "greet-doc")))
        first = gathered(tmp_path, store, definition=more)
        assert "greet-doc" in [package.name for package in first.lock.packages]
        second = gathered(tmp_path, store, lock=first.lock)
        assert "greet-doc" not in [package.name for package in second.lock.packages]

    def test_files_laid_over_are_part_of_the_key(self, store: Store, tmp_path: Path) -> None:
        first = gathered(tmp_path, store)
        (tmp_path / "images/greeter/files/etc").mkdir(parents=True)
        (tmp_path / "images/greeter/files/etc/greeter.conf").write_text("loud")
        second = gathered(tmp_path, store, lock=first.lock)
        assert list(second.overlay) == ["/etc", "/etc/greeter.conf"]
        assert second.key != first.key


class TestLibraryPackages:
    """Debian names a library's package after its soname, mostly: the right one is tried first."""

    NAMES = (
        *("adduser", "libgcrypt20", "iproute2", "libc-bin", "libc6", "libcrypt1", "libcrypt-ssleay-perl", "libgcc-s1"),
        *("libpcre2-8-0", "libpcre2-posix3", "libssl3", "libstdc++6", "libsystemd0", "libzstd1", "liblz4-1", "zlib1g"),
        *("libjemalloc2", "libevent-core-2.1-7", "libevent-2.1-7", "libsqlite3-0", "lsb-base", "openssl", "perl-base"),
        *("libjansson4", "liblua5.1-0", "libxml2", "libexpat1", "libtinfo6", "libncursesw6", "libgpg-error0"),
    )
    CANDIDATES = tuple(
        Package(name, "1", "amd64", "", section="libs" if name.startswith(("lib", "zlib")) else "admin")
        for name in sorted(NAMES)
    )

    @pytest.mark.parametrize(
        ("soname", "package"),
        [
            ("libc.so.6", "libc6"),
            ("libssl.so.3", "libssl3"),
            ("libcrypto.so.3", "libssl3"),  # it does not have its name: one of the libraries
            ("libz.so.1", "zlib1g"),
            ("libpcre2-8.so.0", "libpcre2-8-0"),
            ("libpcre2-posix.so.3", "libpcre2-posix3"),
            ("libstdc++.so.6", "libstdc++6"),
            ("libgcc_s.so.1", "libgcc-s1"),
            ("libcrypt.so.1", "libcrypt1"),
            ("libsystemd.so.0", "libsystemd0"),
            ("liblz4.so.1", "liblz4-1"),
            ("libevent_core-2.1.so.7", "libevent-core-2.1-7"),
            ("libsqlite3.so.0", "libsqlite3-0"),
            ("libjansson.so.4", "libjansson4"),
            ("libxml2.so.2", "libxml2"),
            ("libncursesw.so.6", "libncursesw6"),
            ("libtinfo.so.6", "libtinfo6"),
            ("libgcrypt.so.20", "libgcrypt20"),
            ("libgpg-error.so.0", "libgpg-error0"),
        ],
    )
    def test_the_package_of_a_library_comes_first(self, soname: str, package: str) -> None:
        order = [found.name for found in library_packages(soname, self.CANDIDATES)]
        if soname == "libcrypto.so.3":
            libraries = sum(name.startswith(("lib", "zlib")) for name in self.NAMES)
            assert order.index(package) < libraries
        else:
            assert order[0] == package

    def test_every_candidate_is_tried_in_the_end_and_libraries_before_the_rest(self) -> None:
        order = [found.section for found in library_packages("libnothing.so.9", self.CANDIDATES)]
        assert len(order) == len(self.CANDIDATES)
        assert order == sorted(order, reverse=True)


@pytest.mark.slow
class TestNginx:
    """The real archive, as this machine's apt reaches it."""

    def test_nginx_is_gathered_with_its_libraries_and_then_known(self, tmp_path: Path) -> None:
        definition = definition_file.load(IMAGES, "nginx")
        program = definition.run.command[0]
        first = gather(definition, IMAGES / "nginx", None, Store(tmp_path), missing(program))
        names = {package.name for package in first.lock.packages}
        assert {"nginx", "nginx-common", "libc6", "libssl3", "libpcre2-8-0", "zlib1g"} <= names
        assert not {"iproute2", "debconf", "perl-base"} & names
        assert all(len(bytes.fromhex(package.sha256)) == 32 for package in (*first.lock.packages, first.lock.kernel))
        assert closure.missing(first.available, (program,)) == ()
        again = Store(tmp_path)
        assert gather(definition, IMAGES / "nginx", first.lock, again, missing(program)) == first
        assert again.made == []

    def test_a_lock_with_a_wrong_digest_is_refused(self, tmp_path: Path) -> None:
        lock = gather(
            definition_file.load(IMAGES, "nginx"), IMAGES / "nginx", None, Store(tmp_path / "one"), lambda tree: ()
        ).lock
        wrong = replace(lock, packages=tuple(replace(package, sha256="ab" * 32) for package in lock.packages))
        with pytest.raises(FetchError, match="digest mismatch"):
            gather(
                definition_file.load(IMAGES, "nginx"), IMAGES / "nginx", wrong, Store(tmp_path / "two"), lambda tree: ()
            )

    def test_gnu_sources_compile_against_a_sysroot_of_debian_packages(self, tmp_path: Path) -> None:
        definition = definition_file.load(IMAGES, "myservice")
        program = definition.run.command[0]
        assert isinstance(definition.source, BuildSource)
        first = gather(definition, IMAGES / "myservice", None, Store(tmp_path / "one"), missing(program))
        assert {"libevent-core-2.1-7", "libjansson4", "libsqlite3-0"} <= {p.name for p in first.lock.packages}
        assert {"libc6-dev", "libevent-dev"} <= {package.name for package in first.lock.build_packages}
        second = gather(definition, IMAGES / "myservice", first.lock, Store(tmp_path / "two"), missing(program))
        assert second.available[program].sha256 == first.available[program].sha256
