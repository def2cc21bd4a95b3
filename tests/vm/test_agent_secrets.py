"""Secrets in a real machine: handed over through QEMU's fw_cfg, readable by whom they are for, changeable by nobody."""

import os
import socket
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.boot.command import FW_CFG
from builder.configure.recipes import load_platform
from builder.definition_guard import Protect
from tests.conftest import REPOSITORY
from tests.vm import labs
from tests.vm.agent_machine import Lab, Machine
from tests.vm.labs import ORDINARY, policy

pytestmark = [pytest.mark.vm, pytest.mark.slow]

NO_SECRET = 124
WHERE = " ".join(load_platform(REPOSITORY / "recipes", "microvm").secret_parameters)
GUARDED = policy(Protect(), ports=())
READ_ONLY = "Read-only file system"
VALUE = b"correct horse battery staple"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("keeper", tmp_path_factory.mktemp("secrets"), further=("secrets", "health"))


def handed(folder: Path, values: Mapping[str, bytes]) -> list[str]:
    """QEMU's arguments that hand over values, by name."""
    argv = []
    for name, value in values.items():
        (folder / name).write_bytes(value)
        argv += ["-fw_cfg", f"name={FW_CFG}{name},file={folder / name}"]
    return argv


def shown(path: str, value: bytes, mode: str = "0400", owner: int = 1000) -> str:
    """What the application says of a secret that is whole."""
    return f"{path}: mode={mode} uid={owner} gid={owner} size={len(value)} crc={zlib.crc32(value):08x}"


def errors(machine: Machine) -> list[tuple[str, str]]:
    return [(event["what"], event["error"]) for event in machine.named("error")]


def test_secrets_are_files_that_their_user_reads_and_nobody_changes(lab: Lab, tmp_path: Path) -> None:
    values = {"db-password": VALUE, "tls.key": bytes(range(256)) * 256, "others": b"not for the application"}
    conf = (
        "secret db-password /run/secrets/db-password 1000 1000 0400\n"
        "secret tls.key /run/secrets/key.pem 0 0 0444\n"
        "secret others /run/secrets/others 1001 1001 0440\n"
    )
    words = (
        "show", "/run/secrets/db-password", "show", "/run/secrets/key.pem", "show", "/run/secrets/others",
        "list", "/run/secrets", "list", "/sys",
        "tamper", "/run/secrets/db-password", "show", "/run/secrets/db-password",
    )  # fmt: skip
    with lab.boot(*words, conf=ORDINARY + conf + GUARDED, more=WHERE, qemu=handed(tmp_path, values)) as machine:
        assert machine.end() == 0
    assert machine.output == [
        shown("/run/secrets/db-password", VALUE),
        shown("/run/secrets/key.pem", values["tls.key"], "0444", 0),
        "/run/secrets/others: Permission denied",
        "/run/secrets: 3 entries",
        "/sys: 0 entries",
        f"write: {READ_ONLY}",
        f"truncate: {READ_ONLY}",
        f"chmod: {READ_ONLY}",
        f"unlink: {READ_ONLY}",
        f"rename: {READ_ONLY}",
        f"create: {READ_ONLY}",
        shown("/run/secrets/db-password", VALUE),
    ]
    assert {event["kind"] for event in machine.named("guard")} == {"access"}  # each attempt is told
    assert not machine.named("error")


def test_root_cannot_change_them_either(lab: Lab, tmp_path: Path) -> None:
    conf = "secret one /run/secrets/one 0 0 0400\n"
    words = ("tamper", "/run/secrets/one", "show", "/run/secrets/one")
    with lab.boot(*words, conf=conf + GUARDED, more=WHERE, qemu=handed(tmp_path, {"one": VALUE})) as machine:
        assert machine.end() == 0
    assert {line.split(": ")[1] for line in machine.output[:-1]} == {READ_ONLY}
    assert machine.output[-1] == shown("/run/secrets/one", VALUE, owner=0)


def test_nothing_tells_a_secret(lab: Lab, tmp_path: Path) -> None:
    conf = (
        "network yes\nport 8080\nagent-port 9100\nheartbeat-ms 100\nverify-ms 100\n"
        "secret one /run/secrets/one 1000 1000 0400\n"
    )
    files = {"/etc/kiln/digests": b""}
    words = ("show", "/run/secrets/one", "listen", "8080", "forever")
    argv = handed(tmp_path, {"one": VALUE})
    with lab.boot(*words, conf=ORDINARY + conf, more=WHERE, qemu=argv, files=files) as machine:
        machine.wait_for_event("healthy")
        machine.wait_for_event("verified", 2)
        machine.wait_for_event("heartbeat", 2)
        pages = machine.get("/metrics").text + machine.get("/healthz").text
        machine.say("stop\n")
        assert machine.end() == 0
    assert machine.output == [shown("/run/secrets/one", VALUE)]
    assert VALUE.decode() not in pages + "\n".join(machine.lines)
    assert {(event["files"], event["changed"]) for event in machine.named("verified")} == {(0, 0)}


@pytest.mark.parametrize("parameters", [WHERE, ""], ids=["not-handed-over", "no-device"])
def test_a_secret_that_was_not_handed_over_ends_the_machine(lab: Lab, tmp_path: Path, parameters: str) -> None:
    conf = "secret one /run/secrets/one 0 0 0400\nsecret two /run/secrets/two 0 0 0400\n"
    with lab.boot("exit", "0", conf=conf, more=parameters, qemu=handed(tmp_path, {"one": VALUE})) as machine:
        assert machine.end() == NO_SECRET
    name = "two" if parameters else "one"
    assert errors(machine) == [(f"secret {name}", "not handed over: give it with --secret")]
    assert not machine.named("start")


@pytest.mark.parametrize(("size", "code"), [(1, 0), (4096, 0), (65536, 0), (65537, NO_SECRET)])
def test_a_secret_has_at_most_64_kib(lab: Lab, tmp_path: Path, size: int, code: int) -> None:
    value = os.urandom(size)
    conf = ORDINARY + "secret one /run/secrets/one 1000 1000 0400\n"
    argv = handed(tmp_path, {"one": value})
    with lab.boot("show", "/run/secrets/one", conf=conf, more=WHERE, qemu=argv) as machine:
        assert machine.end() == code
    assert machine.output == ([] if code else [shown("/run/secrets/one", value)])
    assert errors(machine) == ([("secret one", "larger than 64 KiB")] if code else [])


def test_there_is_room_for_all_of_them(lab: Lab, tmp_path: Path) -> None:
    values = {f"secret{number}": os.urandom(65536) for number in range(16)}
    conf = "".join(f"secret {name} /run/secrets/{name} 1000 1000 0400\n" for name in values)
    words = [word for name in values for word in ("show", f"/run/secrets/{name}")]
    with lab.boot(*words, conf=ORDINARY + conf, more=WHERE, qemu=handed(tmp_path, values)) as machine:
        assert machine.end() == 0
    assert machine.output == [shown(f"/run/secrets/{name}", value) for name, value in values.items()]


def test_the_agent_forgets_what_it_copied(lab: Lab, tmp_path: Path) -> None:
    """The machine's memory holds a secret once: in its file."""
    value = b"kiln-test-" + os.urandom(16).hex().encode()
    conf = "secret one /run/secrets/one 0 0 0400\n"
    dump = tmp_path / "dump"
    argv = [*handed(tmp_path, {"one": value}), "-monitor", f"unix:{tmp_path}/monitor,server=on,wait=off"]
    with lab.boot("print", "ready", "forever", conf=conf, more=WHERE, qemu=argv) as machine:
        machine.wait_for(lambda: machine.output, "output")
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(f"{tmp_path}/monitor")
            monitor.recv(4096)
            monitor.sendall(f'pmemsave 0 0x4000000 "{dump}"\n'.encode())
            machine.wait_for(lambda: dump.exists() and dump.stat().st_size == 64 << 20, "the dump")
    assert dump.read_bytes().count(value) == 1
