"""The compiler and linker that kernels are built with, and the environment they run in."""

import os
from functools import cache

from builder.edges import process

# The kernel's makefiles probe these; no kernel of Kiln uses them. Naming absent ones keeps `.config` and objects
# independent of what else the host has. The configuration is resolved with the same values.
UNUSED_TOOLS = {"RUSTC": "no-rustc", "BINDGEN": "no-bindgen", "PAHOLE": "no-pahole"}
# What Kbuild would otherwise take from the clock, the user and the host (Documentation/kbuild/reproducible-builds.rst).
REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_VERSION": "1",
    "KBUILD_BUILD_USER": "kiln",
    "KBUILD_BUILD_HOST": "kiln",
}


def environment() -> dict[str, str]:
    """The environment of a kernel build: the search path, and nothing else that is the user's."""
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C", "LANG": "C", **REPRODUCIBLE, **kept}


@cache
def identity() -> str:
    """What compiler and linker say they are, one line each: objects of different ones never meet."""
    said = (process.run([tool, "--version"], timeout_s=30, env=environment()) for tool in ("gcc", "ld"))
    return "\n".join(answer.stdout.decode(errors="replace").partition("\n")[0] for answer in said)
