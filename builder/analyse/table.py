"""The numbers and names of system calls, by architecture."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path


@cache
def names(machine: str = "x86_64") -> Mapping[int, str]:
    """Names of all system calls of an architecture (`x86_64`, `aarch64`) by number.

    Linux 6.12: arch/x86/entry/syscalls/syscall_64.tbl; scripts/syscall.tbl for AArch64.
    """
    rows = (Path(__file__).parent / f"syscalls_{machine}.tsv").read_text().splitlines()
    return {int(number): name for number, name in (row.split("\t") for row in rows if not row.startswith("#"))}
