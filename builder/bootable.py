"""What boots, as a value: an image with what its launcher must offer (pure)."""

from pathlib import Path

from builder.agent_recipe import Agent
from builder.definition import Definition
from builder.model import Image, Kernel, Layer, Platform


def image_of(
    definition: Definition,
    platform: Platform,
    kernel: Kernel,
    rootfs: Path,
    layers: tuple[Layer, ...],
    agent: Agent,
) -> Image:
    """The image of a definition, of files that are there, for a launcher."""
    return Image(
        name=definition.name,
        kernel=kernel.vmlinux,
        kernel_sha256=kernel.sha256,
        rootfs=str(rootfs),
        memory_mib=definition.machine.memory_mib,
        platform=platform.name,
        ports=definition.network.ports,
        dhcp=definition.network.is_lent,
        agent_port=agent.port,
        agent_pages=agent.pages,
        disk_mib=definition.disk.size_mib if definition.disk else 0,
        layers=layers,
        secrets=tuple(secret.name for secret in definition.secret),
        watchdog=bool(definition.agent.watchdog_s),
    )
