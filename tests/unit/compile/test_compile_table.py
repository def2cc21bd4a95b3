"""The system-call table: what is implemented, and the subset an image keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.compile import table
from builder.errors import ConfigurationError

TABLE = """\
#
# 64-bit system call numbers and entry vectors
#
0\tcommon\tread\t\t\tsys_read
1\tcommon\twrite\t\t\tsys_write
13\t64\trt_sigaction\t\tsys_rt_sigaction
60\tcommon\texit\t\t\tsys_exit\t\t\t-\t\t\tnoreturn
134\t64\tuselib
156\t64\t_sysctl\t\t\tsys_ni_syscall

# x32-specific numbers
512\tx32\trt_sigaction\t\tcompat_sys_rt_sigaction
"""


def test_a_call_is_implemented_when_its_row_has_an_entry_point_that_does_something() -> None:
    assert table.implemented(TABLE) == ("read", "write", "rt_sigaction", "exit")


def test_rows_keep_number_abi_name_and_entry_point() -> None:
    assert table.rows(TABLE)[2] == table.Row(13, "64", "rt_sigaction", "sys_rt_sigaction")
    assert table.rows(TABLE)[4] == table.Row(134, "64", "uselib", "")


def test_the_trimmed_table_holds_the_kept_rows_as_they_were() -> None:
    trimmed = table.trim(TABLE, ["exit", "rt_sigaction"])
    assert [line for line in trimmed.splitlines() if not line.startswith("#")] == [
        "13\t64\trt_sigaction\t\tsys_rt_sigaction",
        "60\tcommon\texit\t\t\tsys_exit\t\t\t-\t\t\tnoreturn",
    ]


@given(st.sets(st.sampled_from(table.implemented(TABLE))))
def test_trimming_keeps_exactly_what_was_asked_for_in_the_order_of_numbers(keep: set[str]) -> None:
    kept = table.implemented(table.trim(TABLE, keep))
    assert set(kept) == keep
    assert kept == tuple(name for name in table.implemented(TABLE) if name in keep)


def test_a_name_the_kernel_does_not_know_is_an_error_with_near_names() -> None:
    with pytest.raises(ConfigurationError, match="system call wirte: this kernel does not implement it") as caught:
        table.trim(TABLE, ["read", "wirte"])
    assert caught.value.hint == "did you mean write?"


def test_a_reserved_number_cannot_be_kept() -> None:
    with pytest.raises(ConfigurationError, match="uselib"):
        table.trim(TABLE, ["uselib"])
