"""The smoke verdict of an image, taken from the store when the same image already passed the same checks."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from builder.boot.smoke import smoke
from builder.definition import Definition
from builder.edges.code import code_digest
from builder.edges.store import Store, WouldMake, cache_root, digest_file
from builder.model import Accelerator, Image, Platform, Verdict
from builder.value import digest

VERDICT, SERIAL_LOG = "verdict.json", "serial.log"


def verdict(
    definition: Definition,
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    store: Store,
    *,
    syscall_names: Mapping[int, str],
    forced: bool = False,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """The verdict for this kernel, root file system, machine and these checks; only a pass is remembered.

    `forced` boots in any case; `secrets` maps the image's secrets to files with values for tests. The evidence (serial
    log, QEMU's log) lies beside `Verdict.serial_log`.
    """
    values = {name: digest_file(Path(file)) for name, file in secrets.items()}
    key = _key(definition, image, platform, accelerator, values)
    if not forced and (found := store.find("verdict", key)):
        return _load(found)
    if store.dry:
        raise WouldMake("verdict", key)
    with store.locked(f"smoke-{key}"):
        if not forced and (found := store.find("verdict", key)):
            return _load(found)
        scratch = cache_root() / "smoke" / f"{image.name}-{key[:16]}"
        scratch.mkdir(parents=True, exist_ok=True)
        result = smoke(
            definition, image, platform, accelerator, scratch=scratch, syscall_names=syscall_names, secrets=secrets
        )
        if result.passed:
            store.make("verdict", key, lambda folder: _save(result, folder))
    return result


def _key(
    definition: Definition, image: Image, platform: Platform, accelerator: Accelerator, secrets: Mapping[str, str]
) -> str:
    return digest(
        {
            "kernel": image.kernel_sha256,
            "layers": [layer.sha256 for layer in image.layers],
            "machine": (platform, accelerator.name, image.memory_mib, image.disk_mib, image.ports, image.agent_port),
            "pages": image.agent_pages,
            "run": (definition.smoke, definition.run, definition.disk),
            "secrets": (image.secrets, secrets),
            "code": code_digest("boot", "edges", "model.py"),
        }
    )


def _load(folder: Path) -> Verdict:
    known = msgspec.json.decode((folder / VERDICT).read_bytes(), type=Verdict)
    return msgspec.structs.replace(known, serial_log=str(folder / SERIAL_LOG))


def _save(result: Verdict, folder: Path) -> None:
    (folder / VERDICT).write_bytes(msgspec.json.encode(result))
    (folder / SERIAL_LOG).write_bytes(Path(result.serial_log).read_bytes())
