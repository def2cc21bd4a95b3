"""Subprocesses: argv lists, time limits, and nothing left running."""

import os
import time
from pathlib import Path

import pytest

from builder.edges.process import run
from builder.errors import BuilderError, HostError


def test_output_and_exit_code_are_returned() -> None:
    done = run(["sh", "-c", "cat; echo oops >&2; exit 3"], timeout_s=10, stdin=b"in")
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"in", b"oops\n")


def test_a_missing_program_says_so_with_a_hint() -> None:
    with pytest.raises(HostError, match="kiln-no-such-program") as caught:
        run(["kiln-no-such-program"], timeout_s=1)
    assert "doctor" in caught.value.hint


def test_both_streams_can_go_to_a_log(tmp_path: Path) -> None:
    run(["sh", "-c", "echo out; echo err >&2"], timeout_s=10, log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_at_the_time_limit_the_whole_group_is_killed(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="did not finish"):
        run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout_s=0.5)
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.02)
    os.kill(child, 9)
    pytest.fail("the child of the killed command still runs")
