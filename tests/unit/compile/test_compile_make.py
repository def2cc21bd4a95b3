"""Running make: every line is seen as it is printed, and an end that comes early leaves nothing half-made."""

import os
from pathlib import Path

import pytest

from builder.edges import make
from builder.errors import BuilderError, HostError

MAKEFILE = """\
all: whole half
whole:
	@echo done > $@
half:
	@echo begun > $@
	@echo started $$$$
	@sleep 60
"""


def build(folder: Path, *argv: str, on_line: object = print, limit_s: float = 30) -> int:
    with make.held(folder / "lock") as lock:
        assert lock is not None
        environment = {"PATH": os.environ["PATH"]}
        assert callable(on_line)
        return make.build(argv, env=environment, log=folder / "log", lock=lock, on_line=on_line, limit_s=limit_s)


def test_every_line_of_both_streams_is_passed_on_and_kept(tmp_path: Path) -> None:
    lines: list[str] = []
    code = build(tmp_path, "sh", "-c", "echo one; echo two >&2; exit 3", on_line=lines.append)
    assert (code, lines) == (3, ["one", "two"])
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_an_interrupted_make_removes_what_it_was_making_and_keeps_what_was_made(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)

    def interrupt(line: str) -> None:
        if line.startswith("started"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, "make", "-C", str(tmp_path), on_line=interrupt)
    assert (tmp_path / "whole").exists()
    assert not (tmp_path / "half").exists()
    with make.held(tmp_path / "lock", wait_s=0) as free:
        assert free is not None


def test_a_build_beyond_its_limit_is_ended(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match=r"sleep did not finish within 0 s"):
        build(tmp_path, "sleep", "60", limit_s=0.2)


def test_a_missing_program_is_the_hosts_fault(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no-such-make: not found"):
        build(tmp_path, "no-such-make")
