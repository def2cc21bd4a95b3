"""Why something is in an image (pure): a system call, a kernel option, a file, a package."""

import difflib
from collections.abc import Iterator, Sequence

from builder.analysis_documents import Call, Explained, Feature, Proof
from builder.documents import ImageFiles, ImageNeeds, ImageOptions, PlacedFile
from builder.errors import DefinitionError
from builder.report.analysis import chain


def need(found: Explained, known: Sequence[str]) -> list[str]:
    """Who asks for a system call or another need, by which path, and which options it brings; or that nobody does.

    `known` are the names there are, to suggest a near one."""
    if not found.asked_by and not found.kept:
        near = difflib.get_close_matches(found.need, known, 1)
        extra = f" (there is {near[0]})" if near else ""
        what = "the kernel answers ENOSYS" if ":" not in found.need else "no option is on for it"
        return [f"{found.need}: not kept. Nothing in this image can reach it; {what}.{extra}"]
    state = {True: "kept", False: "not kept", None: "would be kept (the image is not built)"}[found.kept]
    lines = [f"{found.need}: {state}"]
    if not found.asked_by:
        lines.append("  the kernel itself makes programs use it (signal return, restarted calls)")
    lines.extend(line for one in found.asked_by for line in asker(one))
    lines.append(f"  options it asks for: {', '.join(found.options) or 'none'}")
    return lines


def asker(one: Feature | Call) -> Iterator[str]:
    """Somebody's evidence for a need: how it was found, where, by which chain of calls, and how many other sites."""
    who = "application" if one.by == "app" else one.by
    tier = "" if one.tier == "reachable" else f", {one.tier}"
    yield f"  for the {who}{tier}, {one.sites} site{'s' * (one.sites != 1)}"
    for proof in one.evidence:
        plain = proof.how in ("found", "assumed: unresolved") or not proof.file
        yield f"    {proof.says}" + ("" if plain else f": {proof.how}")
        if proof.file:
            yield "      " + _place(proof)
        if owner := ", ".join(p for p in (proof.package, f"build-id {proof.build_id}" * bool(proof.build_id)) if p):
            yield f"      {owner}"
        if proof.chain:
            yield from chain(proof.chain, "      ")
    if (rest := one.sites - len(one.evidence)) > 0 and one.evidence:
        yield f"    and {rest} other site{'s' * (rest != 1)}"


def _place(proof: Proof) -> str:
    at = f"+{proof.address:#x}" if proof.address else ""
    inside = f" in {proof.function}" if proof.function else ""
    return f"{proof.file}{at}{inside}"


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
