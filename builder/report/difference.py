"""What `invoke analyse --against` prints for people (pure)."""

from collections.abc import Iterator, Sequence

from builder.analysis_documents import Change, Difference
from builder.report.analysis import chain, cut


def render(found: Difference) -> str:
    """What comes and what goes, each with who is responsible."""
    lines = [f"{found.old} → {found.new}: {_count(found.syscalls, found.kept)}", ""]
    for title, changes in (
        ("kernel options", found.options),
        ("features", found.features),
        ("system calls", found.syscalls),
    ):
        if changes:
            lines.append(f"  {title}:")
            lines += [line for change in changes for line in _change(change)]
            lines.append("")
    if found.files:
        lines.append("  files:")
        for file in found.files:
            versions = " → ".join(name for name in (file.old, file.new) if name)
            lines.append(cut(f"    {SIGNS[file.change]} {file.path}  {versions}".rstrip()))
        lines.append("")
    if not (found.syscalls or found.features or found.options):
        lines.append("  the same system calls, features and options")
    lines.append(f"  {found.seconds:.2f} s")
    return "\n".join(lines)


SIGNS = {"comes": "+", "goes": "-", "changed": "~"}


def _count(calls: Sequence[Change], kept: int) -> str:
    comes = sum(change.change == "comes" for change in calls)
    return f"{comes} system calls come, {len(calls) - comes} go, {kept} stay"


def _change(change: Change) -> Iterator[str]:
    needs = f"  ({', '.join(change.needs[:4])}{', …' if len(change.needs) > 4 else ''})" if change.needs else ""
    yield cut(f"    {SIGNS[change.change]} {change.name}{needs}")
    if change.functions:
        yield from chain(change.functions, "        by ", ", ")
    elif change.chain and not change.needs:
        yield from chain(change.chain, "        reached by ")
