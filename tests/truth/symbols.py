"""The function that an address lies in, by an ELF file's own symbol tables."""

import bisect
from functools import cache
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


@cache
def _functions(path: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    found: dict[int, str] = {}
    try:
        with path.open("rb") as stream:
            file = ELFFile(stream)
            for name in (".dynsym", ".symtab"):
                section = file.get_section_by_name(name)
                for symbol in section.iter_symbols() if isinstance(section, SymbolTableSection) else ():
                    if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_value"]:
                        found[symbol["st_value"]] = symbol.name
    except (ELFError, OSError):
        return (), ()
    starts = tuple(sorted(found))
    return starts, tuple(found[start] for start in starts)


def function_at(path: Path, address: int) -> str:
    """`name+0x12` of the nearest function symbol before the address, or `?`."""
    starts, names = _functions(path)
    at = bisect.bisect_right(starts, address) - 1
    return f"{names[at]}+{address - starts[at]:#x}" if at >= 0 else "?"
