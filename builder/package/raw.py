"""The plain format: a folder with kernel, root file system, documents and `run.sh`, swapped in whole."""

from collections.abc import Mapping
from pathlib import Path

from builder.edges import folders


def write(folder: Path, contents: Mapping[str, bytes | Path]) -> None:
    """Make `folder` hold exactly `contents`; names ending in `.sh` are executable. Skipped when it already does."""
    if not folders.holds(folder, contents):
        folders.swap_in(folder, contents, executable={name for name in contents if name.endswith(".sh")})
