"""Facts about this machine."""

import os
import shutil
from pathlib import Path


def identity(qemu: str, device: Path) -> tuple[str, ...]:
    """What a verdict on an accelerator depends on: kernel, processor, QEMU, the device. Cheap: files are only read."""
    processor = [line for line in _text("/proc/cpuinfo").splitlines()[:30] if line.startswith(("model name", "flags"))]
    binary = shutil.which(qemu)
    stamps = [_stamp(Path(binary)) if binary else "", _stamp(device)]
    return (_text("/proc/version"), _text("/etc/machine-id"), *processor, *stamps, str(os.geteuid()))


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_rdev} {found.st_mode} {found.st_gid}"
