"""Which files of the kernel's source a kernel was built from, as Kbuild's command files tell.

A command file `.<target>.cmd` lists every source and header its target was made from (scripts/basic/fixdep.c).
"""

import re
from collections.abc import Collection
from pathlib import Path

from builder.edges import process
from builder.errors import CompileError

LIST_LIMIT_S = 60.0
# Objects below these folders are built for the build itself, or embedded, and are not members of `vmlinux.a`.
EMBEDDED = ("scripts/", "tools/", "usr/", "arch/x86/entry/vdso/", "arch/x86/realmode/", "arch/x86/boot/")


def files(objects: Path, source: str) -> tuple[str, ...]:
    """The files read to build `vmlinux` in an object tree, sorted, relative to the source tree.

    Objects left over from another configuration are not counted. Raises CompileError when the archive of the linked
    objects cannot be listed.
    """
    done = process.run(["ar", "t", "vmlinux.a"], timeout_s=LIST_LIMIT_S, cwd=objects)
    if done.exit_code:
        raise CompileError("the kernel's objects cannot be listed", tail=process.tail(done.stderr))
    linked = frozenset(done.stdout.decode().split())
    read: set[str] = set()
    for command in objects.rglob(".*.cmd"):
        target = str(command.relative_to(objects).with_name(command.name[1:].removesuffix(".cmd")))
        if is_part(target, linked):
            read |= named(command.read_text(encoding="utf-8", errors="replace"), source)
    return tuple(sorted(read))


def is_part(target: str, linked: Collection[str]) -> bool:
    """Whether a target takes part in the kernel: linked, embedded, or made on the way (headers, linker script)."""
    return target in linked or not target.endswith(".o") or target.startswith(EMBEDDED)


def named(command: str, source: str) -> frozenset[str]:
    """The files of the source tree that the dependencies in one command file name, relative to the source."""
    _, _, dependencies = command.partition("\n")  # the first line is the command itself, which names folders too
    return frozenset(re.findall(rf"{re.escape(source)}/(\S+)", dependencies))
