"""Which files of the kernel's source a kernel was built from, as Kbuild's command files tell.

A command file `.<target>.cmd` lists every source and header its target was made from (scripts/basic/fixdep.c).
"""

import posixpath
import re
from collections.abc import Collection
from pathlib import Path

from builder.edges import process
from builder.errors import CompileError
from builder.value import Value

LIST_LIMIT_S = 60.0
# Objects below these folders are built for the build itself, or embedded, and are members of no archive that is linked.
EMBEDDED = ("scripts/", "tools/", "usr/", "arch/x86/entry/vdso/", "arch/x86/realmode/", "arch/x86/boot/")
# What scripts/link-vmlinux.sh links besides the archives `vmlinux.a` and `lib.a` (KBUILD_VMLINUX_LIBS).
ALONE = ("init/version-timestamp.o", ".vmlinux.export.o")


class Read(Value, frozen=True):
    """Files of the source tree that a build read, sorted, relative to it. `apart` are those C files among them whose
    code is not told by the kernel's symbols: of tools, embedded programs (the vDSO), and of files made on the way."""

    files: tuple[str, ...]
    apart: tuple[str, ...]


def files(objects: Path, source: str) -> Read:
    """The files read to build `vmlinux` in an object tree.

    Objects left over from another configuration are not counted. Raises CompileError when the archives of the linked
    objects cannot be listed.
    """
    archives = ["vmlinux.a", *sorted(str(path.relative_to(objects)) for path in objects.rglob("lib.a"))]
    linked = frozenset(ALONE).union(*(_members(objects, archive) for archive in archives))
    read: set[str] = set()
    apart: set[str] = set()
    for command in objects.rglob(".*.cmd"):
        target = str(command.relative_to(objects).with_name(command.name[1:].removesuffix(".cmd")))
        if is_part(target, linked):
            found = named(command.read_text(encoding="utf-8", errors="replace"), source)
            read |= found
            if target not in linked:
                apart |= {name for name in found if name.endswith(".c")}
    return Read(tuple(sorted(read)), tuple(sorted(apart)))


def _members(objects: Path, archive: str) -> list[str]:
    done = process.run(["ar", "t", archive], timeout_s=LIST_LIMIT_S, cwd=objects)
    if done.exit_code:
        raise CompileError(f"the kernel's objects in {archive} cannot be listed", tail=process.tail(done.stderr))
    return done.stdout.decode().split()


def is_part(target: str, linked: Collection[str]) -> bool:
    """Whether a target takes part in the kernel: linked, embedded, or made on the way (headers, linker script)."""
    return target in linked or not target.endswith(".o") or target.startswith(EMBEDDED)


def named(command: str, source: str) -> frozenset[str]:
    """The files of the source tree that the dependencies in one command file name, relative to the source."""
    _, _, dependencies = command.partition("\n")  # the first line is the command itself, which names folders too
    found = re.findall(rf"{re.escape(source)}/(\S+)", dependencies)
    return frozenset(posixpath.normpath(name) for name in found)  # one file includes another as ../../../lib/…
