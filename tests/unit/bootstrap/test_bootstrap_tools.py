"""The table of host tools: how it is read, and what is found of it on this machine."""

from pathlib import Path

import pytest

from builder.edges.tools import Tool, check_tools, read_table
from builder.errors import DefinitionError

TABLE = Path(__file__).parents[3] / "recipes/host/tools.tsv"


def test_a_line_is_package_probes_and_reason() -> None:
    assert read_table("# a comment\n\nmake\tmake /bin/make\tkernel: runs its build\n") == (
        Tool("make", ("make", "/bin/make"), "kernel: runs its build"),
    )


@pytest.mark.parametrize("line", ["make", "make\tmake", "make\t\twhy", "make make why", "a\tb\tc\td"])
def test_a_line_that_has_not_three_fields_is_named(line: str) -> None:
    with pytest.raises(DefinitionError, match=r"tools.tsv:2: not three fields"):
        read_table(f"# first\n{line}\n")


def test_what_is_there_has_a_version_and_what_is_not_has_none(tmp_path: Path) -> None:
    table = tmp_path / "tools.tsv"
    table.write_text("gcc\tno-such-command gcc\tcompiles\nnone\t/nowhere /nowhere/either\tnothing\n")
    gcc, none = check_tools(table)
    assert (gcc.name, gcc.package, gcc.found, gcc.why) == ("gcc", "gcc", True, "compiles")
    assert gcc.version[0].isdigit()
    assert (none.name, none.found, none.version) == ("/nowhere", False, "")


def test_a_file_shows_a_package_too(tmp_path: Path) -> None:
    (tmp_path / "firmware.bin").touch()
    table = tmp_path / "tools.tsv"
    table.write_text(f"no-such-package\t/nowhere {tmp_path}/firmware.bin\tboots\n")
    (status,) = check_tools(table)
    assert (status.name, status.found, status.version) == (f"{tmp_path}/firmware.bin", True, "")


def test_administrators_commands_are_found_on_a_users_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    table = tmp_path / "tools.tsv"
    table.write_text("e2fsprogs\tmkfs.ext4\tmakes disks\n")
    assert check_tools(table)[0].found


def test_the_projects_own_table_is_complete_on_this_machine() -> None:
    statuses = check_tools(TABLE)
    assert [status.package for status in statuses if not status.found] == []
    assert all(status.version for status in statuses)
