"""What a build leaves in `dist/<app>/`, and reading it back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from builder.analyse import implied
from builder.boot.command import script
from builder.configure import resolve as kconfig
from builder.documents import ImageFiles, ImageNeeds, ImageOptions, PlacedFile, Report, StageRecord
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.inputs import lockfile
from builder.ledger import Ledger
from builder.package import FORMATS
from builder.pipeline import Built, Place

Document = TypeVar("Document", Report, ImageNeeds, ImageOptions, ImageFiles)
NAMES: Mapping[type, str] = {
    Report: "image.json",
    ImageNeeds: "needs.json",
    ImageOptions: "options.json",
    ImageFiles: "files.json",
}


def load(place: Place, app: str, kind: type[Document]) -> Document:
    """One document of a built image. Raises DefinitionError when the image was not built, or by an older Kiln."""
    path = place.dist / app / NAMES[kind]
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DefinitionError(f"{app} is not built yet", f"build it: ./invoke build --app {app}") from error
    except msgspec.DecodeError as error:
        raise DefinitionError(f"{path}: {error}", f"build it again: ./invoke build --app {app}") from error


def last_records(place: Place, app: str) -> tuple[StageRecord, ...]:
    """The stage records of the last build, for `--dry-run`; none when there is no readable one."""
    try:
        return load(place, app, Report).stages
    except DefinitionError:
        return ()


def report(built: Built, records: Sequence[StageRecord]) -> Report:
    """`image.json` of a finished build."""
    image, kernel = built.image, built.kernel
    return Report(
        name=image.name,
        platform=built.platform.name,
        profile=built.profile.name,
        packages=(*built.lock.packages, *built.lock.build_packages, built.lock.kernel),
        kernel_version=built.source.version,
        kernel=kernel,
        layers=image.layers,
        rootfs_bytes=Path(image.rootfs).stat().st_size,
        options=built.config.enabled_count,
        options_requested=len(built.config.options),
        syscalls_kept=len(built.config.syscalls),
        syscalls_total=kernel.syscalls_total,
        memory_mib=image.memory_mib,
        stages=tuple(records),
        ports=image.ports,
        agent_port=image.agent_port,
        disk_mib=image.disk_mib,
        verdict=built.verdict,
    )


def save(built: Built, ledger: Ledger, place: Place, store: Store) -> tuple[Report, Path]:
    """Write the image to `dist/<app>/`, or, when its smoke test failed, to `dist/<app>.failed/`: the last good image
    stays. Returns the report and the folder."""
    document = report(built, ledger.records)
    passed = built.verdict is None or built.verdict.passed
    folder = place.dist / (built.image.name if passed else f"{built.image.name}.failed")
    contents: dict[str, bytes | Path] = {
        "kernel": Path(built.kernel.vmlinux),
        "rootfs.cpio": Path(built.image.rootfs),
        "image.json": _json(document),
        "needs.json": _json(ImageNeeds(built.needs, built.agent_needs, implied.by_definition(built.definition))),
        "options.json": _json(ImageOptions(built.config.options, built.config.syscalls)),
        "files.json": _json(ImageFiles(_placed(built))),
        "kernel.config": kconfig.annotated(built.config, built.source, store).encode(),
        "run.sh": script(built.image, built.platform).encode(),
    }
    if built.verdict is not None:
        contents["verdict.json"] = _json(built.verdict)
        contents["serial.log"] = Path(built.verdict.serial_log)
    FORMATS["raw"].write(folder, contents)
    return document, folder


def save_lock(built: Built, place: Place) -> None:
    """Write the inputs of this good build to `image.lock` when they differ from what is there."""
    path = place.images / built.image.name / "image.lock"
    if lockfile.read_lock(path) != built.lock:
        lockfile.write_lock(path, built.lock)


def _placed(built: Built) -> tuple[PlacedFile, ...]:
    return tuple(
        PlacedFile(file.path, file.kind, name, file.origin, file.size_bytes, file.sha256)
        for name, tree in built.layers
        for file in tree.values()
    )


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
