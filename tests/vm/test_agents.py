"""Other agents than our own, from the definition to a booted and checked image: none, and Debian's node exporter."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Checkout, make_checkout

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SERVICE = """
profile = "common"
[source]
kind = "build"
toolchain = "musl"
[run]
command = ["/bin/app", "serve", "8080", "200"]
[network]
ports = [8080]
[machine]
memory_mib = 96
[agent]
name = "node-exporter"
[[smoke.check]]
kind = "http"
contains = "ok"
[[smoke.check]]
kind = "http"
port = 9100
path = "/metrics"
contains = "node_memory_MemTotal_bytes"
[[smoke.check]]
kind = "http"
port = 9100
path = "/metrics"
contains = 'node_uname_info{domainname="(none)",machine="x86_64",nodename="watched"'
"""


def built(checkout: Checkout, name: str) -> Any:
    """What a build that passed says."""
    outcome = checkout.run("build", "--app", name, "--json", timeout_s=2400)
    assert outcome.exit_code == 0, outcome.stderr + outcome.stdout[-3000:]
    return outcome.document


def test_the_node_exporter_serves_its_figures_beside_the_application(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    checkout.define_program("watched", SERVICE, (REPOSITORY / "tests/c/agent/keeper.c").read_text())
    document = built(checkout, "watched")
    assert document["agent_cost"]["name"] == "node-exporter"
    assert document["agent_cost"]["program_bytes"] > 5_000_000
    lock = (checkout.root / "images/watched/image.lock").read_text()
    assert "prometheus-node-exporter" in lock


def test_without_an_agent_an_image_is_supervised_and_nothing_else(tmp_path: Path) -> None:
    text = (REPOSITORY / "images/hello/image.toml").read_text()
    text += '\n[agent]\nname = "none"\n[protect]\nmode = "off"\n'
    checkout = make_checkout(tmp_path)
    shutil.copytree(REPOSITORY / "images/hello", checkout.root / "images/alone", dirs_exist_ok=True)
    checkout.define("alone", text)
    document = built(checkout, "alone")
    assert document["agent_cost"]["name"] == "none"
    assert "CONFIG_KILN_GUARD=y" not in (checkout.root / "dist/alone/kernel.config").read_text()
