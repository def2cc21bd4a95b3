"""Applications from source: compiled by the rules of the definition, with nothing of the host in the program."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.definition import BuildSource
from builder.edges.store import Store
from builder.errors import CompileError, DefinitionError, HostError
from builder.inputs import build, toolchain
from builder.model import Tree

MUSL = BuildSource(toolchain="musl")
GNU = BuildSource()
MAKEFILE = """\
install: program
\tinstall -D -m 755 program $(DESTDIR)/bin/program
program: program.c
\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LDLIBS)
"""
PROGRAM = '#include <stdio.h>\nint main(void) { puts("first, from " __FILE__); return 0; }\n'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    return Store()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an image with a program of one file."""
    source = tmp_path / "images" / "sample" / "src"
    source.mkdir(parents=True)
    (source / "Makefile").write_text(MAKEFILE)
    (source / "program.c").write_text(PROGRAM)
    return source.parent


def compiled(folder: Path, store: Store, source: BuildSource = MUSL, sysroot: tuple[Tree, ...] = ()) -> Tree:
    return build.compiled(source, build.source_tree(folder, source, "sample"), sysroot, "sample", store)


def output(tree: Tree) -> str:
    entry = tree["/bin/program"]
    assert entry.mode == 0o755
    copy = Path(entry.host).with_name("copy")
    shutil.copy(entry.host, copy)
    copy.chmod(0o755)
    return subprocess.run([copy], check=True, capture_output=True, text=True).stdout


class TestMusl:
    def test_what_install_puts_below_destdir_is_the_application(self, folder: Path, store: Store) -> None:
        tree = compiled(folder, store)
        assert list(tree) == ["/bin", "/bin/program"]
        assert tree["/bin/program"].origin == "build:sample"
        assert output(tree) == "first, from program.c\n"

    def test_the_same_source_is_compiled_once(self, folder: Path, store: Store) -> None:
        assert compiled(folder, store) == compiled(folder, store)
        assert [stage for stage, _ in store.made] == ["build"]

    def test_a_changed_source_is_compiled_again(self, folder: Path, store: Store) -> None:
        compiled(folder, store)
        (folder / "src" / "program.c").write_text(PROGRAM.replace("first", "second"))
        assert output(compiled(folder, store)).startswith("second")

    def test_two_builds_in_different_places_are_the_same_bits(
        self, folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = compiled(folder, store)["/bin/program"].sha256
        monkeypatch.setenv("KILN_CACHE", str(tmp_path / "another-place"))
        assert compiled(folder, Store())["/bin/program"].sha256 == first

    def test_what_was_compiled_by_hand_in_the_source_folder_does_not_get_in(self, folder: Path, store: Store) -> None:
        by_hand = PROGRAM.replace("first", "by hand")
        subprocess.run(["gcc", "-x", "c", "-", "-o", folder / "src" / "program"], input=by_hand, text=True, check=True)
        os.utime(folder / "src" / "program.c", (1, 1))  # make would take the program for up to date
        assert output(compiled(folder, store)) == "first, from program.c\n"


class TestMistakes:
    def test_no_makefile_is_named(self, folder: Path, store: Store) -> None:
        (folder / "src" / "Makefile").unlink()
        with pytest.raises(DefinitionError, match=r"^images/sample/src/Makefile: not there"):
            compiled(folder, store)

    def test_a_source_that_does_not_compile_shows_the_words_of_the_compiler(self, folder: Path, store: Store) -> None:
        (folder / "src" / "program.c").write_text("int main(void) { return nothing; }\n")
        with pytest.raises(CompileError, match="images/sample/src: make install failed") as caught:
            compiled(folder, store)
        assert "program.c:1:25: error: 'nothing' undeclared" in caught.value.tail
        assert not list((store.root / "build").glob("*"))

    @pytest.mark.parametrize(
        ("recipe", "said"),
        [
            ("@true", "put nothing into DESTDIR"),
            ("mkdir -p $(DESTDIR)/bin", "put nothing into DESTDIR"),
            ("mkdir -p $(DESTDIR)/bin && touch $(DESTDIR)/bin/a && ln -s $(DESTDIR)/bin/a $(DESTDIR)/bin/b", "/bin/b"),
        ],
    )
    def test_an_install_target_that_does_not_obey_destdir_is_told(
        self, folder: Path, store: Store, recipe: str, said: str
    ) -> None:
        (folder / "src" / "Makefile").write_text(f"install:\n\t{recipe}\n")
        with pytest.raises(CompileError, match=said):
            compiled(folder, store)

    def test_a_machine_without_a_compiler_is_told(
        self, folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(HostError):
            compiled(folder, store)


def test_another_compiler_shows_without_being_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.stamp("gnu") == ()
    (tmp_path / "gcc").write_text("one")
    one = toolchain.stamp("gnu")
    (tmp_path / "gcc").write_text("another")
    assert one != toolchain.stamp("gnu") != ()


@pytest.mark.slow
class TestSysroot:
    """gcc of the host, confined to packages of the real archive."""

    @pytest.fixture
    def sysroot(self, store: Store) -> tuple[Tree, ...]:
        from builder.edges import archive  # noqa: PLC0415
        from builder.edges.apt import Archive  # noqa: PLC0415

        debian = Archive("bookworm")
        found = [p for p in debian.candidates(["libc6-dev"]) if p.section in ("libs", "libdevel")]
        debs = debian.fetch(found, store)
        return tuple(archive.unpacked(package, deb, store) for package, deb in zip(found, debs, strict=True))

    def test_every_file_that_is_linked_is_of_the_sysroot_or_the_compilers_own(
        self, sysroot: tuple[Tree, ...], folder: Path, store: Store
    ) -> None:
        tools = toolchain.gnu(sysroot, store)
        said = subprocess.run(
            [*tools.variables["CC"].split(), "program.c", "-o", "program", "-Wl,--trace"],
            cwd=folder / "src",
            env=toolchain.environment(tools),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        (root,) = tools.maps
        linked = [path for path in said if path.startswith("/") and not path.startswith("/tmp/cc")]
        assert any(path.endswith("crt1.o") for path in linked)
        assert any("libc.so" in path for path in linked)
        assert [path for path in linked if not path.startswith(f"{root}/")] == []

    def test_a_library_of_the_host_is_not_found(
        self, sysroot: tuple[Tree, ...], folder: Path, store: Store, tmp_path: Path
    ) -> None:
        assert "/bin/program" in compiled(folder, store, GNU, sysroot)
        # zlib's header and library are on most machines that build software, never in this sysroot
        for text, options in (("#include <zlib.h>\n" + PROGRAM, ""), (PROGRAM, "-lz")):
            (folder / "src" / "program.c").write_text(text)
            (folder / "src" / "Makefile").write_text(MAKEFILE.replace("$(LDLIBS)", options))
            with pytest.raises(CompileError) as caught:
                compiled(folder, store, GNU, sysroot)
            assert "No such file" in caught.value.tail

    def test_nothing_of_this_machine_can_be_seen_in_the_program(
        self, sysroot: tuple[Tree, ...], folder: Path, store: Store, tmp_path: Path
    ) -> None:
        text = "#include <assert.h>\n" + PROGRAM.replace("puts", "assert(stdin); puts")
        (folder / "src" / "program.c").write_text(text)
        program = Path(compiled(folder, store, GNU, sysroot)["/bin/program"].host).read_bytes()
        assert str(tmp_path).encode() not in program
