"""QEMU's command line for an image, and the script that boots it by hand (pure).

Source: qemu-system-x86_64(1). What differs between machines and accelerators is data: `recipes/platforms/`.
"""

import shlex
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from builder.model import Accelerator, Image, Platform

# QEMU's user network (docs/system/devices/net.rst): the guest, its gateway
NETWORK = ("kiln_ip=10.0.2.15/24", "kiln_gw=10.0.2.2")
FW_CFG = "opt/kiln/secret/"  # items of QEMU's fw_cfg that users may add begin with opt/ (docs/specs/fw_cfg.rst)


def command(
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    *,
    ports: Mapping[int, int],
    qmp: str = "",
    disk: str = "",
    memory_mib: int = 0,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The argv that boots an image. `ports` maps guest ports to host ports on loopback; `qmp` is a
    socket's path; `disk` a raw disk file; `secrets` maps the image's secrets to files with their values. The serial
    console is QEMU's standard input and output.

    Raises KeyError for an accelerator that the platform does not know.
    """
    settings = platform.accelerators[accelerator.name]
    argv = [platform.qemu_binary, "-machine", platform.machine, *platform.qemu, *settings.qemu]
    argv += ["-m", f"{memory_mib or image.memory_mib}M", "-kernel", image.kernel, "-initrd", image.rootfs]
    argv += ["-append", " ".join(_parameters(image, platform, accelerator))]
    argv += ["-serial", "stdio"]
    if qmp:
        argv += ["-qmp", f"unix:{_file(qmp)},server=on,wait=off"]
    if image.ports:
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in sorted(ports.items()))
        argv += ["-netdev", f"user,id=n0{forwards}", "-device", platform.network_device.format(netdev="n0")]
    if disk:
        argv += ["-drive", f"id=d0,if=none,format=raw,file={_file(disk)}"]
        argv += ["-device", platform.block_device.format(drive="d0")]
    if image.watchdog:
        argv += platform.watchdog
    for name, file in sorted(secrets.items()):
        argv += ["-fw_cfg", f"name={FW_CFG}{name},file={_file(file)}"]
    return tuple(argv)


def _file(path: str) -> str:
    """A path inside an option's value: its commas are doubled."""
    return path.replace(",", ",,")


def own_ports(image: Image) -> Mapping[int, int]:
    """Guest port → host port for everything an image serves: itself, a privileged one from 8000 up; all different."""
    served = (*image.ports, *((image.agent_port,) if image.agent_port else ()))
    found = {guest: guest for guest in served if guest >= 1024}
    for guest in served:
        if guest < 1024:
            found[guest] = next(host for host in range(8000 + guest, 65536) if host not in found.values())
    return {guest: found[guest] for guest in served}


def _parameters(image: Image, platform: Platform, accelerator: Accelerator) -> tuple[str, ...]:
    network = NETWORK if image.ports and not image.dhcp else ()
    further = (*network, *(platform.secret_parameters if image.secrets else ()))
    return (*platform.kernel_parameters, *platform.accelerators[accelerator.name].kernel_parameters, *further)


def script(image: Image, platform: Platform) -> str:
    """`run.sh`: boots the image in its folder by hand, the serial console on the terminal (`stop` and Enter end it)."""
    ports = own_ports(image)
    lines = [
        "#!/bin/sh",
        f"# Boots {image.name} by hand; the console is this terminal. Type stop and Enter to end it.",
        "# ACCEL=kvm or tcg, MEMORY in MiB, DISK a raw disk file, HOST_<port> the host's port for a guest's port.",
        *_secrets_by_hand(image),
        'cd "$(dirname "$0")" || exit 1',
        f'MEMORY="${{MEMORY:-{image.memory_mib}}}" ACCEL="${{ACCEL:-tcg}}" DISK="${{DISK:-data.img}}"',
    ]
    if image.disk_mib:
        make = f'truncate -s {image.disk_mib}M "$DISK" && /sbin/mkfs.ext4 -q "$DISK"'
        lines.append(f'[ -e "$DISK" ] || {{ {make} || exit 1; }}')
    lines.append('case "$ACCEL" in')
    for name in sorted(platform.accelerators):
        lines.append(f"{name}) exec {_by_hand(image, platform, name, ports)} ;;")
    lines += ['*) echo "ACCEL=$ACCEL: must be one of: ' + " ".join(sorted(platform.accelerators)) + '" >&2; exit 2 ;;']
    return "\n".join([*lines, "esac", ""])


def _secrets_by_hand(image: Image) -> Iterator[str]:
    """Shell that makes QEMU's arguments of SECRETS, before it leaves the folder that their files are named in."""
    if not image.secrets:
        return

    def refuse(why: str) -> str:
        return f'echo "SECRETS: {why}" >&2; exit 2'

    yield f'# SECRETS="name=file …" hands over what the image declares: {", ".join(image.secrets)}'
    yield "set -f -- && given="
    yield "for secret in $SECRETS; do"
    yield '  name="${secret%%=*}" file="${secret#*=}" given="$given ${secret%%=*} "'
    yield f'  case "$name" in {"|".join(image.secrets)}) ;; *) {refuse("$name: the image has no such secret")} ;; esac'
    yield '  case "$file" in /*) ;; *) file="$PWD/$file" ;; esac'
    yield f'  [ -f "$file" ] && [ -r "$file" ] || {{ {refuse("$name: $file cannot be read")}; }}'
    yield f'  set -- "$@" -fw_cfg "name={FW_CFG}$name,file=$(printf %s "$file" | sed s/,/,,/g)"'
    yield "done"
    for name in image.secrets:
        yield f'case "$given" in *" {name} "*) ;; *) {refuse(f"{name}=FILE is missing")} ;; esac'


def _by_hand(image: Image, platform: Platform, accelerator: str, ports: Mapping[int, int]) -> str:
    here = Image(image.name, "kernel", "", "rootfs.cpio", image.memory_mib, platform.name, image.ports)
    here = msgspec.structs.replace(here, secrets=image.secrets, watchdog=image.watchdog, dhcp=image.dhcp)
    chosen = Accelerator(accelerator, "by hand")  # type: ignore[arg-type]
    disk = "$DISK" if image.disk_mib else ""
    argv = command(here, platform, chosen, ports=ports, disk=disk)
    words = []
    for word in argv:
        quoted = shlex.quote(word)
        if word == f"{image.memory_mib}M":
            quoted = '"${MEMORY}M"'
        elif "$DISK" in word:
            quoted = f'"{word}"'
        elif word.startswith("user,id=n0"):
            for guest, host in ports.items():
                word = word.replace(f":{host}-:", f":${{HOST_{guest}:-{host}}}-:")  # noqa: PLW2901
            quoted = f'"{word}"'
        words.append(quoted)
    return " ".join([*words, '"$@"'] if image.secrets else words)
