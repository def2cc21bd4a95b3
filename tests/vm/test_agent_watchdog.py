"""The watchdog in a real machine: it resets one whose process 1 hangs, and no other."""

import pytest

from builder.configure.recipes import load_platform
from tests.vm import labs
from tests.vm.agent_machine import LIMIT_S, Lab
from tests.vm.lab_kernel import RECIPES

pytestmark = [pytest.mark.vm, pytest.mark.slow]

DEVICE = load_platform(RECIPES, "microvm").watchdog


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("attacker", tmp_path_factory.mktemp("watchdog"), further=("watchdog",))


def test_a_machine_whose_process_1_hangs_is_reset(lab: Lab) -> None:
    with lab.boot("hold-init", conf="watchdog 4\n", qemu=DEVICE) as machine:
        assert machine.process.wait(LIMIT_S) == 0
    assert machine.output == ["hold-init: done"]
    assert machine.named("watchdog")[0]["limit"] == 4
    assert not machine.named("halt", "error")


def test_one_that_is_at_work_is_not(lab: Lab) -> None:
    with lab.boot("getppid", "100000", "wait", conf="watchdog 6\nheartbeat-ms 1000\n", qemu=DEVICE) as machine:
        machine.wait_for_event("heartbeat", 13)
        machine.say("stop\n")
        assert machine.end() == 0
