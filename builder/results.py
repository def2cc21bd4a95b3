"""What a build leaves in `dist/<app>/`, and reading it back; the lock of a good build."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from builder import agents, preview
from builder.analyse import implied
from builder.analysis_documents import AgentCost
from builder.boot.command import script
from builder.configure import resolve as kconfig
from builder.documents import ImageFiles, ImageNeeds, ImageOptions, PlacedFile, Report, StageRecord
from builder.edges import promotion
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.inputs import lockfile
from builder.ledger import Ledger
from builder.package import FORMATS
from builder.pipeline import Built, Place
from builder.value import digest

Document = TypeVar("Document", Report, ImageNeeds, ImageOptions, ImageFiles)
NAMES: Mapping[type, str] = {
    Report: "image.json",
    ImageNeeds: "needs.json",
    ImageOptions: "options.json",
    ImageFiles: "files.json",
}


def load(place: Place, app: str, kind: type[Document]) -> Document:
    """One document of a built image. Raises DefinitionError when the image was not built, or by an older Kiln."""
    path = place.dist / app / promotion.CURRENT / NAMES[kind]
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


def agent_cost(built: Built, store: Store) -> AgentCost:
    """What a finished build has for its agent alone."""
    own = {p: e for p, e in dict(built.layers)["agent"].items() if e.origin != "kiln"}
    others = implied.merge(built.needs.needs, implied.by_definition(built.definition))
    metrics = built.verdict.metrics if built.verdict else {}
    return agents.cost(built.chosen, own, others, built.agent_needs, built.config.options, store, metrics)


def report(built: Built, records: Sequence[StageRecord], cost: AgentCost) -> Report:
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
        dhcp=image.dhcp,
        agent_port=image.agent_port,
        disk_mib=image.disk_mib,
        secrets=image.secrets,
        watchdog=image.watchdog,
        agent_pages=image.agent_pages,
        agent_cost=cost,
        verdict=built.verdict,
    )


def save(built: Built, ledger: Ledger, place: Place, store: Store) -> tuple[Report, Path]:
    """Write the image as a version below `dist/<app>/` and make it the current one, or, when its smoke test failed, to
    `dist/<app>.failed/`: the last good image stays. Returns the report and the folder to look into."""
    document = report(built, ledger.records, agent_cost(built, store))
    contents: dict[str, bytes | Path] = {
        "kernel": Path(built.kernel.vmlinux),
        "rootfs.cpio": Path(built.image.rootfs),
        "image.json": _json(document),
        "needs.json": _json(ImageNeeds(built.needs, built.agent_needs, implied.by_definition(built.definition))),
        "options.json": _json(ImageOptions(built.config.options, built.config.syscalls)),
        "files.json": _json(ImageFiles(_placed(built))),
        "kernel.config": kconfig.annotated(built.config, built.source, store).encode(),
        "image.lock": lockfile.encode(lock_of(built, place, store)),
        "run.sh": script(built.image, built.platform).encode(),
    }
    if built.verdict is not None:
        contents["verdict.json"] = _json(built.verdict)
        contents["serial.log"] = Path(built.verdict.serial_log)
    if built.verdict is not None and not built.verdict.passed:
        folder = place.dist / f"{built.image.name}.failed"
        FORMATS["raw"].write(folder, contents)
        return document, folder
    folder = place.dist / built.image.name
    version = _version(built)
    FORMATS["raw"].write(promotion.place(folder, version), contents)
    promotion.promote(folder, version)
    return document, folder


def _version(built: Built) -> str:
    """What tells this image from others: the same image built again is the same version."""
    parts = [built.kernel.sha256, [layer.sha256 for layer in built.image.layers], built.platform, built.definition]
    return digest(parts)[:16]


def lock_of(built: Built, place: Place, store: Store) -> lockfile.Lock:
    """The lock of a good build: its packages, and digests of all else that went in and of what came out."""
    seen = preview.of(built, place, store)
    return msgspec.structs.replace(built.lock, made=preview.made(seen), image=preview.image(seen))


def save_lock(built: Built, place: Place, store: Store) -> None:
    """Write the inputs of this good build to `image.lock` when its packages are not those it tells of, or when the same
    compilers made another image of them. (A build elsewhere, with other compilers, leaves it alone, and so does a
    change of Kiln's own code that changes no image: `invoke rebuild` and `invoke lock --update` record these.)"""
    path = place.images / built.image.name / "image.lock"
    there, now = lockfile.read_lock(path), lock_of(built, place, store)
    if (
        there is None
        or there.inputs() != now.inputs()
        or (_compilers(there) == _compilers(now) and there.image != now.image)
    ):
        lockfile.write_lock(path, now)


def _compilers(lock: lockfile.Lock) -> list[str]:
    return [lock.made.get(name, "") for name in preview.COMPILERS]


def _placed(built: Built) -> tuple[PlacedFile, ...]:
    return tuple(
        PlacedFile(file.path, file.kind, name, file.origin, file.size_bytes, file.sha256)
        for name, tree in built.layers
        for file in tree.values()
    )


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
