"""Machines whose kernel has the guard, with the application that tries everything."""

import os
import subprocess
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from builder import protection
from builder.definition import BuildSource, Definition, Network, Run
from builder.definition_guard import Protect
from builder.model import Needs
from tests.vm.agent_machine import Lab, Machine
from tests.vm.test_agent_machine import agent

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "recipes"
SOURCE = REPOSITORY / "tests" / "c" / "agent" / "attacker.c"
NOTHING = Needs((), ())
ORDINARY = "uid 1000\ngid 1000\n"


def attacker(folder: Path) -> Path:
    """The application that tries everything, static."""
    program = folder / "guest"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", str(program), str(SOURCE)], check=True)
    return program


def lab(folder: Path) -> Lab:
    """Its machines. `KILN_TEST_KERNEL` names another kernel than the one made here; it must have the guard."""
    program = attacker(folder)
    if chosen := os.environ.get("KILN_TEST_KERNEL"):
        kernel = Path(chosen)
    else:
        from tests.vm.agent_kernel import build  # noqa: PLC0415

        kernel = build(program, RECIPES, REPOSITORY / "images", ("guard", "syscall:ptrace", "socket:AF_PACKET"))
    return Lab(kernel, agent(network=True), program.read_bytes(), folder)


def policy(protect: Protect, needs: Needs = NOTHING, ports: tuple[int, ...] = (8080,)) -> str:
    """Lines for agent.conf as Kiln writes them for a definition."""
    definition = Definition(BuildSource(), Run(("/bin/guest",)), network=Network(ports), protect=protect)
    lines = "".join(f"guard {line}\n" for line in protection.policy(definition, needs, ["/bin/guest"]))
    return f"network yes\nagent-port 9100\n{lines}"


def values(machine: Machine) -> dict[str, float]:
    """The agent's metrics with labels in the keys."""
    families: list[Any] = list(text_string_to_metric_families(machine.get("/metrics").text))  # type: ignore[no-untyped-call]
    samples = (sample for family in families for sample in family.samples)
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}
