"""Kconfig decides: the fragment goes through the kernel's own `conf`, and every option asked for must be granted."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from builder.configure import fragment
from builder.configure.kconfig import Tree
from builder.edges import code, make, process
from builder.edges.store import Store, cache_root
from builder.errors import ConfigurationError
from builder.model import KernelConfig, KernelSource, Option
from builder.value import digest

STAGE = "kconfig"
CONF_LIMIT_S = 300.0
# Kconfig probes these tools and writes what it finds into `.config`. Kiln's kernels use none of them, so they are
# named as absent: the configuration must not depend on what else is installed. The kernel's build needs the same.
UNUSED_TOOLS = {"RUSTC": "no-rustc", "BINDGEN": "no-bindgen", "PAHOLE": "no-pahole"}


def resolve(options: Sequence[Option], syscalls: Sequence[str], source: KernelSource, store: Store) -> KernelConfig:
    """The configuration Kconfig makes of the options, from the store where the same was asked before.

    Raises ConfigurationError when an option is unknown to this kernel, or was not granted: the message names the
    option, the recipe that asked for it, and the dependency that is not met.
    """
    folder = _artifact(options, source, store)
    text = (folder / "config").read_text(encoding="utf-8")
    enabled = sum(value == "y" for value in fragment.values(text).values())
    return KernelConfig(text, _rendered(options, store), tuple(options), tuple(sorted(set(syscalls))), enabled)


def annotated(config: KernelConfig, source: KernelSource, store: Store) -> str:
    """The whole `.config` of a resolved configuration with a reason for every option that is set."""
    folder = _artifact(config.options, source, store)
    origins = msgspec.json.decode((folder / "origins.json").read_bytes(), type=dict[str, str])
    return fragment.annotate(config.text, config.options, origins)


def toolchain_environment() -> dict[str, str]:
    """The environment of the kernel's make: nothing inherited but the search path (and where temporary files go)."""
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "LANG": "C", **kept}


def _artifact(options: Sequence[Option], source: KernelSource, store: Store) -> Path:
    asked = [(option.name, option.value) for option in options]
    versions = code.code_digest("configure/resolve.py", "configure/kconfig.py")
    key = digest([versions, source.key, _toolchain(), asked])
    return store.make(STAGE, key, lambda folder: _fill(folder, options, source, store))


def _rendered(options: Sequence[Option], store: Store) -> str:
    """The fragment with its reasons, kept in the store so that an unchanged build need not load a template engine."""
    key = digest([fragment.TEMPLATE.read_text(encoding="utf-8"), code.code_digest("configure/fragment.py"), options])
    kept = store.make("fragment", key, lambda folder: _write(folder / "fragment", fragment.render(options)))
    return (kept / "fragment").read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _fill(folder: Path, options: Sequence[Option], source: KernelSource, store: Store) -> None:
    asked, config = folder / "asked", folder / "config"
    _write(asked, "".join(f"{fragment.setting(option)}\n" for option in options))
    with store.locked(f"conf-{source.key}"):
        _conf(asked, config, source)
    granted = fragment.values(config.read_text(encoding="utf-8"))
    dropped = [option for option in options if granted.get(option.name, "n") != option.value]
    tree = Tree(kconfig_environment(source), config)
    if dropped:
        raise _refusal(dropped, tree, source)
    (folder / "origins.json").write_bytes(msgspec.json.encode(tree.origins()))


def _conf(asked: Path, config: Path, source: KernelSource) -> None:
    """Let the kernel's `conf` write `config`; the scratch folder keeps the compiled `conf` for the next time. Builds of
    other images may want it at the same moment: make is no friend of a second one in its folder."""
    scratch = cache_root() / STAGE / source.key
    scratch.mkdir(parents=True, exist_ok=True)
    tools = [f"{name}={value}" for name, value in UNUSED_TOOLS.items()]
    argv = ["make", "-s", "-C", source.path, f"O={scratch}", *tools, "allnoconfig"]
    environment = {**toolchain_environment(), "KCONFIG_ALLCONFIG": str(asked), "KCONFIG_CONFIG": str(config)}
    log = scratch / "kiln.log"
    with make.held(scratch.with_name(f"{source.key}.lock")):
        done = process.run(argv, timeout_s=CONF_LIMIT_S, env=environment, log=log)
    if done.exit_code:
        raise ConfigurationError(
            f"the kernel's conf failed with exit code {done.exit_code}",
            "run ./invoke doctor to see whether the host tools are in place",
            log=str(log),
            tail=process.tail(log.read_bytes()),
        )


def _refusal(dropped: Sequence[Option], tree: Tree, source: KernelSource) -> ConfigurationError:
    unknown = [option for option in dropped if not tree.knows(option.name)]
    if unknown:
        option = unknown[0]
        near = tree.near(option.name)
        return ConfigurationError(
            f"{fragment.asked_by(option.reasons)}: Linux {source.version} knows no option CONFIG_{option.name}",
            f"did you mean {' or '.join(near)}?" if near else "correct the option's name in the recipe",
        )
    lines = [
        f"CONFIG_{option.name}={option.value} was not granted: {tree.why_not(option.name, option.value)} "
        f"(asked for by {fragment.asked_by(option.reasons)})"
        for option in dropped
    ]
    return ConfigurationError("; ".join(lines), "enable what it depends on in a recipe, or do not ask for the option")


@cache
def _toolchain() -> tuple[str, ...]:
    """First lines of what compiler and linker say about themselves: Kconfig's answers depend on them."""
    said = (process.run([tool, "--version"], timeout_s=30, env=toolchain_environment()) for tool in ("gcc", "ld"))
    return tuple(answer.stdout.decode(errors="replace").partition("\n")[0] for answer in said)


def kconfig_environment(source: KernelSource) -> dict[str, str]:
    """What the kernel's Makefile exports for Kconfig (x86)."""
    return {
        **toolchain_environment(),
        **UNUSED_TOOLS,
        "srctree": source.path,
        "ARCH": "x86",
        "SRCARCH": "x86",
        "KERNELVERSION": source.version,
        "CC": "gcc",
        "HOSTCC": "gcc",
        "HOSTCXX": "g++",
        "LD": "ld",
        "NM": "nm",
        "OBJCOPY": "objcopy",
        "CLANG_FLAGS": "",
        "CC_VERSION_TEXT": _toolchain()[0],
        "RUSTC_VERSION_TEXT": "",
    }
