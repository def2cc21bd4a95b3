"""What arguments say about kernel features: the data agrees with the kernel's headers, the recipes and itself."""

import re
import subprocess
from pathlib import Path

import pytest

from builder.analyse import arguments
from builder.analyse.arguments import FEATURES, PATHS, WRAPPERS, needs_of, numbers, path_need, text_need
from builder.analyse.table import names as syscall_names
from builder.configure import recipes
from builder.configure.request import unknown_needs
from builder.model import Need

RULES = recipes.load_rules(Path(__file__).parents[3] / "recipes")
CONSTANTS = arguments.rows("constants.tsv")

# Headers that define each set's constants, and names that headers older than the kernel's may lack.
SOCKETS = "sys/socket.h netinet/in.h linux/netlink.h linux/l2tp.h"
HEADERS = {
    "family": "sys/socket.h",
    "type": SOCKETS,
    "protocol": SOCKETS,
    "sockopt": "asm/socket.h netinet/ip.h netinet/tcp.h netinet/udp.h linux/mroute.h"
    " linux/netfilter_ipv4.h linux/netfilter_ipv4/ip_tables.h",
    "ioctl": "asm/ioctls.h linux/sockios.h linux/fs.h linux/fscrypt.h linux/fsverity.h linux/fiemap.h linux/if_tun.h",
    "fcntl": "fcntl.h",
    "prctl": "linux/prctl.h",
    "prctl2": "linux/prctl.h linux/seccomp.h",
    "seccomp": "linux/seccomp.h",
    "archprctl": "asm/prctl.h",
    "madvise": "sys/mman.h",
    "clone": "linux/sched.h",
    "newtime": "linux/sched.h",
    "mmap": "sys/mman.h",
    "shmget": "sys/shm.h",
    "memfd": "linux/memfd.h",
    "futex": "linux/futex.h",
    "clock": "linux/time.h",
    "timer": "linux/time.h",
    "rlimit": "sys/resource.h",
    "keyctl": "linux/keyctl.h",
    "membarrier": "linux/membarrier.h",
    "reboot": "linux/reboot.h",
    "ptrace": "linux/ptrace.h",
    "fanotify": "linux/fanotify.h",
}
YOUNGER = {"PR_SET_MEMORY_MERGE", "PR_GET_MEMORY_MERGE", "ARCH_SHSTK_ENABLE", "ARCH_SHSTK_DISABLE",
           "ARCH_SHSTK_STATUS", "ARCH_GET_UNTAG_MASK", "ARCH_ENABLE_TAGGED_ADDR", "TCP_AO_ADD_KEY", "TCP_AO_DEL_KEY",
           "TCP_AO_INFO", "SOCK_DCCP", "IPPROTO_L2TP", "MADV_COLLAPSE", "MADV_SOFT_OFFLINE"}  # fmt: skip
SOURCE = re.compile(r"^(\w[\w.-]*/)+[\w.-]+|^\w+\(\d\)$")


@pytest.mark.parametrize("group", sorted(HEADERS))
def test_the_constants_are_those_of_the_kernels_headers(group: str, tmp_path: Path) -> None:
    rows = [row for row in CONSTANTS if row.set == group and row.name != arguments.OTHER]
    wanted = dict(pair for row in rows for pair in zip(row.name.split(","), numbers(row.value), strict=True))
    includes = "".join(f"#include <{header}>\n" for header in HEADERS[group].split())
    prints = "".join(
        f"#ifdef {name}\n{line}#endif\n" if name in YOUNGER else line
        for name in wanted
        for line in [f'printf("{name} %lld\\n", (long long)(unsigned)({name}));\n']
    )
    program = tmp_path / "constants.c"
    program.write_text(f"#define _GNU_SOURCE\n#include <stdio.h>\n{includes}int main(void) {{\n{prints}return 0; }}\n")
    subprocess.run(["gcc", "-o", str(tmp_path / "constants"), str(program)], check=True, timeout=60)
    out = subprocess.run([str(tmp_path / "constants")], check=True, timeout=60, capture_output=True, text=True).stdout
    found = {name: int(value) for name, value in (line.split() for line in out.splitlines())}
    assert found == {name: value for name, value in wanted.items() if name in found}
    assert set(wanted) - set(found) <= YOUNGER
    assert found


def test_every_set_of_the_data_is_checked_and_used() -> None:
    assert {row.set for row in CONSTANTS} == set(HEADERS)
    named = {row.need for row in (*CONSTANTS, *arguments.rows("texts.tsv"))} - {""}
    assert named <= set(arguments.ids())


def test_every_call_exists_and_every_wrapper_leads_to_one() -> None:
    assert set(FEATURES) <= set(syscall_names().values())
    assert {wrapper.call for wrapper in WRAPPERS.values()} <= set(FEATURES)
    for wrapper in WRAPPERS.values():
        assert set(wrapper.places) <= {p for a in FEATURES[wrapper.call] for p in (a.index, a.also) if p is not None}


def test_every_row_says_where_the_kernel_decides_it_and_every_argument_why() -> None:
    rows = (*CONSTANTS, *arguments.rows("texts.tsv"))
    assert not [row for row in rows if not SOURCE.match(row.source)]
    assert not [call for call, found in FEATURES.items() for argument in found if len(argument.why) < 20]


def test_no_value_is_listed_twice_with_different_needs() -> None:
    seen: dict[tuple[str, tuple[int, ...]], str] = {}
    for row in CONSTANTS:
        assert seen.setdefault((row.set, numbers(row.value)), row.need) == row.need


def test_the_recipes_know_every_need_that_arguments_and_paths_can_give() -> None:
    assert unknown_needs([Need(need, ()) for need in sorted({*arguments.ids()})], RULES) == ()


@pytest.mark.parametrize(
    ("call", "place", "value", "also", "needs"),
    [
        ("socket", 0, 10, None, ("socket:AF_INET6",)),
        ("socket", 0, 99, None, ()),
        ("socket", 1, 0o2000003, 2, ("socket:SOCK_RAW/AF_INET",)),
        ("socket", 1, 3, 17, ()),
        ("socketpair", 2, 12, 16, ("socket:AF_NETLINK/NETFILTER",)),
        ("setsockopt", 0, 6, 31, ("sockopt:TCP_ULP",)),
        ("setsockopt", 0, 6, 14, ("sockopt:TCP_MD5SIG",)),
        ("getsockopt", 0, 1, 4, ()),
        ("ioctl", 0, 0xFFFFFFFF80045430, None, ("path:/dev/ptmx,/dev/pts",)),
        ("clone", 0, 0x6C000011, None, ("clone:CLONE_NEWIPC", "clone:CLONE_NEWNET", "clone:CLONE_NEWPID",
                                        "clone:CLONE_NEWUTS")),
        ("clone", 0, 0x80 | 17, None, ()),
        ("unshare", 1, 0x80, None, ("clone:CLONE_NEWTIME",)),
        ("mmap", 0, 0x21, None, ("mmap:MAP_SHARED|MAP_ANONYMOUS",)),
        ("mmap", 0, 0x22, None, ()),
        ("futex", 0, 6 | 128, None, ("futex:FUTEX_LOCK_PI",)),
        ("clock_gettime", 0, 1, None, ()),
        ("clock_gettime", 0, 2, None, ("clock:other",)),
        ("clock_gettime", 0, -6, None, ("clock:other",)),
    ],
)  # fmt: skip
def test_what_a_constant_needs(call: str, place: int, value: int, also: int | None, needs: tuple[str, ...]) -> None:
    assert needs_of(FEATURES[call][place], value, also) == needs


def test_a_pair_with_an_unknown_companion_counts_what_is_assumed_or_every_companion() -> None:
    assert needs_of(FEATURES["setsockopt"][0], 6) == ()
    assert needs_of(FEATURES["socket"][1], 3) == ("socket:SOCK_RAW/AF_INET",)
    assert needs_of(FEATURES["prctl"][1], 22) == ("seccomp:filter",)
    assert needs_of(FEATURES["prctl"][1], 15) == ()


@pytest.mark.parametrize(
    ("path", "need"),
    [
        ("/proc", "path:/proc"),
        ("/proc/%d/stat", "path:/proc"),
        ("/proc/meminfo", "path:/proc"),
        ("/proc/self/smaps_rollup", "path:/proc/self/smaps"),
        ("/proc/%s/pagemap", "path:/proc/self/pagemap"),
        ("/proc/self/timerslack_ns", "path:/proc"),
        ("/proc/sys/net/core/somaxconn", "path:/proc/sys/*"),
        ("/proc/self/net/tcp", "path:/proc/net/*"),
        ("/sys/devices/system/cpu/online", "path:/sys"),
        ("/sys/fs/cgroup/memory.max", "path:/sys/fs/cgroup"),
        ("/dev/vdb1", "path:/sys/block,/dev/vd*"),
        ("/dev/memory", ""),
        ("/process", "path:/proc"),
        ("/etc/passwd", ""),
        ("", ""),
    ],
)
def test_what_a_path_needs(path: str, need: str) -> None:
    assert path_need(path) == need


def test_a_mount_type_is_a_whole_word() -> None:
    (mount,) = FEATURES["mount"]
    assert text_need(mount, "tmpfs") == "mount:tmpfs"
    assert text_need(mount, "ext3") == "mount:ext4"
    assert text_need(mount, "nfs4") == "mount:nfs"
    assert text_need(mount, "tmpfss") == ""


def test_a_longer_path_is_never_shadowed_by_a_shorter_one() -> None:
    assert not [text for text, need in PATHS if path_need(text.replace("*", "self")) != need]
