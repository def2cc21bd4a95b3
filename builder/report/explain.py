"""Why something is in an image (pure): a system call, a kernel option, a file, a package."""

import difflib

from builder.documents import ImageFiles, ImageNeeds, ImageOptions, PlacedFile
from builder.errors import DefinitionError
from builder.model import Evidence, Need


def syscall(name: str, needs: ImageNeeds, options: ImageOptions) -> str:
    """Who asks for a system call, by which path, and which options it brings; or that the kernel refuses it."""
    found = [need for need in _all(needs) if need.id == f"syscall:{name}"]
    if name not in options.syscalls:
        near = difflib.get_close_matches(name, options.syscalls, 1)
        extra = f" (kept is {near[0]})" if near else ""
        return f"{name}: not kept. Nothing in this image can reach it; the kernel answers ENOSYS.{extra}"
    lines = [f"{name}: kept"]
    if not found:
        lines.append("  the kernel itself makes programs use it (signal return, restarted calls)")
    lines.extend(line for need in found for line in _need_lines(need))
    brought = [o.name for o in options.options if any(f"syscall:{name}" in r.needs for r in o.reasons)]
    lines.append(f"  options it asks for: {', '.join(brought) or 'none'}")
    return "\n".join(lines)


def option(name: str, options: ImageOptions, config: str) -> str:
    """The recipes and needs behind a kernel option; options nobody asked for show what `kernel.config` says."""
    name = name.removeprefix("CONFIG_")
    for asked in options.options:
        if asked.name == name:
            lines = [f"CONFIG_{name}={asked.value}: asked for"]
            for reason in asked.reasons:
                lines.append(f"  {reason.text}  [{reason.recipe}]")
                if reason.needs:
                    lines.append(f"    needed by {', '.join(reason.needs)}")
            return "\n".join(lines)
    lines = config.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"CONFIG_{name}="):
            notes: list[str] = []
            while number > 0 and lines[number - 1].startswith("# ") and "is not set" not in lines[number - 1]:
                number -= 1  # noqa: PLW2901 - walks up the comment above the option
                notes.insert(0, "  " + lines[number][2:])
            return "\n".join([f"{line}: not asked for", *notes])
    return f"CONFIG_{name}: off"


def file(path: str, needs: ImageNeeds, files: ImageFiles) -> str:
    """Which layer and package a file comes from and who needs it."""
    entry = next((f for f in files.files if f.path == path), None)
    if entry is None:
        near = difflib.get_close_matches(path, [f.path for f in files.files], 3)
        raise DefinitionError(f"{path} is not in the image", f"near it: {', '.join(near)}" if near else "")
    lines = [f"{path}: {entry.kind} of {entry.size_bytes} bytes in layer {entry.layer}, from {entry.origin}"]
    for loaded in (*needs.application.closure, *needs.agent.closure):
        if loaded.path == path:
            by = f"{loaded.why}, needed by {loaded.needed_by}" if loaded.needed_by else loaded.why
            lines.append(f"  {by}")
    return "\n".join(lines)


def package(name: str, files: ImageFiles) -> str:
    """The files a package brought into the image."""
    mine = [f for f in files.files if f.origin == f"deb:{name}"]
    if not mine:
        origins = sorted({f.origin.removeprefix("deb:") for f in files.files if f.origin.startswith("deb:")})
        raise DefinitionError(f"no file of package {name} is in the image", f"packages in it: {', '.join(origins)}")
    return "\n".join([f"{name}: {len(mine)} entries", *(_file_line(f) for f in mine)])


def _file_line(entry: PlacedFile) -> str:
    return f"  {entry.path}  {entry.size_bytes} bytes" if entry.kind == "file" else f"  {entry.path}  ({entry.kind})"


def _all(needs: ImageNeeds) -> tuple[Need, ...]:
    return (*needs.application.needs, *needs.agent.needs, *needs.definition)


def _need_lines(need: Need) -> list[str]:
    lines = [f"  for the {'application' if need.by == 'app' else need.by}, {need.sites} sites"]
    for evidence in need.evidence[:3]:
        lines.append("    " + _evidence(evidence))
        if evidence.chain:
            lines.append("      " + " → ".join(evidence.chain))
    return lines


def _evidence(evidence: Evidence) -> str:
    where = f"{evidence.file}+{evidence.address:#x}" if evidence.file else ""
    inside = f" in {evidence.function}" if evidence.function else ""
    return f"{evidence.how}: {where}{inside}" if where else evidence.how
