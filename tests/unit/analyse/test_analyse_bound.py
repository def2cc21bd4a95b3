"""Functions whose parameters decide what of them runs: only what the values that callers pass lead to counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.analyse import closure, needs
from builder.analyse.conditions import OPPOSITE, holds
from builder.analyse.values import Compared
from builder.edges.store import Store
from tests.unit.analyse.programs import Build, with_machine

COMPARED, TABLE, BITS, SHARED, ITSELF = range(5)
CONSTANT, THROUGH_ANOTHER, UNKNOWN, POINTER = range(4)
LIBRARIES = ("-O1", "-O2", "-Os")


def found(build: Build, store: Store, way: int, call: int, level: str = "-O2") -> set[str]:
    """Which of the calls that a value leads to are found."""
    program = build("partial.c", level, "-rdynamic", f"-DWAY={way}", f"-DCALL={call}", "-fno-ipa-cp", "-fno-inline")
    files = with_machine({"/bin/app": program})
    result = needs.analyse(files, closure.resolve(files, ("/bin/app",)), store)
    assert "getppid" in result.syscalls()
    return {"setsid", "sync"} & set(result.syscalls())


@pytest.mark.parametrize("level", LIBRARIES)
@pytest.mark.parametrize("way", [COMPARED, TABLE, BITS])
def test_what_a_constant_rules_out_does_not_count(build: Build, store: Store, way: int, level: str) -> None:
    assert found(build, store, way, CONSTANT, level) == set()


@pytest.mark.parametrize("level", LIBRARIES)
@pytest.mark.parametrize("way", [COMPARED, TABLE, BITS, ITSELF])
def test_every_value_that_comes_through_another_function_counts(
    build: Build, store: Store, way: int, level: str
) -> None:
    assert found(build, store, way, THROUGH_ANOTHER, level) == {"setsid"}


@pytest.mark.parametrize("call", [UNKNOWN, POINTER])
@pytest.mark.parametrize("way", [COMPARED, TABLE, BITS, SHARED, ITSELF])
def test_a_value_that_is_not_known_leads_everywhere(build: Build, store: Store, way: int, call: int) -> None:
    assert found(build, store, way, call) == {"setsid", "sync"}


def test_a_value_where_others_may_write_is_not_known(build: Build, store: Store) -> None:
    assert found(build, store, SHARED, CONSTANT) == {"setsid", "sync"}


def test_what_a_function_passes_to_itself_counts(build: Build, store: Store) -> None:
    assert found(build, store, ITSELF, CONSTANT) == {"setsid"}


# ---- conditions: as the processor has them ----------------------------------------------------------------------

SIGNED = {"l": lambda a, b: a < b, "le": lambda a, b: a <= b, "ge": lambda a, b: a >= b, "g": lambda a, b: a > b}
UNSIGNED = {"b": SIGNED["l"], "be": SIGNED["le"], "ae": SIGNED["ge"], "a": SIGNED["g"],
            "e": lambda a, b: a == b, "ne": lambda a, b: a != b}  # fmt: skip
BYTES = st.integers(0, 255)


@given(BYTES, BYTES, st.sampled_from(sorted({*SIGNED, *UNSIGNED})))
def test_a_comparison_decides_as_numbers_compare(a: int, b: int, condition: str) -> None:
    signed = [x - 256 if x > 127 else x for x in (a, b)]
    right = SIGNED[condition](*signed) if condition in SIGNED else UNSIGNED[condition](a, b)
    assert holds(condition, Compared("sub", 8, a, b)) == right


@given(BYTES, BYTES, st.sampled_from(sorted({*SIGNED, *UNSIGNED})))
def test_a_test_of_bits_compares_what_is_left_with_zero(a: int, b: int, condition: str) -> None:
    left = a & b
    signed = left - 256 if left > 127 else left
    right = SIGNED[condition](signed, 0) if condition in SIGNED else UNSIGNED[condition](left, 0)
    assert holds(condition, Compared("and", 8, a, b)) == right


@pytest.mark.parametrize("condition", ["b", "a", "l", "g", "?"])
def test_what_a_computed_value_does_not_tell_is_not_known(condition: str) -> None:
    assert holds(condition, Compared("value", 32, 5, 0)) is None
    assert holds("e", Compared("value", 32, 5, 0)) is False
    assert OPPOSITE["ne"] == "e"
