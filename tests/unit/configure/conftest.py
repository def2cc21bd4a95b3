"""What the tests of the configuration stage share: the real recipes, needs of real applications, a kernel source."""

import os
from pathlib import Path

import pytest

from builder.compile import source
from builder.configure import recipes, resolve
from builder.configure.kconfig import Tree
from builder.configure.recipes import Rule
from builder.edges.store import Store
from builder.model import KernelSource, Package

REPOSITORY = Path(__file__).parents[3]
RECIPES = REPOSITORY / "recipes"


@pytest.fixture(scope="session")
def rules() -> tuple[Rule, ...]:
    """Kiln's own rules."""
    return recipes.load_rules(RECIPES)


@pytest.fixture(scope="session")
def kernel_source() -> KernelSource:
    """The kernel source of the session's cache; `KILN_KERNEL_SOURCE` names another unpacked and patched tree."""
    if chosen := os.environ.get("KILN_KERNEL_SOURCE"):
        version = source.version_of((Path(chosen) / "Makefile").read_text())
        return KernelSource(chosen, version, Package("linux-source", version, "all", "0" * 64), (), f"tree-{version}")
    return fetched()


def fetched() -> KernelSource:
    """Debian's kernel source of the first image's lock, patched."""
    from builder.inputs import gather, lockfile  # noqa: PLC0415 - only when there is no tree to use

    store = Store()
    locks = [lock for path in sorted(REPOSITORY.glob("images/*/image.lock")) if (lock := lockfile.read_lock(path))]
    package, deb = gather.kernel_package(locks[0], store)
    return source.prepare(package, deb, RECIPES / "patches", store)


@pytest.fixture(scope="session")
def kconfig(kernel_source: KernelSource) -> Tree:
    """The kernel's Kconfig with everything off that can be off, as `make allnoconfig` begins."""
    tree = Tree(resolve.kconfig_environment(kernel_source))
    tree.set_all_off()
    return tree
