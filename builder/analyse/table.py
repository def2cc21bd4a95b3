"""The numbers and names of x86-64 system calls."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path


@cache
def names() -> Mapping[int, str]:
    """Names of all x86-64 system calls by number (Linux 6.12, arch/x86/entry/syscalls/syscall_64.tbl)."""
    rows = (Path(__file__).parent / "syscalls_x86_64.tsv").read_text().splitlines()
    return {int(number): name for number, name in (row.split("\t") for row in rows if not row.startswith("#"))}
