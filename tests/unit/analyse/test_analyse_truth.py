"""What programs really do is what the analysis said they could: every traced system call is among the needs."""

import subprocess
from pathlib import Path

import pytest

from builder.analyse import closure, needs
from builder.analyse.table import names
from builder.edges.store import Store
from tests.unit.analyse.programs import Build, tree, with_machine

FLAVOURS = [
    ("gcc", ("-O0",), False),
    ("gcc", ("-O2",), True),
    ("gcc", ("-Os", "-no-pie"), True),
    ("gcc", ("-O2", "-fno-plt", "-Wl,-z,now"), False),
    ("gcc", ("-static", "-O1"), False),
    ("musl-gcc", ("-static", "-O2"), False),
    ("musl-gcc", ("-static", "-Os"), True),
]


@pytest.mark.parametrize("source", ["work.c", "handler.c", "switch.c", "wrapper.c", "identity.c"])
@pytest.mark.parametrize(("compiler", "flags", "strip"), FLAVOURS)
def test_no_call_is_missed(
    build: Build, store: Store, tmp_path: Path, source: str, compiler: str, flags: tuple[str, ...], strip: bool
) -> None:
    program, out = build(source, *flags, compiler=compiler, strip=strip), tmp_path / "calls"
    subprocess.run([str(build("tracer.c", "-O2")), str(out), str(program)], timeout=60, check=False, cwd=tmp_path)
    traced = {names()[int(number)] for number in out.read_text().split()}
    files = tree({"/bin/app": program}) if "-static" in flags else with_machine({"/bin/app": program})
    found = set(needs.analyse(files, closure.resolve(files, ("/bin/app",)), store).syscalls())
    assert "exit_group" in traced
    assert traced - found == set()
    assert len(found) < len(names()) / 3
