"""Host tools: which of the table `recipes/host/tools.tsv` are on this machine, and in what version."""

import os
import re
import shutil
from pathlib import Path

from builder.edges.process import run
from builder.errors import BuilderError, DefinitionError
from builder.value import Value

ADMINISTRATORS = "/usr/sbin:/sbin"  # where mkfs.ext4 is, and not on every user's PATH
ASK_LIMIT_S = 10.0


class Tool(Value, frozen=True):
    """One line of the table: any of `probes` (a command's name or an absolute path) shows that it is there."""

    package: str
    probes: tuple[str, ...]
    why: str


class ToolStatus(Value, frozen=True):
    """A tool as this machine has it; `name` is the probe that was found, or the first of those that were not."""

    name: str
    package: str
    found: bool
    version: str  # empty: not found, or it does not say
    why: str


def read_table(text: str, where: str = "tools.tsv") -> tuple[Tool, ...]:
    """The table's tools. Raises DefinitionError with the number of a line that has not three fields."""
    tools = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != len(Tool.__struct_fields__) or not all(fields):
            raise DefinitionError(
                f"{where}:{number}: not three fields", "package, probes and reason, separated by tabs"
            )
        tools.append(Tool(fields[0], tuple(fields[1].split()), fields[2]))
    return tuple(tools)


def check_tools(table: Path) -> tuple[ToolStatus, ...]:
    """Every tool of the table, in its order, with what is found of it here."""
    return tuple(_status(tool) for tool in read_table(table.read_text(), table.name))


def _status(tool: Tool) -> ToolStatus:
    found = next(((probe, place) for probe in tool.probes if (place := _find(probe))), None)
    if found is None:
        return ToolStatus(tool.probes[0], tool.package, False, "", tool.why)
    return ToolStatus(found[0], tool.package, True, _version(tool, *found), tool.why)


def _find(probe: str) -> str:
    """The path of a probe's command or file, or an empty text."""
    if probe.startswith("/"):
        return probe if Path(probe).exists() else ""
    return shutil.which(probe, path=f"{os.environ.get('PATH', os.defpath)}:{ADMINISTRATORS}") or ""


def _version(tool: Tool, name: str, place: str) -> str:
    """What the command says of itself; for files and taciturn commands what dpkg says of the package."""
    said = "" if name.startswith("/") else _ask(place, "--version")
    numbers = re.search(r"\d+(?:\.\d+)+\S*", said.partition("\n")[0])
    return numbers.group().strip("(),;") if numbers else _ask("dpkg-query", "-W", "-f=${Version}", tool.package)


def _ask(*argv: str) -> str:
    try:
        done = run(argv, timeout_s=ASK_LIMIT_S)
    except BuilderError:
        return ""
    return done.stdout.decode(errors="replace").strip() if not done.exit_code else ""
