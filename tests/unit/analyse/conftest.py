"""Programs compiled at test time, each once in a session."""

import subprocess
from pathlib import Path

import pytest

from builder.edges.store import Store
from tests.unit.analyse.programs import SOURCES, Build


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`build(source, *flags, compiler="gcc")`: the path of what it compiled to; `strip=True` strips it."""
    done: dict[object, Path] = {}

    def make(source: str, *flags: str, compiler: str = "gcc", strip: bool = False) -> Path:
        key = (source, flags, compiler, strip)
        if key not in done:
            out = tmp_path_factory.mktemp("built") / Path(source).stem
            options = [*flags, *(["-s"] if strip else [])]
            subprocess.run([compiler, "-o", str(out), str(SOURCES / source), *options], check=True, timeout=60)
            done[key] = out
        return done[key]

    return make


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for all tests, so that the C library is read once."""
    return Store(tmp_path_factory.mktemp("analysed"))


@pytest.fixture
def empty_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
