"""The probe guest really runs, and KVM is only ever chosen where it ran under it."""

from pathlib import Path

import msgspec
import pytest

from builder.boot import accelerator
from builder.boot.accelerator import Remembered, choose, prove
from builder.configure.recipes import load_platform
from builder.model import Platform

pytestmark = pytest.mark.vm

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(params=["microvm", "q35"])
def platform(request: pytest.FixtureRequest) -> Platform:
    return load_platform(RECIPES, request.param)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which nothing is remembered."""
    monkeypatch.setenv("KILN_CACHE", str(tmp_path))
    monkeypatch.delenv("KILN_ACCEL", raising=False)
    return tmp_path


def test_the_probe_guest_runs_under_tcg(platform: Platform) -> None:
    assert prove(platform, "tcg") == (True, "runs")


def test_a_machine_that_qemu_does_not_know_fails_and_says_so(platform: Platform) -> None:
    works, seen = prove(msgspec.structs.replace(platform, machine="abacus"), "tcg")
    assert not works
    assert seen.startswith("fails: ")
    assert "machine" in seen


def test_kvm_is_proved_or_not_within_the_limit(platform: Platform) -> None:
    """Whatever this machine's KVM does (absent, refused, hanging, working), the answer is definite."""
    works, seen = prove(platform, "kvm")
    assert (works and seen == "runs") or (not works and seen.startswith(("hangs: ", "fails: ", "may not be opened")))


def test_kvm_is_chosen_exactly_where_it_was_proved(platform: Platform, cache: Path) -> None:
    chosen = choose(platform)
    memory = cache / "accelerator.json"
    if not accelerator.KVM.exists():
        assert (chosen.name, memory.exists()) == ("tcg", False)
        return
    known = msgspec.json.decode(memory.read_bytes(), type=Remembered)
    assert chosen.name == ("kvm" if known.works else "tcg")
    assert chosen.why.startswith("probed: ")
    again = choose(platform)
    assert again.name == chosen.name
    assert again.why.startswith("remembered: ")


def test_nothing_is_left_of_a_probe(platform: Platform, cache: Path) -> None:
    choose(platform)
    prove(platform, "tcg")
    assert [path for path in cache.rglob("*") if path.is_file() and path.name != "accelerator.json"] == []
