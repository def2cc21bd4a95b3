"""An agent is a layer: parts of process 1 may be left out, and a definition gets what it asks for or an error."""

import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from builder import agents
from builder.compile import agent
from builder.definition import AgentChoice, BuildSource, Definition, Network, Process, Run
from builder.definition_guard import Protect
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.model import Need, Needs

RECIPES = Path(__file__).parents[3] / "recipes"
PARTS = tuple(tomllib.loads((RECIPES / "agents" / "kiln" / "agent.toml").read_text())["further"])
NETWORKED = ("health", "dhcp")
BARE = Definition(
    source=BuildSource(), run=Run(("/bin/app",)), agent=AgentChoice("none"), protect=Protect("off"), name="app"
)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in (RECIPES / "agents").glob("*/agent.toml")))
@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_every_agent_compiles_for_every_image(tmp_path: Path, name: str, network: bool, asked: bool) -> None:
    folder, store = RECIPES / "agents" / name, Store(tmp_path)
    further = [part for part in PARTS if asked and part != "companion" and (network or part not in NETWORKED)]
    [init] = agent.build(folder, store, network=network, further=further).values()
    content = Path(init.host).read_bytes()
    assert (b"kiln_application_up" in content) == (name == "kiln" and network)
    assert (b"/etc/kiln/digests" in content) == (name != "none")
    assert (b"process-argument" in content) == (name == "node-exporter")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protect": Protect()}, "protect.mode"),
        ({"agent": AgentChoice("none", verify_first=True)}, "agent.verify_first"),
        ({"agent": AgentChoice("node-exporter")}, "network.ports"),
        ({"agent": AgentChoice("nobody")}, "nobody"),
        (
            {
                "agent": AgentChoice("node-exporter"),
                "network": Network((80,)),
                "process": (Process("node-exporter", ("/bin/x",)),),
            },
            r"process\[0\].name: the agent's own program is called node-exporter",
        ),
    ],
)
def test_what_an_agent_does_not_do_is_an_error(change: dict[str, object], words: str) -> None:
    assert agents.choose(BARE, RECIPES).pages == ()
    with pytest.raises(DefinitionError, match=words):
        agents.choose(replace(BARE, **change), RECIPES)


def test_the_policy_has_room_for_the_companion_and_no_more() -> None:
    wanted = replace(BARE, network=Network((80,)), agent=AgentChoice("node-exporter"), protect=Protect())
    chosen = agents.choose(wanted, RECIPES)
    theirs = Needs((), tuple(Need(f"syscall:{name}", ()) for name in ("connect", "execve", "mincore")))
    held, needs = agents.policed(wanted, Needs((), ()), chosen, theirs)
    assert held.protect.listen == ("9100/tcp",)
    assert needs.syscalls() == ("mincore",)
    assert chosen.command[1] == "--web.listen-address=:9100"
