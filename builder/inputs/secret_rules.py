"""What a definition may not say about secrets although it is well-formed: it could not work, or would leak (pure)."""

import posixpath
from collections.abc import Iterator

from builder.definition import BuildSource, Definition, Secret
from builder.definition_words import SECRETS
from builder.paths import normalise

Problems = Iterator[tuple[str, str]]
KERNELS = ("/proc", "/dev", "/sys", "/etc/kiln")


def problems(found: Definition) -> Problems:
    """Key path and words, as `definition_rules.problems`."""
    if not found.secret:
        return
    for number, secret in enumerate(found.secret):
        key = f"secret[{number}]"
        yield from _twice(key, secret, found.secret[:number])
        yield from _path(f"{key}.path", secret, found)
        yield from _test_file(f"{key}.test_file", secret.test_file, found)
    for key, path in _mounts(found):
        if path == SECRETS or path.startswith(f"{SECRETS}/"):
            yield key, f"{SECRETS} is where the agent puts the secrets"
    if "core dump" in found.needs.features:
        yield "needs.features", "core dump: the application's memory, secrets and all, would be written to a file"


def _twice(key: str, secret: Secret, earlier: tuple[Secret, ...]) -> Problems:
    for number, other in enumerate(earlier):
        if other.name == secret.name:
            yield f"{key}.name", f"{secret.name} is there twice, see secret[{number}]"
        elif other.place == secret.place or (other.path or other.place) == (secret.path or secret.place):
            yield f"{key}.path", f"{secret.path or secret.place} is that of secret[{number}]"


def _path(key: str, secret: Secret, found: Definition) -> Problems:
    path = secret.path
    if path is None:
        return
    if path != normalise(path) or any(character.isspace() for character in path):
        yield key, f"{path!r} is not a plain path: no blanks, no . and .., no / at the end"
    if path == SECRETS or (path.startswith(f"{SECRETS}/") and posixpath.dirname(path) != SECRETS):
        yield key, f"a file right in {SECRETS}, or one elsewhere"
    if any(path == place or path.startswith(f"{place}/") for place in ("/", *KERNELS)):
        yield key, f"nothing may be put at {path}"
    for other, mount in _mounts(found):
        if path == mount or path.startswith(f"{mount}/"):
            yield key, f"{path} would be hidden: {other} is mounted over it"


def _test_file(key: str, file: str, found: Definition) -> Problems:
    if not file:
        return
    path = posixpath.normpath(file)
    if path.startswith(("/", "..")) or path == "." or not path.isprintable():
        yield key, f"{file!r} is not a file beside image.toml"
    source = found.source
    inside = {"files": "files/ is laid over the image"}
    if isinstance(source, BuildSource):
        inside[posixpath.normpath(source.directory)] = "source.directory is what the image is built from"
    for folder, why in inside.items():
        if path.startswith(f"{folder}/") or folder == ".":
            yield key, f"{file}: {why}; a secret must not be there"


def _mounts(found: Definition) -> Iterator[tuple[str, str]]:
    yield from ((f"files.tmpfs[{n}].path", normalise(tmpfs.path)) for n, tmpfs in enumerate(found.files.tmpfs))
    if found.disk:
        yield "disk.mount", normalise(found.disk.mount)
