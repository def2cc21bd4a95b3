"""Building a kernel: kept by key, one object tree per configuration, failures told with their log.

The source is a very small one with the same interface to make as the kernel's; real kernels are built in `tests/vm`.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from builder.compile import kernel, trees
from builder.edges.store import Store, digest_file
from builder.errors import BuilderError, CompileError, ConfigurationError, StorageError
from builder.model import Kernel, KernelConfig, KernelSource, Package, Profile

MAKEFILE = """\
vmlinux:
	@test ! -e $(O)/spoilt || { echo 'error: a broken object'; exit 1; }
	@$(BREAK)
	@echo '  CC      main.o'
	@cd $(O) && $(CC) $(KCFLAGS) -DTABLE='"$(KILN_SYSCALL_TABLE)"' -c -o main.o $(CURDIR)/main.S
	@cd $(O) && rm -f vmlinux.a && ar rcTP vmlinux.a main.o && $(CC) -nostdlib -static -o vmlinux main.o
	@cd $(O) && printf 'savedcmd_main.o := x\\n\\ndeps_main.o := %s/main.S\\n' $(CURDIR) > .main.o.cmd
	@cd $(O) && nm vmlinux > System.map
"""
MAIN = ".globl _start\n.text\n_start: nop\nnop\nnop\n.data\n.incbin TABLE\n"
TABLE = "0\tcommon\tread\tsys_read\n1\tcommon\twrite\tsys_write\n60\tcommon\texit\tsys_exit\n"


@dataclass
class Workshop:
    """A small kernel source, a store, and what the builds said."""

    folder: Path
    store: Store
    said: list[str] = field(default_factory=list)

    def build(self, *syscalls: str, config: str = "CONFIG_A=y\n", flags: tuple[str, ...] = ()) -> Kernel:
        package = Package("linux-source-6.12", "6.12.7-1", "all", "0" * 64)
        source = KernelSource(str(self.folder), "6.12.7", package, (), "source key")
        chosen = KernelConfig(config, "", (), syscalls, 1)
        profile = Profile("lean", "", (), flags)
        return kernel.build(source, chosen, profile, self.store, jobs=1, progress=self.said.append)

    def breaks(self, command: str) -> None:
        (self.folder / "Makefile").write_text(f"BREAK := {command}\n{MAKEFILE}")

    def trees(self) -> list[Path]:
        return [path for path in trees.root().iterdir() if path.is_dir()]


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "source"
    (folder / "arch/x86/entry/syscalls").mkdir(parents=True)
    (folder / "arch/x86/entry/syscalls/syscall_64.tbl").write_text(TABLE)
    (folder / "main.S").write_text(MAIN)
    made = Workshop(folder, Store())
    made.breaks("true")
    return made


def test_a_kernel_is_stripped_measured_and_comes_with_its_symbols_and_sources(workshop: Workshop) -> None:
    made = workshop.build("exit", "read")
    vmlinux = Path(made.vmlinux)
    assert made.sha256 == digest_file(vmlinux)
    assert made.size_bytes == vmlinux.stat().st_size
    assert (made.syscalls_total, made.text_bytes) == (3, 3)
    assert subprocess.run(["nm", vmlinux], capture_output=True, text=True, check=True).stdout == ""
    assert "_start" in (vmlinux.parent / "System.map").read_text()
    assert (vmlinux.parent / "compiled-files.txt").read_text() == "main.S\n"
    assert "files compiled: 1" in workshop.said


def test_the_same_kernel_is_built_once(workshop: Workshop) -> None:
    first = workshop.build("read")
    workshop.breaks("false")
    assert workshop.build("read") == first


def test_another_system_call_table_is_another_kernel_from_the_same_tree(workshop: Workshop) -> None:
    first, second = workshop.build("read"), workshop.build("read", "write")
    assert first.sha256 != second.sha256
    assert b"sys_write" in Path(second.vmlinux).read_bytes()
    assert b"sys_write" not in Path(first.vmlinux).read_bytes()
    assert len(workshop.trees()) == 1


def test_flags_and_configuration_are_part_of_a_kernels_identity(workshop: Workshop) -> None:
    first = workshop.build("read")
    others = workshop.build("read", flags=("-g",)), workshop.build("read", config="CONFIG_A=y\nCONFIG_B=y\n")
    assert len({Path(made.vmlinux).parent for made in (first, *others)}) == 3
    assert len(workshop.trees()) == 3


def test_a_system_call_that_does_not_exist_is_refused_before_anything_is_built(workshop: Workshop) -> None:
    with pytest.raises(ConfigurationError, match="raed"):
        workshop.build("raed")
    assert not trees.root().exists()


def test_a_failed_build_tells_the_errors_and_keeps_its_log(workshop: Workshop) -> None:
    workshop.breaks("echo main.c:3: error: no such thing; echo more; exit 2")
    with pytest.raises(CompileError, match="the kernel's build failed") as caught:
        workshop.build("read")
    assert caught.value.tail.splitlines()[0] == "main.c:3: error: no such thing"
    assert "more" in Path(caught.value.log).read_text()
    assert not list((workshop.store.root / "kernel").glob("*"))
    workshop.breaks("true")
    assert workshop.build("read")


def test_a_full_disk_is_told_as_such(workshop: Workshop) -> None:
    workshop.breaks("echo 'cc1: fatal error: main.o: No space left on device'; exit 1")
    with pytest.raises(StorageError, match="the disk is full"):
        workshop.build("read")


def test_a_build_that_changes_the_configuration_is_refused(workshop: Workshop) -> None:
    workshop.breaks("echo CONFIG_B=y >> $(O)/.config")
    with pytest.raises(CompileError, match="changed the configuration"):
        workshop.build("read")


def test_what_a_killed_build_spoilt_is_built_again_from_nothing(workshop: Workshop) -> None:
    workshop.build("read")
    (tree,) = workshop.trees()
    (tree / "objects/spoilt").touch()
    (tree / "building").touch()
    assert workshop.build("write")
    assert not (tree / "objects/spoilt").exists()
    assert not (tree / "building").exists()


def test_a_broken_tree_that_nobody_killed_is_an_error(workshop: Workshop) -> None:
    workshop.build("read")
    (tree,) = workshop.trees()
    (tree / "objects/spoilt").touch()
    with pytest.raises(BuilderError, match="the kernel's build failed"):
        workshop.build("write")


def test_a_build_says_how_far_it_is(workshop: Workshop) -> None:
    workshop.build("read")
    (tree,) = workshop.trees()
    record = msgspec.json.decode((tree / "tree.json").read_bytes(), type=trees.Record)
    assert record.files == 1
    meter = kernel.Meter(workshop.said.append, 700)
    for line in ("  CC      init/main.o", "  LD      built-in.a", "  AS      entry.o"):
        meter(line)
    assert workshop.said[-1] == "files compiled: 2 of about 700"


def test_the_command_can_be_repeated_by_hand() -> None:
    command = kernel.command("/source", Path("/objects"), ("-mstringop-strategy=libcall", "-g"), 2)
    assert command[:4] == ("make", "--no-print-directory", "-C", "/source")
    assert "KCFLAGS=-mstringop-strategy=libcall -g" in command
    assert command[-1] == "vmlinux"
