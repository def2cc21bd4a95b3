"""What `outdated` and `rebuild` print for people (pure)."""

from collections.abc import Iterator

from builder.rebuild_documents import Change, FileChange, ImageState, Outdated, Planned, Plans, RebuildReport, Rebuilt
from builder.report.analysis import cut
from builder.report.difference import render as render_difference

MOST = 6  # lines of one kind before the rest is counted


def render(found: Outdated, *, verbose: bool = False) -> str:
    """Image by image what changed, what it means and why; the summary last."""
    lines: list[str] = []
    for state in found.images:
        lines += _image(state, verbose=verbose)
    lines += [f"  {app}: no lock yet; build it first: ./invoke build --app {app}" for app in found.unlocked]
    if not found.affected:
        lines.append(f"\n  {_images(len(found.images))} up to date")
    else:
        security = f", {len(found.security)} for security" if found.security else ""
        kernels = f"; {found.kernels} kernel{'s' if found.kernels != 1 else ''} to build" if found.kernels else ""
        lines.append(f"\n  {len(found.affected)} of {_images(len(found.images))} to rebuild{security}{kernels}")
        lines.append("  next: ./invoke rebuild --outdated")
    return "\n".join(lines)


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"


def _image(state: ImageState, *, verbose: bool) -> Iterator[str]:
    yield f"  {state.app}: {state.verdict if state.changes else 'up to date'}"
    yield from (f"      {note}" for note in state.notes)
    for change in state.changes:
        yield from _change(change, verbose=verbose)


def _change(change: Change, *, verbose: bool) -> Iterator[str]:
    moves = sorted({f"{move.old} → {move.new}" for move in change.packages})
    security = " (security)" if change.security else ""
    yield cut(f"    {change.input} {', '.join(moves)}{security}: {change.verdict}")
    yield f"      {change.why}"
    if change.cves:
        shown = change.cves if verbose else change.cves[:MOST]
        more = f" and {len(change.cves) - len(shown)} more" if len(change.cves) > len(shown) else ""
        yield cut(f"      fixes {', '.join(shown)}{more}")
    if known := [cve for cve in change.kernel_cves if cve.verdict != "unknown"]:
        here = sum(cve.verdict == "in this kernel" for cve in known)
        yield f"      of {len(known)} with a record, {here} are in this kernel"
    yield from _cut_off([line for file in change.files for line in _file(file, verbose=verbose)], verbose)
    if change.kernel:
        present = [f"{c.path}: {', '.join(c.functions[:4]) or c.why}" for c in change.kernel.changes if c.present]
        yield from _cut_off([cut(f"      {line}") for line in present], verbose)
    if change.difference:
        yield from (f"    {line}" for line in render_difference(change.difference).splitlines()[:-1])
    if verbose:
        for entry in change.changelog:
            yield f"      {entry.version} ({entry.distribution}; urgency {entry.urgency})"
            yield from (f"      {line}" for line in entry.text.splitlines())


def _file(file: FileChange, *, verbose: bool) -> Iterator[str]:
    sign = {"changed": "~", "added": "+", "removed": "-"}[file.what]
    yield cut(f"      {sign} {file.path}")
    if verbose:
        for function in file.functions:
            reach = "can be reached" if function.reachable else "out of reach"
            yield cut(f"          {function.what} {function.name}: {reach}")
        if file.unnamed:
            yield f"          and {file.unnamed} without a name, {file.unnamed_reachable} of them can be reached"


def _cut_off(lines: list[str], verbose: bool) -> list[str]:
    if verbose or len(lines) <= MOST:
        return lines
    return [*lines[: MOST - 1], f"      … and {len(lines) - MOST + 1} more (--verbose)"]


def render_plan(found: Plans) -> str:
    """What a rebuild would do."""
    if not found.images:
        return "  nothing to rebuild"
    lines = [line for image in found.images for line in _planned(image)]
    return "\n".join([*lines, f"\n  about {found.estimate_s:.0f} s, by the last builds"])


def _planned(image: Planned) -> Iterator[str]:
    yield f"  {image.app:<12} {image.verdict:<16} about {image.estimate_s:.0f} s  {'; '.join(image.why)}"
    yield from (f"      {move.name} {move.old} → {move.new}" for move in image.moves)


def render_report(found: RebuildReport) -> str:
    """The table at the end of a rebuild."""
    if not found.images:
        return "  nothing to rebuild"
    lines = [_rebuilt(row) for row in found.images]
    bad = sum(row.outcome in ("failed", "refused") for row in found.images)
    tail = f"{_images(len(found.images))} in {found.seconds:.1f} s, {found.kernels} kernels compiled"
    return "\n".join([*lines, f"\n  {tail}{f', {bad} not promoted' if bad else ''}"])


def _rebuilt(row: Rebuilt) -> str:
    moves = ", ".join(f"{move.name} {move.new}" for move in row.moves[:3])
    kernel = "kernel compiled" if row.kernel_built else "kernel kept"
    why = f"  {row.why}" if row.why else ""
    return cut(f"  {row.app:<12} {row.outcome:<11} {row.verdict:<16} {row.seconds:7.2f} s  {kernel}  {moves}{why}")
