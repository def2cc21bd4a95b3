"""A kernel with a trimmed system-call table refuses the other calls, and says so."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.assemble import cpio
from builder.compile import table
from builder.configure import recipes
from builder.model import File, Kernel, KernelSource
from tests.vm import lab_kernel

pytestmark = [pytest.mark.vm, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "recipes"
PROGRAM = REPOSITORY / "tests/c/kernel/refused.c"
KEPT = ("getpid", "reboot", "write")
NOSYS, PTRACE, GETPID, NO_ROW, NEVER = -38, 101, 39, 335, 600
Boot = Callable[..., str]


@pytest.fixture(scope="module")
def kernel_source() -> KernelSource:
    return lab_kernel.kernel_source()


@pytest.fixture(scope="module")
def built() -> Kernel:
    """The lab's kernel with three system calls: the other one's objects, linked anew."""
    return lab_kernel.made(KEPT)


@pytest.fixture
def boot(built: Kernel, tmp_path: Path) -> Boot:
    """Boots the kernel with the test program as PID 1 and returns what the machine printed until it ended."""

    def run(*calls: int, repeat: int = 1) -> str:
        program = tmp_path / "init"
        chosen = [f"-DCALLS={','.join(map(str, calls))}", f"-DREPEAT={repeat}"]
        plain = ["-Os", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]
        subprocess.run(["gcc", *plain, *chosen, "-o", program, PROGRAM], check=True)
        archive = tmp_path / "rootfs"
        archive.write_bytes(initramfs(program))
        return booted(built, archive)

    return run


def initramfs(program: Path) -> bytes:
    tree = {
        "/dev": File("/dev", "directory", 0o755),
        "/dev/console": File("/dev/console", "character-device", 0o600, device=(5, 1)),
        "/init": File("/init", "file", 0o755, size_bytes=program.stat().st_size, host=str(program)),
    }
    return b"".join(cpio.archive(tree, lambda file: iter([Path(file.host).read_bytes()])))


def booted(built: Kernel, archive: Path) -> str:
    platform = recipes.load_platform(RECIPES, "microvm")
    settings = platform.accelerators["tcg"]
    parameters = [word for word in (*platform.kernel_parameters, *settings.kernel_parameters) if word != "quiet"]
    argv = [platform.qemu_binary, *platform.qemu, *settings.qemu, "-M", platform.machine, "-m", "64"]
    files = ["-kernel", built.vmlinux, "-initrd", str(archive), "-append", " ".join(parameters)]
    whole = [*argv, *files, "-serial", "stdio"]
    return subprocess.run(
        whole, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    ).stdout


def refusals(log: str) -> list[int]:
    """The numbers of the refused calls that the kernel logged, in order."""
    found = re.findall(r"kiln: refused syscall nr=(\d+) comm=init pid=1 ip=[0-9a-f]+", log)
    return [int(number) for number in found]


def answers(log: str) -> dict[int, int]:
    return {int(number): int(answer) for number, answer in re.findall(r"answer (\d+) (-?\d+)", log)}


def test_the_patches_apply_to_debians_source(kernel_source: KernelSource) -> None:
    tree = Path(kernel_source.path)
    assert "KILN_SYSCALL_TABLE" in (tree / "arch/x86/entry/syscalls/Makefile").read_text()
    assert "kiln: refused syscall" in (tree / "kernel/sys_ni.c").read_text()
    assert "KILN_PAGE_ALIGNED" in (tree / "arch/x86/Kconfig").read_text()
    assert not list(tree.rglob("*.rej"))


def test_a_call_that_was_left_out_gets_enosys_and_a_line_in_the_log(boot: Boot) -> None:
    log = boot(PTRACE, GETPID)
    assert answers(log) == {PTRACE: NOSYS, GETPID: 1}
    assert refusals(log) == [PTRACE]


def test_numbers_that_no_table_has_are_refused_the_same_way(boot: Boot) -> None:
    log = boot(NO_ROW, NEVER)
    assert answers(log) == {NO_ROW: NOSYS, NEVER: NOSYS}
    assert refusals(log) == [NO_ROW, NEVER]


def test_every_number_is_logged_once_however_many_there_are(boot: Boot, kernel_source: KernelSource) -> None:
    rows = table.rows((Path(kernel_source.path) / table.PATH).read_text())
    numbers = [row.number for row in rows if row.abi in table.ABIS and row.name not in KEPT]
    log = boot(*numbers)
    assert set(answers(log).values()) == {NOSYS}
    assert refusals(log) == numbers


def test_a_program_that_spins_on_a_refused_call_does_not_flood_the_log(boot: Boot) -> None:
    log = boot(PTRACE, repeat=1000)
    assert 1 <= len(refusals(log)) <= 11


def test_the_linker_dropped_calls_that_were_left_out_and_the_kernel_lists_its_sources(built: Kernel) -> None:
    folder = Path(built.vmlinux).parent
    symbols = (folder / "System.map").read_text()
    assert "__x64_sys_getpid\n" in symbols
    assert "__x64_sys_getuid\n" not in symbols
    compiled = (folder / "compiled-files.txt").read_text().split()
    assert {"kernel/sys_ni.c", "arch/x86/entry/syscall_64.c", "include/linux/sched.h"} <= set(compiled)
    assert "arch/x86/kernel/vmlinux.lds.S" in compiled
