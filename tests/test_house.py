"""The house rules of `CONTRIBUTING.md` that a program can hold: imports, sizes, definitions, tests, names, links."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from invoke.collection import Collection

import tasks
from builder.inputs import definition_file

ROOT = Path(__file__).parent.parent
STAGES = ("inputs", "analyse", "configure", "compile", "assemble", "package", "boot", "trace")
LONGEST_FILE = 300


def printed(*argv: str) -> str:
    """What a command prints; empty when it is not there or fails."""
    try:
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def own_files() -> tuple[Path, ...]:
    """The repository's files, those not committed yet included."""
    names = printed("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    files = tuple(ROOT / name for name in names if name and (ROOT / name).is_file())
    assert files, "the rules about files need a git checkout"
    return files


def test_imports_run_one_way() -> None:
    code = "from importlinter.cli import lint_imports_command as c; c()"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_of_the_builder_is_long() -> None:
    files = [*ROOT.glob("builder/**/*.py"), ROOT / "tasks.py"]
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in files}
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}


@pytest.mark.parametrize("name", [file.parent.name for file in sorted(ROOT.glob("images/*/image.toml"))])
def test_every_definition_loads_and_has_checks(name: str) -> None:
    definition = definition_file.load(ROOT / "images", name)
    assert definition.name == name
    assert tomllib.loads((ROOT / "images" / name / "image.toml").read_text())["smoke"]["check"]


def test_every_stage_has_unit_tests() -> None:
    assert [stage for stage in STAGES if not any((ROOT / "tests/unit" / stage).glob("test_*.py"))] == []


def hosts_of_this_machine() -> Iterator[str]:
    """The hosts that apt and pip use here, as their own settings name them; loopback says nothing about a machine."""
    sources = [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    settings = [file.read_text(errors="replace") for file in sources if file.is_file()]
    settings += [printed("apt-config", "dump"), printed(sys.executable, "-m", "pip", "config", "list")]
    for address in re.findall(r"\b(?:https?|ftp|tor\+https?)://[^\s'\"]+", "\n".join(settings)):
        host = urlsplit(address).hostname or ""
        if "." in host and not host.startswith("127."):
            yield host


def test_no_file_names_a_registry_of_this_machine_or_a_path_of_it() -> None:
    names = {re.escape(host) for host in hosts_of_this_machine()}
    places = {re.escape(str(place)) for place in (ROOT, Path.home()) if place != Path("/")}
    forbidden = re.compile("|".join([*names, *(rf"(?<![\w./-]){place}(?![\w-])" for place in places)]))
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in own_files()
        for match in forbidden.finditer(file.read_text(errors="replace"))
    ]
    assert found == []


def anchors(file: Path) -> set[str]:
    """The anchors of a document's headings, as hosts of Markdown make them."""
    headings = re.findall(r"^#+ +(.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_links_inside_the_documents_lead_somewhere() -> None:
    broken = []
    for file in own_files():
        if file.suffix != ".md":
            continue
        for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            if "://" in link or link.startswith("mailto:"):
                continue
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{file.relative_to(ROOT)}: {link}")
    assert broken == []


def test_paths_named_in_the_documents_are_there() -> None:
    """`builder/…`, `recipes/…`, `tests/…`, `docs/…` in backquotes, unless it has a placeholder."""
    missing = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in own_files()
        if file.suffix == ".md"
        for name in re.findall(r"`((?:builder|recipes|tests|docs)/[\w./-]+)`", file.read_text())
        if not (ROOT / name).exists()
    ]
    assert missing == []


def commands_named(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Task and options of every `./invoke …` in a document."""
    for words in re.findall(r"\./invoke ([^`\n#…|()]+)", file.read_text()):
        task, *arguments = words.split()
        if not task.startswith("-"):
            yield task.rstrip(".,;:"), [word.partition("=")[0] for word in arguments if word.startswith("--")]


def test_commands_named_in_the_documents_are_there() -> None:
    contexts = {context.name: set(context.flags) for context in Collection.from_module(tasks).to_contexts()}
    wrong = [
        f"{file.relative_to(ROOT)}: ./invoke {task} {' '.join(options)}"
        for file in own_files()
        if file.suffix == ".md"
        for task, options in commands_named(file)
        if task not in contexts or not contexts[task].issuperset(options)
    ]
    assert wrong == []


def test_the_readme_names_the_command_that_ci_runs() -> None:
    run = (ROOT / ".ci/run").read_text()
    readme = {(task, *options) for task, options in commands_named(ROOT / "README.md")}
    assert ("test",) in readme
    assert "./invoke check" in run
    assert "./invoke test 2>&1" in run
