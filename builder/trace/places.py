"""From a place in a file to the address that the ELF file itself gives it (pure but for reading that file).

The kernel maps segments by pages (ELF specification, "Program Loading"): what is mapped at a file offset has the
address of the loadable segment that holds the offset, load bias taken off.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from builder import paths
from builder.model import Tree
from builder.trace.recorded import Place, Recorded
from builder.traced import Spot
from builder.value import Value

PAGE = 4096
PF_X = 1


class Segment(Value, frozen=True):
    """A loadable segment: where it lies in the file, and where in memory, in bytes."""

    offset: int
    size: int
    address: int
    executable: bool


def segments(file: Path) -> tuple[Segment, ...]:
    """The loadable segments of an ELF file, none for another file."""
    from elftools.common.exceptions import ELFError  # noqa: PLC0415 - slow to import
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    with file.open("rb") as stream:
        try:
            headers = [s.header for s in ELFFile(stream).iter_segments() if s.header.p_type == "PT_LOAD"]
        except ELFError:
            return ()
    return tuple(Segment(h.p_offset, h.p_filesz, h.p_vaddr, bool(h.p_flags & PF_X)) for h in headers)


def address(offset: int, found: Iterable[Segment]) -> int:
    """The address of a file offset; the offset itself where no segment holds it (as in files that are no ELF files).

    Where two segments share a page, the one that holds the offset itself is meant, an executable one first.
    """
    near = [s for s in found if s.offset // PAGE * PAGE <= offset < -(-(s.offset + s.size) // PAGE) * PAGE]
    exact = [s for s in near if s.offset <= offset < s.offset + s.size]
    best = sorted(exact or near, key=lambda segment: not segment.executable)
    return best[0].address + offset - best[0].offset if best else offset


class Atlas:
    """The files of one boot: their digests, and places in them as spots."""

    def __init__(self, recorded: Recorded, tree: Tree) -> None:
        self._paths = recorded.files
        used = {place.file for place in recorded.places()} - {-1}
        entries = {number: paths.find(tree, recorded.files[number]) for number in used | recorded.executable}
        self._segments = {n: segments(Path(e.host)) for n, e in entries.items() if e is not None}
        self.digests: Mapping[str, str] = {
            recorded.files[n]: e.sha256 for n, e in entries.items() if e is not None and self._segments[n]
        }

    def spot(self, place: Place) -> Spot:
        """A place as the ELF file numbers it; in a file that the image did not bring, the file offset."""
        if place.file < 0:
            return Spot("", 0)
        return Spot(self._paths[place.file], address(place.offset, self._segments.get(place.file, ())))

    def path(self, number: int) -> str:
        """A file's path by its number; empty for none."""
        return self._paths.get(number, "")
