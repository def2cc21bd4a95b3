"""What every file of the image is, baked in as `/etc/kiln/digests` for the agent to compare with while it runs.

Pure. Read by `recipes/agents/kiln/digests.c`: SHA-256, size and path per line.
"""

from collections.abc import Collection, Iterator

from builder.model import File, Tree
from builder.paths import DIGESTS


def render(tree: Tree, *, writers: Collection[int], hidden: Collection[str]) -> str:
    """The list of all regular files, sorted by path, but for those that may change: a user in `writers` owns them and
    may write, or a file system is mounted over a directory in `hidden` that they lie in."""
    return "".join(f"{line}\n" for line in _lines(tree, writers, hidden))


def _lines(tree: Tree, writers: Collection[int], hidden: Collection[str]) -> Iterator[str]:
    for path in sorted(tree):
        entry = tree[path]
        if entry.kind != "file" or path == DIGESTS or _may_change(entry, writers, hidden):
            continue
        escaped = path.replace("\\", "\\\\").replace("\n", "\\n")
        yield f"{entry.sha256} {entry.size_bytes} {escaped}"


def _may_change(entry: File, writers: Collection[int], hidden: Collection[str]) -> bool:
    is_writable = entry.mode & 0o002 or (entry.uid in writers and entry.mode & 0o200)
    return bool(is_writable) or any(entry.path.startswith(f"{folder}/") for folder in hidden)
