"""The probe guest: an ELF file as small as may be, that QEMU enters by its PVH note."""

import io
import struct

import pytest
from capstone import CS_ARCH_X86, CS_MODE_32, Cs
from elftools.elf.elffile import ELFFile

from builder.boot import probe

XEN_ELFNOTE_PHYS32_ENTRY = 18  # xen/include/public/elfnote.h


@pytest.fixture
def elf() -> ELFFile:
    return ELFFile(io.BytesIO(probe.guest()))


def test_it_is_a_program_for_this_architecture(elf: ELFFile) -> None:
    assert (elf.elfclass, elf.little_endian) == (64, True)
    assert (elf["e_type"], elf["e_machine"], elf["e_version"]) == ("ET_EXEC", "EM_X86_64", "EV_CURRENT")
    assert elf.num_sections() == 0


def test_its_segments_lie_in_the_file_and_where_the_entry_is(elf: ELFFile) -> None:
    kinds = [segment["p_type"] for segment in elf.iter_segments()]
    assert sorted(kinds) == ["PT_LOAD", "PT_NOTE"]
    size = len(probe.guest())
    for segment in elf.iter_segments():
        assert segment["p_filesz"] == segment["p_memsz"] > 0
        assert segment["p_offset"] + segment["p_filesz"] <= size
    [load] = elf.iter_segments("PT_LOAD")
    assert load["p_vaddr"] == load["p_paddr"] == elf["e_entry"]
    assert load.data() == probe.CODE
    assert load["p_offset"] + load["p_filesz"] == size


def test_its_note_tells_a_hypervisor_where_to_enter(elf: ELFFile) -> None:
    [segment] = elf.iter_segments("PT_NOTE")
    assert segment["p_align"] == 4
    assert segment.data() == struct.pack("<III4sI", 4, 4, XEN_ELFNOTE_PHYS32_ENTRY, b"Xen", elf["e_entry"])


def test_its_code_counts_answers_and_halts() -> None:
    """Entered by PVH it runs in 32-bit protected mode; the count makes a KVM that emulates too slow to pass."""
    code = list(Cs(CS_ARCH_X86, CS_MODE_32).disasm(probe.CODE, probe.ADDRESS))
    assert [found.mnemonic for found in code] == ["mov", "dec", "jne", "mov", "out", "hlt", "jmp"]
    assert sum(found.size for found in code) == len(probe.CODE)
    count, down, again, answer, out, halt, forever = code
    assert count.op_str == f"ecx, {probe.COUNT:#x}"
    assert down.op_str == "ecx"
    assert int(again.op_str, 16) == down.address
    assert answer.op_str == f"al, {probe.ANSWER:#x}"
    assert out.op_str == f"{probe.EXIT_PORT:#x}, al"
    assert int(forever.op_str, 16) == halt.address


def test_the_exit_code_is_one_that_qemu_never_ends_with_by_itself() -> None:
    assert probe.EXIT_CODE % 2 == 1
    assert probe.EXIT_CODE not in (0, 1)
    assert f"iobase={probe.EXIT_PORT:#x}" in probe.DEVICE
