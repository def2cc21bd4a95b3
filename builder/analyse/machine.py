"""What differs between the architectures a closure can be of, as one frozen value each.

Sources: the System V ABI's processor supplements (machine numbers), glibc's sysdeps/<machine>/dl-procinfo.h,
dl-hwcaps_subdirs.c and dl-cache.h (hwcaps folders, cache flags), musl's ldso/dynlink.c, Debian's multiarch tuples.
"""

from dataclasses import dataclass

MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")  # ldso/dynlink.c: sys_path where no file says otherwise


@dataclass(frozen=True)
class Machine:
    """One architecture. `folders`: where glibc's loader looks at last if its own file does not say (see `search`).

    `hwcaps`: glibc-hwcaps folders, best first; `legacy`: parts of the older folder names (up to glibc 2.36);
    `platforms`: what `$PLATFORM` can stand for, the last one on every processor; `cache_flags`: the kind of this
    machine's entries in ld.so.cache; `reserved`: file name of glibc's loader and of musl's.
    """

    name: str
    label: str  # as messages call it
    number: int  # e_machine
    multiarch: str  # Debian's name of its library folder
    folders: tuple[str, ...]
    lib: str  # $LIB
    platforms: tuple[str, ...]
    hwcaps: tuple[str, ...]
    legacy: tuple[str, ...]
    cache_flags: int
    gnu_loader: str
    musl_loader: str
    musl_paths: str  # the file that says where musl's loader looks


def _debian(multiarch: str) -> tuple[str, ...]:
    return (f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib", "/usr/lib")


X86_64 = Machine(
    name="x86_64",
    label="x86-64",
    number=62,
    multiarch="x86_64-linux-gnu",
    folders=_debian("x86_64-linux-gnu"),
    lib="lib/x86_64-linux-gnu",
    platforms=("haswell", "xeon_phi", "x86_64"),
    hwcaps=("x86-64-v4", "x86-64-v3", "x86-64-v2"),
    legacy=("tls", "haswell", "xeon_phi", "avx512_1", "x86_64"),
    cache_flags=0x0303,
    gnu_loader="ld-linux-x86-64.so.2",
    musl_loader="ld-musl-x86_64.so.1",
    musl_paths="/etc/ld-musl-x86_64.path",
)
AARCH64 = Machine(
    name="aarch64",
    label="AArch64",
    number=183,
    multiarch="aarch64-linux-gnu",
    folders=_debian("aarch64-linux-gnu"),
    lib="lib/aarch64-linux-gnu",
    platforms=("aarch64",),
    hwcaps=(),
    legacy=("tls", "atomics", "aarch64"),
    cache_flags=0x0A03,
    gnu_loader="ld-linux-aarch64.so.1",
    musl_loader="ld-musl-aarch64.so.1",
    musl_paths="/etc/ld-musl-aarch64.path",
)
MACHINES = {machine.name: machine for machine in (X86_64, AARCH64)}
BY_NUMBER = {machine.number: machine for machine in MACHINES.values()}
