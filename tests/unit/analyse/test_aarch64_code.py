"""What AArch64 code refers to: calls, addresses made of a page and an offset, jump tables, pages that get away."""

import struct

import capstone
import pytest

from builder.analyse.arch import Table, Unit
from builder.analyse.decode import Reader
from builder.analyse.elf import parse
from builder.analyse.summary import summarise
from tests.unit.analyse.words import CODE, DATA, code, program


def unit(words: str, data: bytes = b"", *, length: int = 0) -> Unit:
    """The function at a program's start, read; `length`: in instructions, all where it is 0."""
    reader = Reader(parse(program(words, data), "words", ""), ())
    found = Unit(CODE, CODE + 4 * (length or len(words.split())), hard=True, framed=True)
    reader.read(found, CODE)
    return found


def test_a_page_is_followed_over_copies_branches_and_calls() -> None:
    """adrp x1, page · mov x2, x1 · cbz x0, 1f · bl · ldr x3, [x2, #24] · ret · 1: add x0, x1, #24 · br x0"""
    found = unit("90000081 aa0103e2 b4000080 94000005 f9400c43 d65f03c0 91006020 d61f0000 d65f03c0")
    assert found.places == {DATA + 24}
    assert found.data == {DATA + 24}
    assert found.pages == set()
    assert found.calls == set()  # it leads to a place inside
    assert (found.indirect, found.returns, found.falls) == (True, True, False)


def test_a_page_used_by_another_part_of_the_function_is_followed_there() -> None:
    """adrp x19, page · b.ne out · ret; elsewhere, a part of its own: ldr x0, [x19, #8] · b back"""
    found = unit("90000093 54000041 d65f03c0 f9400660 17fffffd", length=3)
    assert found.jumps == {CODE + 12}
    assert found.data == {DATA + 8}


def test_a_page_is_still_there_where_an_exception_lands() -> None:
    """adrp x19, page · bl · b over · ldr x0, [x19, #8], which no jump leads to · over: ret"""
    assert unit("90000093 94000003 14000002 f9400660 d65f03c0").data == {DATA + 8}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("90000084 f90007e4 d65f03c0", "stored"),  # str x4, [sp, #8]
        ("90000084 8b050080 d65f03c0", "computed with"),  # add x0, x4, x5
        ("90000084 d65f03c0", "never used"),
    ],
)
def test_a_page_that_gets_away_counts_as_a_whole(words: str, why: str) -> None:
    assert unit(words).pages == {DATA}, why


def test_everything_in_such_a_page_is_reached() -> None:
    """The page is stored; a pointer in it leads to a function with a system call that nothing else names."""
    words = "90000084 f90007e4 d65f03c0 d503201f 52801588 d4000001 d65f03c0"
    found = summarise(program(words, bytes(64) + struct.pack("<Q", CODE + 16)), "words")
    holder = found.unit_at(CODE)
    objects = [n for n in found.edges[holder] if n >= found.units]
    assert any(found.unit_at(CODE + 16) in found.edges[n] for n in objects)
    assert [c.numbers for c in found.calls] == [(172,)]


def test_what_may_be_a_page_begins_no_object() -> None:
    """adrp x19 · bl · add x0, x19, #24: gcc's own functions may have left x19 alone, others have it from elsewhere."""
    found = unit("90000093 94000003 91006260 d65f03c0 d65f03c0")
    assert (found.places, found.maybe) == (set(), {DATA + 24})


def test_every_svc_is_a_system_call_and_nothing_else_is() -> None:
    found = unit("d4000001 d4000021 d4000002 d4200000 d503201f d503245f d503233f d65f03c0")  # svc svc hvc brk hints
    assert found.syscalls == {CODE, CODE + 4}
    assert found.undecoded == set()


def test_bytes_that_are_no_instruction_are_told() -> None:
    assert unit("d503201f 00000000 07ffffff d65f03c0").undecoded == {CODE + 8}  # udf is defined to be none


def test_a_table_of_bytes_leads_to_its_targets() -> None:
    """cmp w0, #3 · b.hi · table · ldrb w1, [x1, w0, uxtw] · adr x2 · add x1, x2, w1, sxtb #2 · br x1 (gcc)"""
    words = """71000c1f 540001a8 90000081 91011021 38604821 10000062 8b218841 d61f0020
               52801588 d4000001 d65f03c0 528015a8 d4000001 d65f03c0 d65f03c0"""
    data = bytes(0x44) + bytes((0, 3, 6, 0, 0x40, 0x40))
    assert unit(words, data).tables == {Table(DATA + 0x44, 1, True, 4, CODE + 0x20, 4)}
    found = summarise(program(words, data), "words")
    assert sorted(number for call in found.calls for number in call.numbers or ()) == [172, 173]


def test_a_sum_that_is_no_known_table_may_lead_anywhere() -> None:
    """mov w8, #172 · add x1, x2, x3 · br x1 · mov w8, #173 · svc: the jump may lead behind the second mov"""
    found = summarise(program("52801588 8b030041 d61f0020 528015a8 d4000001 d65f03c0"), "words")
    assert [call.numbers for call in found.calls] == [(172, 173)]


def test_a_linkage_table_is_cut_where_its_entries_begin() -> None:
    arch = Reader(parse(program("d65f03c0"), "words", ""), ()).arch
    head = "a9bf7bf0 90000090 f9400e11 91006210 d61f0220 d503201f d503201f d503201f"
    plain = "90000090 f9401211 91008210 d61f0220"
    padded = "d503245f 90000090 f9401211 91008210 d61f0220 d503201f"
    assert arch.linkage(code(f"{head} {plain} {plain}"), 0)[-2:] == [32, 48]
    assert arch.linkage(code(f"{head} {padded} {padded}"), 0)[-2:] == [32, 56]


def test_direct_targets_are_capstone_s() -> None:
    decoder = capstone.Cs(capstone.CS_ARCH_ARM64, 0)
    decoder.detail = True
    arch = Reader(parse(program("d65f03c0"), "words", ""), ()).arch
    for word in ("97ffff00", "14000123", "54ffff41", "b4001234", "35ffffe0", "36100044", "b7f7ff84"):
        step = arch.lift(code(word), CODE)[0]
        judged = next(decoder.disasm(code(word), CODE))
        assert step.target == judged.operands[-1].imm & ((1 << 64) - 1), judged.mnemonic
