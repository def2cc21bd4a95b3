"""Fixtures for all tests: a checkout of their own with the real code and recipes, and Kiln run as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

hypothesis.settings.register_profile("kiln", deadline=None)  # no test asserts a time
hypothesis.settings.load_profile("kiln")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job: our children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
REPOSITORY = Path(__file__).parent.parent
FAILURE_LINES = 12
MAKEFILE = """install: app
\tinstall -D -m 755 app $(DESTDIR)/bin/app
app: app.c
\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<
"""  # /bin/app of one C file
STORIES = (
    "tests/vm/test_rebuild.py",
    "tests/vm/test_watching.py",
    "tests/vm/test_attacks.py",
)  # tests that follow one another, or share machines


@dataclass(frozen=True)
class Outcome:
    """A finished run of Kiln."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Checkout:
    """A folder with Kiln's code and recipes and its own copy of the image definitions and results."""

    root: Path
    environment: Mapping[str, str]

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "invoke", *arguments]

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start Kiln and return its process, in its own process group."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.root,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, timeout_s: float = 1700, **environment: str) -> Outcome:
        """Run Kiln to its end."""
        process = self.start(*arguments, **environment)
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Outcome(process.returncode, stdout, stderr)

    def define(self, name: str, text: str) -> Path:
        """Write an image definition and return its folder."""
        folder = self.root / "images" / name
        folder.mkdir(exist_ok=True)
        (folder / "image.toml").write_text(text)
        return folder

    def define_program(self, name: str, text: str, source: str) -> Path:
        """The same for an image whose application, /bin/app, is compiled from one C file; `source` is its text."""
        folder = self.define(name, text)
        (folder / "src").mkdir(exist_ok=True)
        (folder / "src" / "app.c").write_text(source)
        (folder / "src" / "Makefile").write_text(MAKEFILE)
        return folder


def make_checkout(root: Path, **environment: str) -> Checkout:
    """A checkout in `root`; the cache is the session's unless `KILN_CACHE` is given."""
    shutil.copy(REPOSITORY / "tasks.py", root)
    (root / "builder").symlink_to(REPOSITORY / "builder")
    shutil.copytree(REPOSITORY / "recipes", root / "recipes")
    shutil.copytree(REPOSITORY / "images", root / "images")
    return Checkout(root, {**os.environ, "NO_COLOR": "1", "KILN_DATA": str(root / "data"), **environment})


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout that shares the session's cache."""
    root = tmp_path / "checkout"
    root.mkdir()
    return make_checkout(root)


@pytest.fixture
def cold_checkout(tmp_path: Path) -> Checkout:
    """A fresh checkout with an empty cache of its own."""
    root = tmp_path / "checkout"
    root.mkdir()
    return make_checkout(root, KILN_CACHE=str(tmp_path / "cache"))


def wait_for(condition: Any, limit_s: float, what: str) -> None:
    """Wait until `condition()` is true; fail the test when it is not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {limit_s} s for {what}")
        time.sleep(0.02)


class OneWorkerPerStory(LoadScopeScheduling):  # type: ignore[misc]
    """Spreads tests over the workers, but keeps a story on one. (The marker `xdist_group` would do it, but xdist 3.8
    writes the group where pytest 9.2 no longer reads it.)"""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return file if file in STORIES else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneWorkerPerStory:
    """The scheduler for `-n`."""
    return OneWorkerPerStory(config, log)


class FailuresAtOnce:
    """Tells of a failure when it happens: a run that is cut off has told what it knew."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal = config.pluginmanager.get_plugin("terminalreporter")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._terminal:
            words = "\n".join(report.longreprtext.splitlines()[-FAILURE_LINES:])
            self._terminal.write_line(f"\n{report.nodeid} ({report.when}, {report.duration:.0f} s):\n{words}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # one of xdist's workers: it reports to the one that tells
        config.pluginmanager.register(FailuresAtOnce(config))
