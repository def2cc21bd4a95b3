"""From an image's source folder to its inputs: what decides about the key, what is compiled, what stays behind."""

import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from builder.definition import BuildSource, Definition, Run
from builder.edges.store import Store
from builder.errors import CompileError
from builder.inputs.gather import Gathered, gather
from builder.inputs.lockfile import Lock
from builder.model import Package

KERNEL = Package("linux-source-6.12", "6.12.1-1", "all", "ab" * 32)  # the lock names it; nobody asks for it here
LOCK = Lock("bookworm", KERNEL)
HELLO = Definition(BuildSource(toolchain="musl"), Run(("/bin/hello",)), name="hello")
PROGRAM = """\
#include <stdio.h>
int main(void)
{
	printf("built from %s\\n", __FILE__);
	return 7;
}
"""
MAKEFILE = """\
install: hello
	install -D -m 755 hello $(DESTDIR)/bin/hello
	install -D -m 644 hello.c $(DESTDIR)/usr/share/hello/hello.c
	ln -s hello $(DESTDIR)/bin/greet
hello: hello.c
	$(CC) -Wall -Werror $(CFLAGS) $(LDFLAGS) -o $@ $(CURDIR)/hello.c
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return written(tmp_path / "images" / "hello")


def written(folder: Path) -> Path:
    """An image's folder with the source of a small program."""
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "hello.c").write_text(PROGRAM)
    (folder / "src" / "Makefile").write_text(MAKEFILE)
    return folder


def gathered(folder: Path, store: Store, definition: Definition = HELLO) -> Gathered:
    return gather(definition, folder, LOCK, store, lambda tree: ())


def test_a_static_program_runs_anywhere(image: Path, tmp_path: Path) -> None:
    program = gathered(image, Store(tmp_path / "store")).available["/bin/hello"]
    done = subprocess.run([program.host], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "built from ./hello.c\n")
    described = subprocess.run(["readelf", "-lW", program.host], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in described
    assert "DYNAMIC" not in described


def test_everything_that_was_installed_is_there_as_it_was_installed(image: Path, tmp_path: Path) -> None:
    found = gathered(image, Store(tmp_path / "store")).available
    assert {path for path, entry in found.items() if entry.kind == "file"} == {"/bin/hello", "/usr/share/hello/hello.c"}
    assert (found["/bin/greet"].kind, found["/bin/greet"].target) == ("symlink", "hello")
    assert found["/usr/share/hello/hello.c"].mode == 0o644


def test_another_checkout_with_another_cache_has_the_same_inputs(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gathered(image, Store(tmp_path / "store"))
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "a" / "cache" / "somewhere" / "else"))
    other = written(tmp_path / "another-checkout" / "images" / "hello")
    second = gathered(other, Store(tmp_path / "other-store"))
    assert first.available["/bin/hello"].host != second.available["/bin/hello"].host
    assert first.available["/bin/hello"].sha256 == second.available["/bin/hello"].sha256
    assert first.key == second.key


def test_a_file_that_was_only_touched_makes_nothing(image: Path, tmp_path: Path) -> None:
    gathered(image, Store(tmp_path / "store"))
    again = Store(tmp_path / "store")
    (image / "src" / "hello.c").touch()
    gathered(image, again)
    assert again.made == []


@pytest.mark.parametrize("name", ["hello.c", "Makefile", "new.h"])
def test_a_change_of_any_source_file_compiles_it_anew(image: Path, tmp_path: Path, name: str) -> None:
    first = gathered(image, Store(tmp_path / "store"))
    with (image / "src" / name).open("a") as stream:
        stream.write("\n")
    again = Store(tmp_path / "store")
    assert gathered(image, again).key != first.key
    assert "build" in [stage for stage, _ in again.made]


def test_the_source_folder_stays_as_it_is(image: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in image.rglob("*"))
    gathered(image, Store(tmp_path / "store"))
    assert sorted(path.name for path in image.rglob("*")) == before


def test_the_sources_may_be_in_another_folder(image: Path, tmp_path: Path) -> None:
    (image / "src").rename(image / "code")
    definition = replace(HELLO, source=BuildSource("code", toolchain="musl"))
    assert "/bin/hello" in gathered(image, Store(tmp_path / "store"), definition).available


def test_a_mistake_in_the_source_leaves_nothing_and_is_shown_without_folders_of_this_machine(
    image: Path, tmp_path: Path
) -> None:
    (image / "src" / "hello.c").write_text(PROGRAM.replace("return 7;", "return seven;"))
    store = Store(tmp_path / "store")
    with pytest.raises(CompileError, match="images/hello/src: make install failed") as caught:
        gathered(image, store)
    assert "hello.c:5:" in caught.value.tail
    assert "'seven' undeclared" in caught.value.tail
    assert str(tmp_path) not in caught.value.tail
    assert store.made == []
    assert list((tmp_path / "cache" / "scratch").iterdir()) == []


def test_after_the_mistake_is_mended_the_build_goes_on(image: Path, tmp_path: Path) -> None:
    (image / "src" / "Makefile").write_text("install:\n\tfalse\n")
    with pytest.raises(CompileError):
        gathered(image, Store(tmp_path / "store"))
    (image / "src" / "Makefile").write_text(MAKEFILE)
    assert "/bin/hello" in gathered(image, Store(tmp_path / "store")).available


def test_a_makefile_without_an_install_target_says_so(image: Path, tmp_path: Path) -> None:
    (image / "src" / "Makefile").write_text("all:\n\ttrue\n")
    with pytest.raises(CompileError) as caught:
        gathered(image, Store(tmp_path / "store"))
    assert "install" in caught.value.tail


@pytest.mark.parametrize("recipe", ["@true", "mkdir -p $(DESTDIR)/bin"])
def test_a_makefile_that_installs_no_file_says_how_to_mend_it(image: Path, tmp_path: Path, recipe: str) -> None:
    (image / "src" / "Makefile").write_text(f"install:\n\t{recipe}\n")
    with pytest.raises(CompileError, match="put nothing into DESTDIR") as caught:
        gathered(image, Store(tmp_path / "store"))
    assert "$(DESTDIR)" in caught.value.hint


def test_a_link_to_the_place_of_the_build_is_refused(image: Path, tmp_path: Path) -> None:
    (image / "src" / "Makefile").write_text(MAKEFILE.replace("ln -s hello", "ln -s $(DESTDIR)/bin/hello"))
    with pytest.raises(CompileError, match="the link /bin/greet has DESTDIR in its text"):
        gathered(image, Store(tmp_path / "store"))
