"""Laboratories: machines for the agent's tests, all on one kernel, each with an application of its own."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from builder import protection
from builder.compile import agent as compiler
from builder.definition import BuildSource, Definition, Network, Run
from builder.definition_guard import Protect
from builder.edges.store import Store
from builder.model import Needs
from tests.vm import lab_kernel
from tests.vm.agent_machine import Lab, Machine

ORDINARY = "uid 1000\ngid 1000\n"
SERVING = "network yes\nport 8080\nagent-port 9100\n"
TMPFS = "mount tmpfs tmpfs /tmp nosuid,nodev,size=8m,mode=1777,uid=0\n"
NOTHING = Needs((), ())


def agent(*, network: bool = True, further: Collection[str] = ()) -> bytes:
    """Process 1 with these parts."""
    made = compiler.build(lab_kernel.RECIPES / "agents" / "kiln", Store(), network=network, further=further)
    return Path(made["/init"].host).read_bytes()


def lab(application: str, folder: Path, *, further: Collection[str] = ()) -> Lab:
    """Machines with an application of `tests/c/agent/`, static, and an agent with these parts."""
    program = lab_kernel.compiled(application, folder)
    return Lab(lab_kernel.build(), agent(further=further), program.read_bytes(), folder)


def offline(lab: Lab) -> Lab:
    """The same machines with an agent that has no network."""
    return Lab(lab.kernel, agent(network=False), lab.guest, lab.folder)


def policy(protect: Protect, needs: Needs = NOTHING, ports: tuple[int, ...] = (8080,)) -> str:
    """Lines for agent.conf as Kiln writes them for a definition."""
    definition = Definition(BuildSource(), Run(("/bin/guest",)), network=Network(ports), protect=protect)
    return "".join(f"guard {line}\n" for line in protection.policy(definition, needs, ["/bin/guest"]))


def guarded(protect: Protect, needs: Needs = NOTHING) -> str:
    """The same for a machine whose pages are asked from outside."""
    return f"network yes\nagent-port 9100\n{policy(protect, needs)}"


def values(machine: Machine) -> dict[str, float]:
    """The agent's metrics, read by the reference parser; labels in the keys."""
    answer = machine.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families: list[Any] = list(text_string_to_metric_families(answer.text))  # type: ignore[no-untyped-call]
    samples = (sample for family in families for sample in family.samples)
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def is_healthy(machine: Machine) -> bool:
    try:
        return machine.get("/healthz").ok
    except requests.RequestException:
        return False
