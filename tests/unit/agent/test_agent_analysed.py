"""The compiler's static analysis finds nothing in the agent, with all its parts (gcc's -fanalyzer)."""

import os
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "recipes" / "agents" / "kiln"
RECIPE = tomllib.loads((FOLDER / "agent.toml").read_text())
FLAGS = [*RECIPE["cflags"], *(flag for part in RECIPE["further"].values() for flag in part["cflags"])]


@pytest.mark.slow
def test_nothing_is_found(tmp_path: Path) -> None:
    def said(source: Path) -> str:
        words = ["musl-gcc", *FLAGS, "-fanalyzer", "-c", str(source), "-o", str(tmp_path / f"{source.stem}.o")]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300).stderr

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = "".join(pool.map(said, sorted(FOLDER.glob("*.c"))))
    assert found == ""
