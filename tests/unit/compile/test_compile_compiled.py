"""Which source files a kernel was built from, read from Kbuild's command files."""

import subprocess
from pathlib import Path

from builder.compile import compiled

COMMAND = """\
savedcmd_lib/sort.o := gcc -I/src/include -c -o lib/sort.o /src/lib/sort.c

source_lib/sort.o := /src/lib/sort.c

deps_lib/sort.o := \\
    $(wildcard include/config/64BIT) \\
  /src/include/linux/sort.h \\
  include/generated/bounds.h \\
  /usr/lib/gcc/x86_64-linux-gnu/12/include/stdarg.h \\

lib/sort.o: $(deps_lib/sort.o)

$(deps_lib/sort.o):
"""


def test_the_source_and_its_headers_are_named_relative_to_the_source_tree() -> None:
    assert compiled.named(COMMAND, "/src") == {"lib/sort.c", "include/linux/sort.h"}


def test_objects_that_are_not_linked_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("sort", "left_over"):
        (tmp_path / f"lib/{name}.o").write_bytes(b"")
        (tmp_path / f"lib/.{name}.o.cmd").write_text(COMMAND.replace("lib/sort", f"lib/{name}"))
    subprocess.run(["ar", "rcTP", "vmlinux.a", "lib/sort.o"], cwd=tmp_path, check=True)
    assert compiled.files(tmp_path, "/src").files == ("include/linux/sort.h", "lib/sort.c")


def test_headers_and_embedded_objects_made_on_the_way_count() -> None:
    assert compiled.is_part("include/generated/bounds.h", ())
    assert compiled.is_part("arch/x86/entry/vdso/vclock_gettime.o", ())
    assert not compiled.is_part("drivers/char/mem.o", ())
