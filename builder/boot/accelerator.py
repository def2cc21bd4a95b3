"""Which accelerator to use: KVM only where a probe guest has run under it on this very machine; never silently."""

import os
from pathlib import Path

import msgspec

from builder.boot import probe
from builder.edges import host
from builder.edges.process import run, tail
from builder.edges.scratch import scratch_folder
from builder.edges.store import cache_root
from builder.errors import BuilderError, DefinitionError, HostError
from builder.model import Accelerator, Platform
from builder.value import Value, digest

PROBE_LIMIT_S = 2.0
KVM = Path("/dev/kvm")


class Remembered(Value, frozen=True):
    """What the probe found on a machine: `machine` is the digest of kernel, processor, QEMU and /dev/kvm."""

    machine: str
    works: bool
    seen: str


def choose(platform: Platform, forced: str = "") -> Accelerator:
    """The accelerator for this machine. `forced` (or KILN_ACCEL) overrides the choice, not the proof of KVM.

    Raises DefinitionError for a name that the platform does not know, HostError for forced KVM that does not work.
    """
    wanted = forced or os.environ.get("KILN_ACCEL", "")
    if wanted and wanted not in platform.accelerators:
        known = ", ".join(sorted(platform.accelerators))
        raise DefinitionError(f"accelerator {wanted!r}: platform {platform.name} has {known}")
    if wanted == "tcg":
        return Accelerator("tcg", "chosen")
    if "kvm" not in platform.accelerators:
        return Accelerator("tcg", f"platform {platform.name} has no other")
    if not KVM.exists():
        if wanted == "kvm":
            raise HostError("/dev/kvm: not there", "use tcg, or a machine with virtualisation")
        return Accelerator("tcg", "there is no /dev/kvm")
    found, how = _kvm(platform)
    if found.works:
        return Accelerator("kvm", f"{how}: a probe guest ran")
    if wanted == "kvm":
        raise HostError(f"KVM does not work here ({how}): {found.seen}", "use --accelerator tcg")
    return Accelerator("tcg", f"{how}: KVM {found.seen}")


def _kvm(platform: Platform) -> tuple[Remembered, str]:
    """The verdict on KVM, and whether it was probed now or is remembered."""
    memory = cache_root() / "accelerator.json"
    machine = digest(host.identity(platform.qemu_binary, KVM))
    try:
        known = msgspec.json.decode(memory.read_bytes(), type=Remembered)
        if known.machine == machine:
            return known, "remembered"
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        pass
    works, seen = prove(platform, "kvm")
    found = Remembered(machine, works, seen)
    memory.parent.mkdir(parents=True, exist_ok=True)
    scratch = memory.with_name(f".{memory.name}.{os.getpid()}")
    scratch.write_bytes(msgspec.json.encode(found))
    scratch.replace(memory)
    return found, "probed"


def prove(platform: Platform, name: str) -> tuple[bool, str]:
    """Whether a guest of a few bytes runs to its end under an accelerator within two seconds, and what was seen."""
    if name == "kvm" and not os.access(KVM, os.R_OK | os.W_OK):
        return False, "may not be opened by this user (group kvm?)"
    with scratch_folder("probe") as folder:
        guest = folder / "guest"
        guest.write_bytes(probe.guest())
        settings = platform.accelerators[name]
        argv = [platform.qemu_binary, "-machine", platform.machine, *platform.qemu, *settings.qemu, "-m", "32M"]
        argv += ["-kernel", str(guest), "-device", probe.DEVICE]
        try:
            done = run(argv, timeout_s=PROBE_LIMIT_S)
        except HostError:
            raise
        except BuilderError:
            return False, f"hangs: a probe guest did not end within {PROBE_LIMIT_S:.0f} s"
    if done.exit_code == probe.EXIT_CODE:
        return True, "runs"
    return False, f"fails: {tail(done.stderr, 1) or f'exit code {done.exit_code}'}"
