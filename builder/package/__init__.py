"""Formats an image can be written in: one module each, one line in `FORMATS`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from builder.package import raw


class Format(Protocol):
    """A module that writes a finished image."""

    def write(self, folder: Path, contents: Mapping[str, bytes | Path]) -> None:
        """Write `contents` (name → bytes, or a file to copy) as `folder`, whole or not at all."""


FORMATS: Mapping[str, Format] = {"raw": raw}
