"""The digest of Kiln's own code, so that a result made by older code is never taken for a new one."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent


@cache
def code_digest(*parts: str) -> str:
    """SHA-256 over the named files or folders of `builder/` (`analyse`, `edges/archive.py`), data files included."""
    total = hashlib.sha256()
    for part in parts:
        place = PACKAGE / part
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
