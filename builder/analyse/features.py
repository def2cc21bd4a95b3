"""What a system call's argument says about the kernel features it needs.

Need ids are those of the recipes. Numbers are those of the kernel's user headers (include/linux/socket.h,
include/uapi/asm-generic/ioctls.h, include/uapi/linux/fcntl.h, …) for x86-64.
"""

from collections.abc import Mapping

from builder.model import Value

FAMILIES = {
    1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET", 29: "AF_CAN",
    30: "AF_TIPC", 31: "AF_BLUETOOTH", 38: "AF_ALG", 40: "AF_VSOCK", 44: "AF_XDP",
}  # fmt: skip
TERMINAL, WAITING = "ioctl:TCGETS,TIOCGWINSZ", "ioctl:FIONREAD,FIONBIO"
IOCTLS = {
    **dict.fromkeys((0x5401, 0x5402, 0x5403, 0x5404, 0x540B, 0x540F, 0x5410, 0x5413, 0x5414), TERMINAL),
    **dict.fromkeys((0x541B, 0x5421), WAITING),
    **dict.fromkeys((0x8912, 0x8913, 0x8915, 0x8919, 0x891B, 0x8927, 0x8933, 0x8910), "ioctl:SIOCGIF*"),
    **dict.fromkeys((0x40049409, 0x4020940D), "ioctl:FICLONE"),
    0x80081272: "ioctl:BLKGETSIZE64",
    0x400454CA: "ioctl:TUNSETIFF",
}
LOCKS = "fcntl:F_SETLK/F_GETLK/F_OFD_*"
FCNTLS = {
    **dict.fromkeys((5, 6, 7, 36, 37, 38), LOCKS),
    **dict.fromkeys((1024, 1025), "fcntl:F_SETLEASE"),
    1026: "fcntl:F_NOTIFY",
    **dict.fromkeys((1033, 1034), "fcntl:F_ADD_SEALS"),
}
PRCTLS = {22: "prctl:PR_SET_SECCOMP", 0x53564D41: "prctl:PR_SET_VMA_ANON_NAME"}
ADVICE = {12: "madvise:MADV_MERGEABLE", 14: "madvise:MADV_HUGEPAGE"}
ASSUMED_FAMILIES = ("socket:AF_INET", "socket:AF_UNIX")


class Feature(Value, frozen=True):
    """A system call's argument that decides on features: its register, what its values need, and what to assume
    where the value is not known (empty: nothing; such a call is then answered with an error by the kernel)."""

    register: str
    needs: Mapping[int, str]
    assumed: tuple[str, ...] = ()


SOCKET = Feature("rdi", {n: f"socket:{f}" for n, f in FAMILIES.items()}, ASSUMED_FAMILIES)
FEATURES: Mapping[int, Feature] = {
    16: Feature("rsi", IOCTLS, (TERMINAL, WAITING)),
    28: Feature("rdx", ADVICE),
    41: SOCKET,
    53: SOCKET,
    72: Feature("rsi", FCNTLS, (LOCKS,)),
    157: Feature("rdi", PRCTLS),
}

# Functions of the C library whose arguments are looked at wherever another file calls them.
WATCHED: Mapping[str, tuple[str, ...]] = {
    "syscall": ("rdi",),
    "socket": ("rdi",),
    "socketpair": ("rdi",),
    "ioctl": ("rsi",),
    "fcntl": ("rsi",),
    "fcntl64": ("rsi",),
    "prctl": ("rdi",),
    "madvise": ("rdx",),
    "dlopen": ("rdi",),
    "dlsym": ("rsi",),
    "dlvsym": ("rsi",),
}

PATHS = (
    ("/proc/sys", "path:/proc/sys/*"), ("/proc/net", "path:/proc/net/*"), ("/proc/self/net", "path:/proc/net/*"),
    ("/proc/self/pagemap", "path:/proc/self/pagemap"), ("/proc/self/smaps", "path:/proc/self/smaps"),
    ("/proc/self/cgroup", "path:/proc/self/cgroup"), ("/proc/pressure", "path:/proc/pressure"),
    ("/proc", "path:/proc"),
    ("/sys/kernel/mm/transparent_hugepage", "path:/sys/kernel/mm/transparent_hugepage"),
    ("/sys/fs/cgroup", "path:/sys/fs/cgroup"), ("/sys/block", "path:/sys/block,/dev/vd*"), ("/sys", "path:/sys"),
    ("/dev/mem", "path:/dev/mem"), ("/dev/port", "path:/dev/port"),
    ("/dev/shm", "path:/dev/shm"),  # noqa: S108 - a name to recognise
    ("/dev/ptmx", "path:/dev/ptmx,/dev/pts"), ("/dev/pts", "path:/dev/ptmx,/dev/pts"),
    ("/dev/mqueue", "path:/dev/mqueue"), ("/dev/hugepages", "path:/dev/hugepages"), ("/dev/fuse", "path:/dev/fuse"),
    ("/dev/net/tun", "path:/dev/net/tun"), ("/dev/kvm", "path:/dev/kvm"), ("/dev/vhost", "path:/dev/vhost-*"),
    ("/dev/loop", "path:/dev/loop*"), ("/dev/rtc", "path:/dev/rtc"), ("/dev/watchdog", "path:/dev/watchdog"),
    ("/dev/hwrng", "path:/dev/hwrng"), ("/dev/tty", "path:/dev/tty,/dev/console"),
    ("/dev/console", "path:/dev/tty,/dev/console"),
    *((f"/dev/{n}", "path:/dev/null,zero,full,random,urandom,kmsg")
      for n in ("null", "zero", "full", "random", "urandom", "kmsg")),
)  # fmt: skip


def path_need(text: str) -> str:
    """The need id of a path the program names, or an empty text: the longest known beginning decides."""
    return max((p for p in PATHS if text.startswith(p[0])), key=lambda p: len(p[0]), default=("", ""))[1]


def argument_values(numbers: frozenset[int | str] | tuple[int | str, ...]) -> tuple[int, ...]:
    """The constants among a register's values, as the 32-bit numbers the kernel looks at."""
    return tuple(sorted({v & 0xFFFFFFFF for v in numbers if isinstance(v, int)}))
