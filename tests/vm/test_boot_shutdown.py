"""A machine that has ended by itself is judged like one that was stopped, however fast it was gone."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from builder.assemble import cpio
from builder.boot.smoke import smoke
from builder.configure.recipes import load_platform
from builder.definition import DebianSource, Definition, Run, Smoke
from builder.model import Accelerator, CheckResult, File, Image
from tests.conftest import REPOSITORY, make_checkout

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SOURCE = REPOSITORY / "tests/c/boot/guest.c"
SHUTDOWN = "clean shutdown"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel that Kiln makes for `hello`."""
    checkout = make_checkout(tmp_path_factory.mktemp("shutdown"))
    outcome = checkout.run("build", "--app", "hello")
    assert outcome.exit_code == 0, outcome.stderr
    return checkout.root / "dist/hello/kernel"


def shutdown(behaviour: str, kernel: Path, folder: Path) -> tuple[bool, CheckResult]:
    """The verdict, and what it says of the end of a machine whose every word comes only once its guest is gone."""
    program, rootfs, late = folder / "init", folder / "rootfs.cpio", folder / "qemu"
    subprocess.run(["musl-gcc", "-static", "-Os", "-w", f"-DBEHAVIOUR={behaviour}", "-o", program, SOURCE], check=True)
    tree = {
        "/dev": File("/dev", "directory", 0o755),
        "/dev/console": File("/dev/console", "character-device", 0o600, device=(5, 1)),
        "/init": File("/init", "file", 0o755, size_bytes=program.stat().st_size, host=str(program)),
    }
    rootfs.write_bytes(b"".join(cpio.archive(tree, lambda file: [Path(file.host).read_bytes()])))
    late.write_text(f'#!/bin/sh\nqemu-system-x86_64 "$@" > "{folder}/words"\nexec cat "{folder}/words"\n')
    late.chmod(0o755)
    evidence = folder / "evidence"
    evidence.mkdir()
    verdict = smoke(
        Definition(DebianSource(("none",)), Run(("/init",)), smoke=Smoke(60.0)),
        Image("guest", str(kernel), "", str(rootfs), 32, "microvm"),
        msgspec.structs.replace(load_platform(REPOSITORY / "recipes", "microvm"), qemu_binary=str(late)),
        Accelerator("tcg", "a test"),
        scratch=evidence,
        syscall_names={},
    )
    [found] = [check for check in verdict.checks if check.name == SHUTDOWN]
    return verdict.passed, found


@pytest.mark.parametrize("attempt", range(3))
def test_an_end_without_a_last_word_never_passes(kernel: Path, tmp_path: Path, attempt: int) -> None:
    passed, found = shutdown("no_last_word", kernel, tmp_path)
    assert not passed
    assert not found.passed
    assert found.detail.startswith("no last word of the agent: ")


@pytest.mark.parametrize("attempt", range(3))
def test_a_proper_end_is_always_judged(kernel: Path, tmp_path: Path, attempt: int) -> None:
    passed, found = shutdown("good", kernel, tmp_path)
    assert passed
    assert found.passed
