"""The fuzzer's entry compiles with the compiler that is there, and its seeds harm no part of the agent.

`python -m tests.fuzz.agent` is the fuzzer itself (tests/fuzz/README.md); a find becomes a seed, or a test of its own.
"""

import subprocess
from pathlib import Path

from tests.fuzz.agent import ENTRY, seed
from tests.unit.agent.conftest import AGENT, PARTS, PURE, SANITIZERS


def test_every_seed_is_read_by_every_part(tmp_path: Path) -> None:
    program, corpus = tmp_path / "replay", tmp_path / "corpus"
    sources = [str(AGENT / f"{name}.c") for name in PURE]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-DREPLAY", *PARTS, *SANITIZERS, f"-I{AGENT}"]
    subprocess.run(["gcc", *flags, "-o", str(program), str(ENTRY), *sources], check=True)
    seed(corpus)
    files = sorted(str(path) for path in corpus.iterdir())
    assert len(files) > 300
    done = subprocess.run([str(program), *files], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
