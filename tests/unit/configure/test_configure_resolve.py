"""Kconfig has the last word: what it grants, what it refuses, and how Kiln says so. Needs the kernel's source."""

import itertools
import os
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from builder.analyse import arguments
from builder.configure import recipes, resolve
from builder.configure.kconfig import Tree
from builder.configure.recipes import Rule
from builder.configure.request import DISK, NETWORK, matching, request
from builder.edges.store import Store
from builder.errors import ConfigurationError
from builder.model import KernelSource, Need, Option, Reason

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]
RECIPES = REPOSITORY / "recipes"
GOLDEN = REPOSITORY / "tests" / "golden"
PROFILES = recipes.names(RECIPES, "profiles")
PLATFORMS = recipes.names(RECIPES, "platforms")
# A file of the kernel or of Kiln with a line: arch/x86/Kconfig:3
TOPS = "arch|block|builder|crypto|drivers|fs|include|init|io_uring|ipc|kernel|lib|mm|net|recipes|security|sound|virt"
PLACE = re.compile(rf"(?<![\w/.-])((?:{TOPS})(?:/[\w.-]*\w)+)(?::(\d+))?")
# What depends on the compiler and binutils at hand, not on the options asked for.
TOOLCHAIN = re.compile(r"^(CC|GCC|CLANG|LD|LLD|AS|RUSTC|PAHOLE|TOOLS|ARCH_HAS|HAVE|ARCH_USE|USE_X86)(_|\d|$)|COMPILER")


def options_for(
    ids: tuple[str, ...], rules: tuple[Rule, ...], platform: str = "microvm", profile: str = "lean"
) -> tuple[Option, ...]:
    chosen = recipes.load_platform(RECIPES, platform), recipes.load_profile(RECIPES, profile)
    needs = [Need(name, ()) for name in ids]
    return request(needs, rules, *chosen, network=NETWORK in ids, disk=DISK in ids)


def application(name: str) -> tuple[str, ...]:
    return (*(GOLDEN / "needs" / f"{name}.txt").read_text().split(), NETWORK)


def wish(name: str, value: str = "y", recipe: str = "recipes/options/mine.toml") -> Option:
    return Option(name, value, (Reason(recipe, "because"),))


def without(options: tuple[Option, ...], name: str) -> tuple[Option, ...]:
    return tuple(option for option in options if option.name != name)


def resolved(name: str, rules: tuple[Rule, ...], source: KernelSource, folder: Path) -> int:
    """How many options are on for an application, worked out with a store of its own."""
    store = Store(folder / name)
    return resolve.resolve(options_for(application(name), rules), ("read",), source, store).enabled_count


def test_configurations_can_be_resolved_at_once(
    rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))  # the kernel's own tool is not compiled yet
    with ProcessPoolExecutor(2) as pool:
        asked = [pool.submit(resolved, name, rules, kernel_source, tmp_path) for name in ("nginx", "redis")]
        assert all(job.result() > 100 for job in asked)


def test_a_configuration_is_resolved_once_and_explained(
    rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    options = options_for(application("nginx"), rules)
    first = resolve.resolve(options, ("write", "read", "read"), kernel_source, store)
    made = list(store.made)
    assert resolve.resolve(options, ("read", "write"), kernel_source, store) == first
    assert store.made == made
    assert first.syscalls == ("read", "write")
    assert first.enabled_count == first.text.count("=y\n")
    explained = resolve.annotated(first, kernel_source, store)
    for line in first.text.splitlines():
        assert line in explained
    assert "# selected by " in explained
    assert "# default of Kconfig" in explained
    pairs = itertools.pairwise(explained.splitlines())
    unexplained = [line for above, line in pairs if line.startswith("CONFIG_") and not above.startswith("# ")]
    assert not unexplained


@pytest.mark.parametrize("name", ["nginx", "redis"])
def test_the_granted_options_of_real_applications(
    name: str, rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path
) -> None:
    """A change here is a change of every such kernel: look at it, then write the list with KILN_GOLDEN=write."""
    ids = (*application(name), DISK) if name == "redis" else application(name)
    config = resolve.resolve(options_for(ids, rules), (), kernel_source, Store(tmp_path / "store"))
    names = re.findall(r"^CONFIG_(\w+)=y$", config.text, re.MULTILINE)
    listed = "".join(f"{name}\n" for name in sorted(names) if not TOOLCHAIN.search(name))
    path = GOLDEN / "configure" / f"{name}-microvm-lean.granted"
    if os.environ.get("KILN_GOLDEN") == "write":
        path.write_text(listed)
    assert listed == path.read_text()


def test_a_dropped_option_is_an_error_that_names_recipe_and_dependency(
    rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path
) -> None:
    options = (*without(options_for((NETWORK,), rules), "NET_CORE"), wish("SECURITY_LANDLOCK"))
    with pytest.raises(ConfigurationError) as caught:
        resolve.resolve(options, (), kernel_source, Store(tmp_path / "store"))
    assert caught.value.exit_code == 7
    assert caught.value.message == (
        "CONFIG_VIRTIO_NET=y was not granted: unmet dependency: NET_CORE "
        "(asked for by recipes/platforms/microvm.toml); "
        "CONFIG_SECURITY_LANDLOCK=y was not granted: unmet dependency: SECURITY "
        "(asked for by recipes/options/mine.toml)"
    )


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("EPOL", "y", "knows no option CONFIG_EPOL"),
        ("LOG_BUF_SHIFT", "99", "its range is 12 to 25"),
        ("MMU", "n", "Kconfig keeps y|cannot be asked for directly"),
        ("QUOTACTL", "y", "it cannot be asked for directly; it is selected by"),
        ("NLATTR", "n", "it is selected by NET"),
        ("HZ_1000", "y", "the choice was given to HZ_100"),
        ("DEFAULT_HOSTNAME", "unquoted", "Kconfig keeps"),
    ],
)
def test_why_an_option_was_not_granted(
    name: str, value: str, why: str, rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path
) -> None:
    options = tuple(sorted((*without(options_for((NETWORK,), rules), name), wish(name, value)), key=lambda o: o.name))
    with pytest.raises(ConfigurationError, match=why):
        resolve.resolve(options, (), kernel_source, Store(tmp_path / "store"))


def test_an_unknown_option_suggests_near_ones(
    rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"^recipes/options/mine\.toml: Linux .* knows no option") as caught:
        resolve.resolve((*options_for((), rules), wish("EPOL")), (), kernel_source, Store(tmp_path / "store"))
    assert "EPOLL" in caught.value.hint


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("profile", PROFILES)
def test_kconfiglib_and_the_kernels_conf_agree_line_for_line(
    platform: str, profile: str, rules: tuple[Rule, ...], kernel_source: KernelSource, tmp_path: Path, kconfig: Tree
) -> None:
    options = options_for((*application("redis"), DISK), rules, platform, profile)
    config = resolve.resolve(options, (), kernel_source, Store(tmp_path / "store"))
    kconfig.set_values({option.name: option.value for option in options})
    lines = [line for line in config.text.splitlines() if line.startswith("CONFIG_") or line.endswith("is not set")]
    assert list(kconfig.lines()) == lines


def test_every_need_of_every_recipe_gives_a_configuration_that_is_granted(
    rules: tuple[Rule, ...], kconfig: Tree
) -> None:
    """Each need alone, on each platform: a rule may not lean on what another need happens to bring."""
    refused: list[str] = []
    patterns = {pattern.replace("*", "x") for rule in rules if rule.name for pattern in rule.needs}
    for need in sorted(patterns | set(arguments.ids())):
        for platform in PLATFORMS:
            options = options_for((need,), rules, platform)
            kconfig.set_values({option.name: option.value for option in options})
            refused += [f"{need} on {platform}: {o.name}: {kconfig.why_not(o.name, o.value)}"
                        for o in options if kconfig.value(o.name) != o.value]  # fmt: skip
    assert not refused


def test_every_option_of_every_recipe_exists(rules: tuple[Rule, ...], kconfig: Tree) -> None:
    named = {rule.name for rule in rules if rule.name}
    for profile in PROFILES:
        named |= {option.name for option in recipes.load_profile(RECIPES, profile).options}
    assert not [name for name in sorted(named) if not kconfig.knows(name)]


def test_every_place_in_the_source_that_recipes_and_features_name_exists(
    rules: tuple[Rule, ...], kernel_source: KernelSource
) -> None:
    """The file, and as many lines as the number says; a newer Debian kernel may have moved the line itself."""
    sources = {rule.source for rule in rules}
    sources |= {row.source for name in ("constants.tsv", "texts.tsv") for row in arguments.rows(name)}
    sources |= {argument.why for found in arguments.FEATURES.values() for argument in found}
    places = {place for text in sources for place in PLACE.findall(text) if not place[0].startswith("Documentation/")}
    trees = (Path(kernel_source.path), REPOSITORY)
    assert len(places) > 300
    assert not [p for p in sorted(places) if not any(_has(tree / p[0], int(p[1] or 0)) for tree in trees)]


def _has(path: Path, line: int) -> bool:
    return path.exists() and (not line or path.read_text(encoding="utf-8").count("\n") >= line)


def test_every_system_call_with_a_gate_has_a_rule(rules: tuple[Rule, ...], kernel_source: KernelSource) -> None:
    """Calls the kernel may lack (kernel/sys_ni.c) need an option, or are known to cost none."""
    table = Path(kernel_source.path, "arch/x86/entry/syscalls/syscall_64.tbl").read_text()
    entries = re.findall(r"^\d+\s+(?:common|64)\s+(\w+)\s+(?:sys_)(\w+)$", table, re.MULTILINE)
    absent = Path(kernel_source.path, "kernel/sys_ni.c").read_text()
    gated = set(re.findall(r"^COND_SYSCALL\((\w+)\)", absent, re.MULTILINE))
    known = {need for rule in rules for name, entry in entries for need in [f"syscall:{name}"]
             if entry in gated and matching(rule, (need,))}  # fmt: skip
    missing = {f"syscall:{name}" for name, entry in entries if entry in gated} - known - ALWAYS_BUILT
    assert not missing


# Conditional for other architectures only: built with CONFIG_MMU, which x86 always has, or with fs/ itself.
MEMORY = ("mprotect", "mremap", "msync", "mincore", "mlock", "munlock", "mlockall", "munlockall", "remap_file_pages")
ALWAYS_BUILT = {f"syscall:{name}" for name in (*MEMORY, "mlock2", "mseal", "execveat", "copy_file_range")}
