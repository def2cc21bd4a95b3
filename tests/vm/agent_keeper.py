"""A lab with an application that has secrets and is asked how it is; agent and kernel are made for both."""

import os
import subprocess
from pathlib import Path

import pytest

from builder import protection
from builder.definition import BuildSource, Definition, Network, Run
from builder.definition_guard import Protect
from builder.model import Needs
from tests.conftest import REPOSITORY
from tests.vm.agent_machine import Lab
from tests.vm.test_agent_machine import agent

SOURCE = REPOSITORY / "tests" / "c" / "agent" / "keeper.c"
NEEDS = ("guard", "secrets")


def policy(*ports: int) -> str:
    """Lines for agent.conf with which the guard lets the application do nothing but serve these ports."""
    definition = Definition(BuildSource(), Run(("/bin/guest",)), network=Network(ports), protect=Protect())
    return "".join(f"guard {line}\n" for line in protection.policy(definition, Needs((), ()), ["/bin/guest"]))


def lab_of_keeper(factory: pytest.TempPathFactory) -> Lab:
    """`KILN_TEST_KERNEL` names another kernel than the one made here."""
    folder = factory.mktemp("keeper")
    program = folder / "guest"
    subprocess.run(["musl-gcc", "-static", "-Os", "-Wall", "-o", str(program), str(SOURCE)], check=True)
    if chosen := os.environ.get("KILN_TEST_KERNEL"):
        kernel = Path(chosen)
    else:
        from tests.vm.agent_kernel import build  # noqa: PLC0415

        kernel = build(program, REPOSITORY / "recipes", REPOSITORY / "images", NEEDS, secrets=True, health=True)
    made = agent(network=True, secrets=True, health=True)
    return Lab(kernel, made, program.read_bytes(), factory.mktemp("images"))
