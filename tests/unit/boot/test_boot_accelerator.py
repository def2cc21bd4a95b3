"""The accelerator: KVM only where it has been proved on this very machine, and what is remembered of that."""

import json
from pathlib import Path

import msgspec
import pytest

from builder.boot import accelerator
from builder.boot.accelerator import Remembered, choose
from builder.configure.recipes import load_platform
from builder.edges import host
from builder.errors import DefinitionError, HostError
from builder.model import Accelerator, Platform
from builder.value import digest

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture
def platform() -> Platform:
    return load_platform(RECIPES, "microvm")


@pytest.fixture
def no_qemu(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose QEMU is not there: probing it is an error, so what is answered was remembered."""
    return msgspec.structs.replace(platform, qemu_binary="qemu-system-absent")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the verdict is remembered, in a cache of its own."""
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KILN_ACCEL", raising=False)
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "accelerator.json"


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev/kvm of this test's own, that can be opened."""
    path = tmp_path / "kvm"
    path.touch()
    monkeypatch.setattr(accelerator, "KVM", path)
    return path


def remember(memory: Path, platform: Platform, device: Path, *, works: bool, seen: str = "hangs") -> None:
    known = Remembered(digest(host.identity(platform.qemu_binary, device)), works, seen)
    memory.write_bytes(msgspec.json.encode(known))


# ---- what is asked for --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("name", ["warp", "KVM", "hvf", " "])
def test_an_accelerator_that_the_platform_does_not_know_is_refused(platform: Platform, name: str) -> None:
    with pytest.raises(DefinitionError, match=r"platform microvm has kvm, tcg"):
        choose(platform, name)


@pytest.mark.usefixtures("memory")
def test_the_environment_asks_the_same_way(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILN_ACCEL", "warp")
    with pytest.raises(DefinitionError, match="warp"):
        choose(platform)
    monkeypatch.setenv("KILN_ACCEL", "tcg")
    assert choose(platform).why == "chosen"


def test_the_command_line_outranks_the_environment(
    memory: Path, no_qemu: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILN_ACCEL", "warp")
    assert choose(no_qemu, "tcg").name == "tcg"


def test_tcg_is_chosen_without_a_probe(memory: Path, device: Path, no_qemu: Platform) -> None:
    assert choose(no_qemu, "tcg") == Accelerator("tcg", "chosen")
    assert not memory.exists()


def test_without_the_device_it_is_tcg_and_said_why(
    memory: Path, no_qemu: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "absent")
    assert choose(no_qemu) == Accelerator("tcg", "there is no /dev/kvm")
    with pytest.raises(HostError, match="/dev/kvm: not there"):
        choose(no_qemu, "kvm")


@pytest.mark.usefixtures("memory", "device")
def test_a_platform_without_kvm_is_never_probed_for_it(no_qemu: Platform) -> None:
    alone = msgspec.structs.replace(no_qemu, accelerators={"tcg": no_qemu.accelerators["tcg"]})
    assert choose(alone) == Accelerator("tcg", "platform microvm has no other")
    with pytest.raises(DefinitionError, match="platform microvm has tcg"):
        choose(alone, "kvm")


# ---- what is remembered -------------------------------------------------------------------------------------------


def test_a_verdict_is_remembered_and_named_as_that(memory: Path, device: Path, no_qemu: Platform) -> None:
    remember(memory, no_qemu, device, works=False, seen="hangs")
    assert choose(no_qemu) == Accelerator("tcg", "remembered: KVM hangs")
    remember(memory, no_qemu, device, works=True, seen="runs")
    assert choose(no_qemu) == Accelerator("kvm", "remembered: a probe guest ran")


def test_forced_kvm_that_is_known_not_to_work_is_an_error_that_says_what_was_seen(
    memory: Path, device: Path, no_qemu: Platform
) -> None:
    remember(memory, no_qemu, device, works=False, seen="hangs: a probe guest did not end")
    with pytest.raises(HostError, match="did not end") as caught:
        choose(no_qemu, "kvm")
    assert "tcg" in caught.value.hint


def test_another_machines_verdict_is_not_ours(memory: Path, device: Path, no_qemu: Platform) -> None:
    memory.write_bytes(msgspec.json.encode(Remembered("0" * 64, True, "runs")))
    with pytest.raises(HostError, match="qemu-system-absent: not found"):
        choose(no_qemu)


def test_a_verdict_does_not_outlive_a_change_of_the_device(memory: Path, device: Path, no_qemu: Platform) -> None:
    remember(memory, no_qemu, device, works=True)
    device.chmod(0o660)
    with pytest.raises(HostError, match="qemu-system-absent: not found"):
        choose(no_qemu)


def test_a_verdict_does_not_outlive_a_change_of_qemu(
    memory: Path, device: Path, platform: Platform, tmp_path: Path
) -> None:
    """The remembered verdict is replaced by that of the new QEMU: one that cannot run."""
    binary = tmp_path / "qemu"
    binary.write_text("#!/bin/sh\nexit 0\n")
    binary.chmod(0o755)
    own = msgspec.structs.replace(platform, qemu_binary=str(binary))
    remember(memory, own, device, works=True)
    assert choose(own).name == "kvm"
    binary.write_text("#!/bin/sh\necho no such machine >&2\nexit 1\n")
    assert choose(own) == Accelerator("tcg", "probed: KVM fails: no such machine")
    assert choose(own) == Accelerator("tcg", "remembered: KVM fails: no such machine")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 100,
        b"{",
        b"[]",
        b"null",
        b'{"machine":1}',
        b'{"machine":"\xff","works":true,"seen":""}',
        b'{"machine":"","works":"yes","seen":""}',
        json.dumps({"machine": "", "works": True, "seen": "", "more": 1}).encode(),
    ],
)
def test_a_damaged_memory_is_as_none(memory: Path, device: Path, no_qemu: Platform, damage: bytes) -> None:
    memory.write_bytes(damage)
    with pytest.raises(HostError, match="qemu-system-absent: not found"):
        choose(no_qemu)


# ---- what the probe finds -----------------------------------------------------------------------------------------


def stub(platform: Platform, folder: Path, text: str) -> Platform:
    """A platform whose QEMU is a script that misbehaves in a known way."""
    binary = folder / "qemu"
    binary.write_text(f"#!/bin/sh\n{text}\n")
    binary.chmod(0o755)
    return msgspec.structs.replace(platform, qemu_binary=str(binary))


@pytest.mark.usefixtures("memory")
def test_only_the_probes_own_exit_code_proves_anything(platform: Platform, device: Path, tmp_path: Path) -> None:
    for code in (0, 1, 66, 139):
        works, seen = accelerator.prove(stub(platform, tmp_path, f"exit {code}"), "kvm")
        assert not works
        assert seen == f"fails: exit code {code}"
    assert accelerator.prove(stub(platform, tmp_path, "exit 67"), "kvm") == (True, "runs")


@pytest.mark.usefixtures("memory")
def test_a_guest_that_does_not_end_hangs(platform: Platform, device: Path, tmp_path: Path) -> None:
    works, seen = accelerator.prove(stub(platform, tmp_path, "exec sleep 1000"), "kvm")
    assert not works
    assert seen.startswith("hangs")


@pytest.mark.usefixtures("memory")
def test_a_qemu_that_is_missing_is_the_hosts_fault_and_not_remembered(
    memory: Path, device: Path, no_qemu: Platform
) -> None:
    with pytest.raises(HostError, match="not found"):
        choose(no_qemu)
    assert not memory.exists()
    assert not list(memory.parent.glob(".accelerator*"))
