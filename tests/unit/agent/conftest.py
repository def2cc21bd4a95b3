"""The agent's pure parts, compiled for the host with address and undefined-behaviour sanitizers."""

import json
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
AGENT = REPOSITORY / "recipes" / "agents" / "kiln"
HARNESS = REPOSITORY / "tests" / "c" / "agent" / "harness.c"
PURE = (
    "text",
    "scan",
    "lines",
    "conf",
    "conf_values",
    "conf_mount",
    "conf_rule",
    "rule",
    "conf_secret",
    "conf_health",
    "conf_companion",
    "conf_dhcp",
    "dhcp_message",
    "kmsg",
    "tables",
    "address",
    "backoff",
    "http",
    "metrics",
    "calls",
    "guard_text",
    "digests",
    "sha256",
)
PARTS = ("-DKILN_SECRETS", "-DKILN_HEALTH", "-DKILN_COMPANION", "-DKILN_DHCP")  # what only some agents have
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
Ask = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that runs one pure part on inputs from stdin."""
    program = tmp_path_factory.mktemp("agent") / "harness"
    warnings = [flag for flag in tomllib.loads((AGENT / "agent.toml").read_text())["cflags"] if flag.startswith("-W")]
    sources = [str(AGENT / f"{name}.c") for name in PURE]
    flags = ["-std=c11", "-D_GNU_SOURCE", *PARTS, *SANITIZERS, *warnings, f"-I{AGENT}"]
    subprocess.run(["gcc", *flags, "-o", str(program), str(HARNESS), *sources], check=True)
    return program


@pytest.fixture(scope="session")
def ask(harness: Path) -> Ask:
    """Ask one part about inputs: one answer each. A finding of a sanitizer fails the test."""

    def asked(mode: str, *inputs: bytes | str) -> list[Any]:
        data = [value.encode() if isinstance(value, str) else value for value in inputs]
        framed = b"".join(len(value).to_bytes(4, "little") + value for value in data)
        done = subprocess.run([str(harness), mode], input=framed, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return answers(done.stdout, data)

    return asked


def answers(printed: bytes, inputs: Sequence[bytes]) -> list[Any]:
    """The answers, which must be as many as the inputs, in UTF-8 and valid JSON."""
    lines = printed.decode().split("\n")[:-1]
    assert len(lines) == len(inputs)
    return [json.loads(line) for line in lines]
