"""The bootstrap script `invoke`: what it decides on machines that lack something.

Stand-ins on a PATH of its own, no network. What it installs is proven on a bare Debian by `tests/bare/run`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
NEEDED = ("sh", "dirname", "cmp", "flock", "id", "rm", "mkdir", "cp", "mv", "tail", "env", "cat", "sleep", "touch")
TABLE = "# a comment\n\nmaker\tkiln-make\tbuilds\nlibrary\t{there}\treads\nfirmware\t/nowhere/bios.bin {there}\tboots\n"


@dataclass(frozen=True)
class Machine:
    """A checkout and a PATH with nothing but what Debian's minimal system has, and stand-ins."""

    root: Path
    path: Path

    def command(self, name: str, script: str) -> None:
        """Put a stand-in for a command on the PATH."""
        file = self.path / name
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def invoke(
        self, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        given: Mapping[str, str] = {"PATH": str(self.path), "HOME": str(self.root), **environment}
        return subprocess.run(
            [str(self.root / "invoke"), *arguments],
            env=given, cwd=cwd or self.root, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it in a process group of its own."""
        return subprocess.Popen(
            [str(self.root / "invoke"), *arguments],
            env={"PATH": str(self.path), "HOME": str(self.root)}, cwd=self.root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def make_ready(self) -> None:
        """Put in place what a finished bootstrap leaves: here a `.venv` whose python tells how it was started."""
        folder = self.root / ".venv" / "bin"
        folder.mkdir(parents=True)
        self.command("interpreter", 'echo "started in $PWD: $*"')
        (folder / "python").symlink_to(self.path / "interpreter")
        shutil.copy(self.root / "requirements.lock", self.root / ".venv" / "stamp.lock")
        (self.root / ".venv" / "stamp").write_text(f"{self.path / 'interpreter'}\n{self.root}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root, path = (tmp_path / "checkout").resolve(), tmp_path / "bin"
    (root / "recipes/host").mkdir(parents=True)
    path.mkdir()
    shutil.copy(REPOSITORY / "invoke", root)
    (root / "recipes/host/tools.tsv").write_text(TABLE.format(there=root / "invoke"))
    (root / "requirements.lock").write_text("nothing==1\n")
    for name in NEEDED:
        (path / name).symlink_to(shutil.which(name) or name)
    machine = Machine(root, path)
    machine.command("python3", f'exec {sys.executable} "$@"')
    machine.command("kiln-make", "exit 0")
    machine.command("apt-get", f'echo "apt-get $*" >>{tmp_path}/calls; exit 1')
    machine.command("id", "echo 1000")
    return machine


class TestWhenEverythingIsInPlace:
    def test_invoke_runs_with_the_same_arguments_where_the_user_stands(self, machine: Machine, tmp_path: Path) -> None:
        machine.make_ready()
        done = machine.invoke("build", "--app", "two words", cwd=tmp_path)
        assert done.stdout.splitlines()[0] == (
            f"started in {tmp_path}: -P -m invoke --write-pyc --search-root {machine.root} build --app two words"
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_it_is_found_through_a_path_with_blanks(self, machine: Machine, tmp_path: Path) -> None:
        moved = Machine(tmp_path / "my checkout", machine.path)
        machine.root.rename(moved.root)
        (moved.root / "recipes/host/tools.tsv").write_text("maker\tkiln-make\tbuilds\n")
        moved.make_ready()
        assert "my checkout" in moved.invoke("list").stdout


class TestWhenAHostToolIsMissing:
    def test_the_one_command_is_printed_and_the_exit_code_is_4(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        machine.command("sudo", "exit 1")
        done = machine.invoke("build")
        assert done.returncode == 4
        assert "error: missing on this machine: maker\n" in done.stderr
        assert "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends maker'" in done.stderr
        assert not (machine.root.parent / "calls").exists()

    def test_without_sudo_the_command_is_one_for_su(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        done = machine.invoke("build")
        assert done.returncode == 4
        assert "su - -c 'apt-get update && apt-get install" in done.stderr

    def test_without_apt_the_packages_are_named(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        (machine.path / "apt-get").unlink()
        done = machine.invoke("build")
        assert done.returncode == 4
        assert "maker" in done.stderr
        assert "Debian's names" in done.stderr

    def test_every_one_is_named_at_once(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        (machine.root / "recipes/host/tools.tsv").write_text("a\tkiln-make\tx\nb\t/nowhere\ty\nc\tsh\tz\n")
        assert "missing on this machine: a b\n" in machine.invoke("build").stderr

    def test_it_is_noticed_even_when_the_virtual_environment_is_ready(self, machine: Machine) -> None:
        machine.make_ready()
        (machine.path / "kiln-make").unlink()
        assert machine.invoke("build").returncode == 4


class TestWhenAptMayBeUsed:
    def test_packages_are_installed_through_passwordless_sudo(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        machine.command("sudo", '[ "$1" != -n ] || shift; exec "$@"')
        machine.command("true", "exit 0")
        machine.command(
            "apt-get", f"printf '#!/bin/sh\\n' >{machine.path}/kiln-make; chmod +x {machine.path}/kiln-make"
        )
        (machine.path / "chmod").symlink_to(shutil.which("chmod") or "chmod")
        machine.make_ready()
        done = machine.invoke("list")
        assert "installing by apt: maker" in done.stderr
        assert done.stdout.startswith("started in")

    def test_the_index_is_refreshed_only_when_installing_failed(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        machine.command("id", "echo 0")
        machine.command("dpkg", "exit 0")
        done = machine.invoke("list")
        calls = (machine.root.parent / "calls").read_text().splitlines()
        assert [call.split()[1] for call in calls] == ["install", "update"]
        assert all("maker" in call for call in calls if "install" in call)
        assert done.returncode == 4
        assert "apt could not install: maker" in done.stderr

    def test_a_package_that_does_not_bring_its_tool_is_an_error(self, machine: Machine) -> None:
        (machine.path / "kiln-make").unlink()
        machine.command("id", "echo 0")
        machine.command("apt-get", "exit 0")
        done = machine.invoke("list")
        assert done.returncode == 4
        assert "still not found after installing: maker" in done.stderr


class TestWhenPythonIsNotEnough:
    def test_one_without_venv_asks_for_python3_venv(self, machine: Machine) -> None:
        machine.command("python3", f"echo {machine.path}/python3; case $* in *ensurepip*) exit 1 ;; esac")
        done = machine.invoke("list")
        assert done.returncode == 4
        assert "missing on this machine: python3-venv\n" in done.stderr

    def test_one_that_is_too_old_is_named(self, machine: Machine) -> None:
        machine.command(
            "python3",
            "case $* in *version_info*) exit 1 ;; --version) echo Python 3.9.2 ;; "
            f"*) echo {machine.path}/python3 ;; esac",
        )
        done = machine.invoke("list")
        assert done.returncode == 4
        assert "Python 3.9.2 is too old" in done.stderr


@pytest.mark.slow
class TestTheVirtualEnvironment:
    """Real ones, of a lock that names no package, so that nothing is fetched."""

    @pytest.fixture
    def empty(self, machine: Machine) -> Machine:
        (machine.root / "requirements.lock").write_text("# nothing\n")
        return machine

    @staticmethod
    def made(machine: Machine) -> bool:
        return "making .venv" in machine.invoke("--version").stderr

    def test_it_is_made_once_and_again_when_lock_or_place_changed_or_it_was_left_unfinished(
        self, empty: Machine, tmp_path: Path
    ) -> None:
        assert self.made(empty)
        assert not self.made(empty)
        (empty.root / "requirements.lock").write_text("# still nothing\n")
        assert self.made(empty)
        (empty.root / ".venv" / "stamp").unlink()
        left = empty.root / ".venv" / "left-over"
        left.touch()
        assert self.made(empty)
        assert not left.exists()
        moved = Machine(tmp_path / "moved", empty.path)
        empty.root.rename(moved.root)
        (moved.root / "recipes/host/tools.tsv").write_text("")
        assert self.made(moved)
        assert not self.made(moved)

    def test_two_at_once_make_it_once(self, empty: Machine) -> None:
        both = [empty.start("--version") for _ in range(2)]
        said = "".join(process.communicate(timeout=120)[1] for process in both)
        assert said.count("making .venv") == 1
        assert said.count("waiting for another ./invoke") == 1
        assert not self.made(empty)

    @pytest.mark.parametrize("with_children", [True, False])
    def test_killed_at_any_moment_it_is_mended_by_the_next_run(self, empty: Machine, with_children: bool) -> None:
        for delay_s in (0.05, 0.5, 1.5, 3.0):
            process = empty.start("--version")
            time.sleep(delay_s)
            (os.killpg if with_children else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream
                stream.close()  # without waiting for children that go on
        self.made(empty)
        assert (empty.root / ".venv/stamp.lock").read_text() == "# nothing\n"
        done = subprocess.run([empty.root / ".venv/bin/python", "-m", "pip", "check"], capture_output=True, check=False)
        assert done.returncode == 0
        assert not self.made(empty)

    def test_a_package_without_its_digest_is_refused(self, empty: Machine) -> None:
        (empty.root / "requirements.lock").write_text("no-such-package-of-kiln==1\n")
        done = empty.invoke("--version", PIP_NO_INDEX="1")
        assert done.returncode == 5
        assert "pip could not install requirements.lock" in done.stderr
        assert self.made(empty), "an environment that was not finished is not used"

    def test_a_checkout_that_cannot_be_written_is_an_error(self, empty: Machine) -> None:
        (empty.root / ".venv").write_text("in the way, as a read-only file system would be")
        done = empty.invoke("--version")
        assert done.returncode == 11
        assert "cannot write there" in done.stderr
