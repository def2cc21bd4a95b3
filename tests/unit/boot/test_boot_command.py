"""QEMU's command line: golden ones per machine and accelerator, and the script that boots by hand."""

import itertools
import os
import re
import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest

from builder.boot.command import command, script
from builder.configure.recipes import load_platform
from builder.model import Accelerator, Image, Platform

REPOSITORY = Path(__file__).parents[3]
RECIPES = REPOSITORY / "recipes"
GOLDEN = REPOSITORY / "tests/golden/boot"
SERVING = Image("nginx", "/store/kernel", "", "/store/rootfs.cpio", 64, "", (8080,), agent_port=9100, disk_mib=64)
PUBLISHED = {9100: 41002, 8080: 41001}
MACHINES = ("microvm", "q35")
ACCELERATORS = ("tcg", "kvm")


def platform_named(name: str) -> Platform:
    return load_platform(RECIPES, name)


def without_network(image: Image) -> Image:
    return msgspec.structs.replace(image, ports=(), agent_port=0)


def line(
    image: Image, machine: str = "microvm", accelerator: str = "tcg", *, disk: str = "", qmp: str = "/run/kiln/qmp"
) -> tuple[str, ...]:
    ports = {guest: PUBLISHED[guest] for guest in (*image.ports, image.agent_port) if guest}
    chosen = Accelerator(accelerator, "golden")  # type: ignore[arg-type]
    return command(image, platform_named(machine), chosen, ports=ports, qmp=qmp, disk=disk)


def following(argv: tuple[str, ...], option: str) -> list[str]:
    """The values of an option that may stand several times."""
    return [value for word, value in itertools.pairwise(argv) if word == option]


@pytest.mark.parametrize("parts", ["network-disk", "network", "disk", "nothing"])
@pytest.mark.parametrize("accelerator", ACCELERATORS)
@pytest.mark.parametrize("machine", MACHINES)
def test_the_command_line_is_the_golden_one(machine: str, accelerator: str, parts: str) -> None:
    """A change here changes how every image boots: look at it, then write the files with KILN_GOLDEN=write."""
    image = SERVING if "network" in parts else without_network(SERVING)
    found = line(image, machine, accelerator, disk="/data/nginx.img" if "disk" in parts else "")
    text = "".join(f"{word}\n" for word in found)
    path = GOLDEN / f"nginx-{machine}-{accelerator}-{parts}.argv"
    if os.environ.get("KILN_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("machine", MACHINES)
def test_devices_stand_for_their_backends(machine: str) -> None:
    argv = line(SERVING, machine, disk="/data/nginx.img")
    assert not [word for word in argv if "{" in word or "}" in word]
    [backend], [drive] = following(argv, "-netdev"), following(argv, "-drive")
    network, disk = following(argv, "-device")
    assert ",id=n0," in backend
    assert "netdev=n0" in network
    assert drive.startswith("id=d0,")
    assert "drive=d0" in disk


def test_only_what_the_image_needs_is_offered() -> None:
    argv = line(without_network(SERVING))
    assert not following(argv, "-netdev")
    assert not following(argv, "-drive")
    assert not following(argv, "-device")
    assert "kiln_ip" not in " ".join(argv)


def test_ports_are_published_on_loopback_alone() -> None:
    [backend] = following(line(SERVING), "-netdev")
    assert re.findall(r"hostfwd=([^,]*)", backend) == ["tcp:127.0.0.1:41001-:8080", "tcp:127.0.0.1:41002-:9100"]


def test_the_guest_is_told_its_address_and_its_gateway() -> None:
    [parameters] = following(line(SERVING), "-append")
    assert parameters.split()[-2:] == ["kiln_ip=10.0.2.15/24", "kiln_gw=10.0.2.2"]


def test_one_that_asks_the_network_is_told_no_address() -> None:
    asking = msgspec.structs.replace(SERVING, dhcp=True)
    [parameters] = following(line(asking), "-append")
    assert "kiln_" not in parameters
    assert following(line(asking), "-netdev") == following(line(SERVING), "-netdev")
    assert "kiln_ip" in script(SERVING, platform_named("microvm"))
    assert "kiln_ip" not in script(asking, platform_named("microvm"))


def test_memory_can_be_another_than_the_images() -> None:
    chosen = Accelerator("tcg", "")
    argv = command(SERVING, platform_named("microvm"), chosen, ports=PUBLISHED, memory_mib=13)
    assert following(argv, "-m") == ["13M"]


def test_a_comma_in_a_disks_path_is_part_of_the_path() -> None:
    # qemu-system-x86_64(1): "commas in file names must be doubled"
    [drive] = following(line(SERVING, disk="/data/a,readonly=on.img"), "-drive")
    assert drive == "id=d0,if=none,format=raw,file=/data/a,,readonly=on.img"


def test_a_comma_in_the_sockets_path_is_part_of_the_path() -> None:
    assert following(line(SERVING, qmp="/run/a,b/qmp"), "-qmp") == ["unix:/run/a,,b/qmp,server=on,wait=off"]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_watchdog_is_there_where_the_image_asks_for_one_also_by_hand(tmp_path: Path, machine: str) -> None:
    watched = msgspec.structs.replace(without_network(SERVING), watchdog=True)
    assert "ib700" in following(line(watched, machine), "-device")
    assert following(line(watched, machine), "-watchdog-action") == ["reset"]
    assert "-device ib700" in script(watched, platform_named(machine))
    assert not following(line(SERVING, machine), "-watchdog-action")


KEEPING = msgspec.structs.replace(without_network(SERVING), secrets=("db-password", "tls.key"), disk_mib=0)
WHERE = "qemu_fw_cfg.ioport=12@0x510:0:1:4"


@pytest.mark.parametrize("machine", MACHINES)
def test_secrets_are_handed_over_as_files_and_not_on_the_kernels_command_line(machine: str) -> None:
    files = {"tls.key": "/keys/a,b", "db-password": "/keys/password"}
    argv = command(KEEPING, platform_named(machine), Accelerator("tcg", ""), ports={}, secrets=files)
    assert following(argv, "-fw_cfg") == [
        "name=opt/kiln/secret/db-password,file=/keys/password",
        "name=opt/kiln/secret/tls.key,file=/keys/a,,b",
    ]
    [parameters] = following(argv, "-append")
    assert parameters.split()[-1] == WHERE
    assert "/keys" not in parameters
    assert WHERE not in " ".join(line(SERVING, machine))


# ---- run.sh ---------------------------------------------------------------------------------------------------


def run_by_hand(text: str, folder: Path, **settings: str) -> list[str]:
    """Run the script with a QEMU that writes down its arguments; returns them."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "qemu-system-x86_64").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\npwd >&2\n')
    (tools / "qemu-system-x86_64").chmod(0o755)
    place = folder / "an image"
    place.mkdir(exist_ok=True)
    (place / "run.sh").write_text(text)
    (place / "data.img").touch()
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", **settings}
    done = subprocess.run(
        ["sh", place / "run.sh"], capture_output=True, text=True, env=environment, cwd=folder, check=True
    )
    assert done.stderr.strip() == str(place)
    return done.stdout.splitlines()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("image", [SERVING, without_network(SERVING)], ids=["serving", "without-network"])
def test_the_script_is_shell_and_names_nothing_of_this_machine(image: Image, machine: str) -> None:
    text = script(image, platform_named(machine))
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    assert text.startswith("#!/bin/sh\n")
    for own in (str(REPOSITORY), str(Path.home()), "/store/", "/tmp"):
        assert own not in text


@pytest.mark.parametrize("accelerator", ACCELERATORS)
@pytest.mark.parametrize("machine", MACHINES)
def test_the_script_boots_as_we_do(tmp_path: Path, machine: str, accelerator: str) -> None:
    """The same words as the command of a machine whose console is the terminal, with the files beside the script."""
    here = msgspec.structs.replace(SERVING, kernel="kernel", rootfs="rootfs.cpio")
    chosen = Accelerator(accelerator, "")  # type: ignore[arg-type]
    platform = platform_named(machine)
    ports = {8080: 8080, 9100: 9100}
    wanted = command(here, platform, chosen, ports=ports, disk="data.img")
    assert run_by_hand(script(SERVING, platform), tmp_path, ACCEL=accelerator) == list(wanted[1:])


def test_the_scripts_memory_disk_and_ports_are_settings(tmp_path: Path) -> None:
    text = script(SERVING, platform_named("microvm"))
    settings = {"MEMORY": "99", "DISK": "data.img", "HOST_8080": "41001"}
    said = tuple(run_by_hand(text, tmp_path, **settings))
    assert following(said, "-m") == ["99M"]
    assert following(said, "-drive") == ["id=d0,if=none,format=raw,file=data.img"]
    assert following(said, "-netdev") == [
        "user,id=n0,hostfwd=tcp:127.0.0.1:41001-:8080,hostfwd=tcp:127.0.0.1:9100-:9100"
    ]


def test_the_script_gives_every_port_a_host_port_of_its_own(tmp_path: Path) -> None:
    both = msgspec.structs.replace(SERVING, ports=(80, 8080, 808))
    [backend] = following(tuple(run_by_hand(script(both, platform_named("microvm")), tmp_path)), "-netdev")
    forwards = [forward.rsplit("-:", 1) for forward in re.findall(r"hostfwd=([^,]*)", backend)]
    assert sorted(guest for _, guest in forwards) == ["80", "808", "8080", "9100"]
    assert len({host for host, _ in forwards}) == 4


def test_each_of_the_scripts_ports_can_be_set_alone(tmp_path: Path) -> None:
    both = msgspec.structs.replace(SERVING, ports=(80, 8080))
    said = run_by_hand(script(both, platform_named("microvm")), tmp_path, HOST_80="41080", HOST_8080="41081")
    [backend] = following(tuple(said), "-netdev")
    assert "tcp:127.0.0.1:41080-:80" in backend.split(",hostfwd=")
    assert "tcp:127.0.0.1:41081-:8080" in backend.split(",hostfwd=")


def test_the_script_refuses_an_accelerator_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_text(script(without_network(SERVING), platform_named("microvm")))
    (tmp_path / "data.img").touch()
    done = subprocess.run(["sh", path], capture_output=True, text=True, env={"ACCEL": "warp"}, check=False)
    assert done.returncode == 2
    assert "kvm tcg" in done.stderr


def test_the_scripts_words_are_what_a_shell_makes_of_them() -> None:
    """No word of the command line is split or globbed by the shell."""
    text = script(SERVING, platform_named("microvm"))
    [by_hand] = [found for found in text.splitlines() if found.startswith("tcg)")]
    words = shlex.split(by_hand.removeprefix("tcg) exec ").removesuffix(" ;;"))
    assert words[words.index("-append") + 1].split()[0] == "console=ttyS0"


def test_the_script_hands_over_secrets_from_where_it_is_called(tmp_path: Path) -> None:
    for name in ("password", "a,b"):
        (tmp_path / name).write_text("x")
    text = script(KEEPING, platform_named("microvm"))
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    said = run_by_hand(text, tmp_path, SECRETS=f"db-password=password\ttls.key={tmp_path}/a,b")
    assert following(tuple(said), "-fw_cfg") == [
        f"name=opt/kiln/secret/db-password,file={tmp_path}/password",
        f"name=opt/kiln/secret/tls.key,file={tmp_path}/a,,b",
    ]
    [parameters] = following(tuple(said), "-append")
    assert parameters.split()[-1] == WHERE


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ("", "db-password=FILE is missing"),
        ("db-password=password", "tls.key=FILE is missing"),
        ("db-password=password tls.key=absent", "tls.key: {}/absent cannot be read"),
        ("db-password=password tls.key=tools", "tls.key: {}/tools cannot be read"),
        ("db-password=password other=password", "other: the image has no such secret"),
        ("*", "*: the image has no such secret"),
    ],
)
def test_the_script_refuses_what_the_image_did_not_ask_for(tmp_path: Path, secrets: str, said: str) -> None:
    (tmp_path / "password").write_text("x")
    (tmp_path / "tools").mkdir()
    (tmp_path / "run.sh").write_text(script(KEEPING, platform_named("microvm")))
    environment = {"PATH": os.environ["PATH"], "SECRETS": secrets}
    argv = ["sh", str(tmp_path / "run.sh")]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (2, f"SECRETS: {said.format(tmp_path)}\n")


def test_scripts_of_images_without_secrets_know_nothing_of_them() -> None:
    assert "SECRETS" not in script(SERVING, platform_named("microvm"))
