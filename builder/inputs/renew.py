"""Newer versions of what a lock holds, and the lock that holds them."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from builder.edges.apt import Archive
from builder.edges.apt_policy import Offered
from builder.inputs.lockfile import Lock
from builder.model import Package
from builder.value import Value


class Group(Value, frozen=True):
    """The packages of a lock that are built from one source package: they move together."""

    source: str
    packages: tuple[Package, ...]
    role: str  # application, build, kernel


def groups(lock: Lock) -> tuple[Group, ...]:
    """All packages of a lock by role and source."""
    found: dict[tuple[str, str], list[Package]] = {}
    parts = (("application", lock.packages), ("build", lock.build_packages), ("kernel", (lock.kernel,)))
    for role, packages in parts:
        for package in packages:
            found.setdefault((role, source_of(package)), []).append(package)
    return tuple(Group(source, tuple(packages), role) for (role, source), packages in found.items())


def source_of(package: Package) -> str:
    """The name of the source package."""
    return package.source.partition(" ")[0] or package.name


def offers(locks: Iterable[Lock]) -> Mapping[tuple[str, str], tuple[Offered, ...]]:
    """What the archives have of every package of some locks, by suite and name."""
    wanted: dict[str, set[str]] = {}
    for lock in locks:
        wanted.setdefault(lock.suite, set()).update(p.name for g in groups(lock) for p in g.packages)
    return {
        (suite, name): versions
        for suite, names in wanted.items()
        for name, versions in Archive(suite).offered(sorted(names)).items()
    }


def renewed(lock: Lock, packages: Sequence[Package]) -> Lock:
    """The lock with these packages in the place of those of the same name, wherever they stand."""
    new = {package.name: package for package in packages}
    return replace(
        lock,
        kernel=new.get(lock.kernel.name, lock.kernel),
        packages=tuple(new.get(p.name, p) for p in lock.packages),
        build_packages=tuple(new.get(p.name, p) for p in lock.build_packages),
    )
