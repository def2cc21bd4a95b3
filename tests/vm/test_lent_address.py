"""An image whose address the network lends: built, guarded, with a root that nobody writes to, and checked."""

import json
import shutil
import zlib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Checkout, make_checkout

pytestmark = [pytest.mark.vm, pytest.mark.slow]

DEFINITION = """
profile = "common"
[source]
kind = "build"
toolchain = "musl"
[run]
command = ["/bin/app", "show", "/etc/resolv.conf", "serve", "8080", "200"]
[network]
ports = [8080]
address = "dhcp"
[[files.tmpfs]]
path = "/tmp"
[[smoke.check]]
kind = "log"
expect = "resolv.conf: mode=0644 uid=0 gid=0 .*crc=RESOLVER"
[[smoke.check]]
kind = "http"
contains = "ok"
"""
RESOLVER = b"nameserver 10.0.2.3\n".ljust(96, b"\n")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = make_checkout(tmp_path_factory.mktemp("lent"))
    text = DEFINITION.replace("RESOLVER", f"{zlib.crc32(RESOLVER):08x}")
    folder = checkout.define_program("keeper", text, (REPOSITORY / "tests/c/agent/keeper.c").read_text())
    shutil.copy(REPOSITORY / "images/hello/image.lock", folder)  # the kernel that the other tests compile
    outcome = checkout.run("build", "--app", "keeper", timeout_s=2400)
    assert outcome.exit_code == 0, outcome.stderr
    return checkout


def test_it_passes_its_checks_and_nothing_alarms_its_guards(built: Checkout) -> None:
    folder = built.root / "dist/keeper/current"
    report = json.loads((folder / "image.json").read_text())
    assert report["dhcp"]
    assert report["verdict"]["passed"]
    log = Path(report["verdict"]["serial_log"]).read_text()
    events = [json.loads(line) for line in log.splitlines() if line.startswith('{"event"')]
    [lease] = [event for event in events if event["event"] == "lease"]
    assert lease["address"] == "10.0.2.15/24"
    assert not {"guard", "alert", "refused", "error", "lease-lost"} & {event["event"] for event in events}


def test_its_kernel_has_no_more_for_it_than_a_socket_needs(built: Checkout) -> None:
    options = json.loads((built.root / "dist/keeper/current/options.json").read_text())
    assert not {"IP_PNP", "PACKET", "IP_MULTICAST"} & {option["name"] for option in options["options"]}
    assert {"setsockopt", "sendto"} <= set(options["syscalls"])
