"""What `invoke analyse` prints for people (pure): a page that fits 100 columns, details only where asked for."""

import posixpath
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from builder.analysis_documents import TIERS, AgentCost, Analysis, Call, Feature, Opened, Proof, Saving, SwitchedOn
from builder.model import Unresolved
from builder.report import summary

WIDTH = 100
MOST_SAVINGS = 20
MOST_ROWS = 12  # of a list that is cut off unless everything is asked for


def render(found: Analysis, *, verbose: bool = False) -> str:
    """The whole page."""
    lines = [_title(found), ""]
    lines += _calls(found, verbose)
    lines += _options(found, verbose)
    lines += _unresolved(found.unresolved, verbose)
    lines += _files(found)
    lines += _plugins(found.plugins, verbose)
    lines += _hints(found)
    lines += _agent(found.agent_cost) if found.agent_cost else []
    lines.append(f"  {found.seconds:.2f} s")
    return "\n".join(lines)


def _title(found: Analysis) -> str:
    kept = [sum(need.tier != "hinted out" for need in needs) for needs in (found.syscalls, found.features)]
    counts = [(kept[0], "system call"), (kept[1], "feature")]
    counts += [(len(found.options), "kernel option"), (len(found.closure), "file")]
    start = f"{found.subject} ({found.machine}):"
    text = ", ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in counts)
    return f"{start} {text}" if len(start) + len(text) < WIDTH else f"{start}\n  {text}"


def _calls(found: Analysis, verbose: bool) -> Iterator[str]:
    for title, needs in (("system calls", found.syscalls), ("features", found.features)):
        if needs:
            yield f"  {title}: {tiers(needs)}"
            yield from table(needs) if verbose else _compact(needs)
            yield ""


def tiers(needs: Sequence[Call | Feature | SwitchedOn]) -> str:
    """How many needs each tier has."""
    counts = Counter(need.tier for need in needs)
    return " · ".join(f"{tier} {counts[tier]}" for tier in TIERS if counts[tier])


def _compact(needs: Sequence[Call | Feature]) -> Iterator[str]:
    """Names only, tier by tier."""
    for tier in TIERS:
        if names := [need.name.replace(" ", "\u00a0") for need in needs if need.tier == tier]:
            label = f"    {tier:<12}"
            for line in textwrap.wrap(
                " ".join(names), WIDTH - len(label), break_long_words=False, break_on_hyphens=False
            ):
                yield label + line.replace("\u00a0", " ")
                label = " " * len(label)


def table(needs: Iterable[Call | Feature]) -> Iterator[str]:
    """One line for each need: name, tier, sites, best evidence."""
    needs = list(needs)
    width = min(max((len(need.name) for need in needs), default=0), 34)
    for need in needs:
        best = short(need.evidence[0]) if need.evidence else ""
        yield cut(f"    {need.name:<{width}} {need.tier:<10} {need.sites:>4}  {best}".rstrip())


def short(proof: Proof) -> str:
    """A piece of evidence in one line: function@file+address, and how."""
    if not proof.file:
        return proof.says
    place = f"{proof.function or 'data'}@{posixpath.basename(proof.file)}"
    return f"{place}+{proof.address:#x}, {proof.how}" if proof.address else f"{place}, {proof.how}"


def _options(found: Analysis, verbose: bool) -> Iterator[str]:
    if not found.options:
        return
    yield "  kernel options that the needs switch on" + (f": {tiers(found.options)}" if found.traced else ":")
    labels = [option.name + ("" if option.value == "y" else f"={option.value}") for option in found.options]
    width = max(map(len, labels))
    for label, option in zip(labels, found.options, strict=True):
        needs = option.needs if verbose else option.needs[:3]
        more = f" and {len(option.needs) - len(needs)} more" if len(needs) < len(option.needs) else ""
        how = f"{option.tier:<10}  " if found.traced else ""
        line = f"    {label:<{width}}  {how}{', '.join(needs)}{more}"
        yield from textwrap.wrap(line, WIDTH, subsequent_indent=" " * (width + 6)) if verbose else [cut(line)]
    yield ""


def _unresolved(places: Sequence[Unresolved], verbose: bool) -> Iterator[str]:
    if not places:
        return
    any_call = sum("syscall:*" in place.assumed for place in places)
    extra = f", {any_call} of them could make any call" if any_call else ""
    yield f"  places that could not be decided: {len(places)}{extra}"
    if verbose:
        for place in places:
            what = ", ".join(place.assumed) or "nothing"
            where = f"{place.function}@{posixpath.basename(place.file)}+{place.address:#x}"
            yield cut(f"    {where}  {place.why} → {what}")
    else:
        groups = Counter((place.why, posixpath.basename(place.file), ", ".join(place.assumed)) for place in places)
        for (why, file, what), count in groups.most_common(MOST_ROWS):
            yield cut(f"    {count:>3} × {why} in {file} → {what or 'nothing'}")
        if len(groups) > MOST_ROWS:
            yield f"    and {len(groups) - MOST_ROWS} other kinds (--verbose)"
    yield ""


def _files(found: Analysis) -> Iterator[str]:
    yield "  files:"
    width = min(max(len(file.path) for file in found.closure), 56)
    for file in found.closure:
        yield cut(f"    {file.path:<{width}}  {file.why:<11}  {file.package}".rstrip())
    yield ""


def _plugins(opened: Sequence[Opened], verbose: bool) -> Iterator[str]:
    left = [plugin for plugin in opened if not plugin.packaged]
    if not left:
        return
    yield "  may be opened at run time, and not analysed (files.plugins takes them in):"
    for plugin in left if verbose else left[:MOST_ROWS]:
        many = f" ({plugin.files} files)" if plugin.files > 1 else ""
        yield cut(f"    {plugin.name}{many}  {plugin.why}")
    if not verbose and len(left) > MOST_ROWS:
        yield f"    and {len(left) - MOST_ROWS} more (--verbose)"
    yield ""


def _hints(found: Analysis) -> Iterator[str]:
    if found.hints:
        yield "  hints that hold:"
        yield from textwrap.wrap(" · ".join(found.hints), WIDTH, initial_indent="    ", subsequent_indent="    ")
        yield ""


def _agent(cost: AgentCost) -> Iterator[str]:
    yield f"  {summary.agent(cost)}:"
    for label, names in (("calls", cost.syscalls), ("options", cost.options)):
        if names:
            start = f"    {label:<9} "
            yield from textwrap.wrap(" ".join(names), WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
    yield ""


def alone(found: Sequence[Saving], *, verbose: bool = False) -> str:
    """What each function brings in alone, largest savings first."""
    lines = ["What would go without one function (and with it all that only it leads to):", ""]
    for saving in found if verbose else found[:MOST_SAVINGS]:
        where = " = ".join(name for name in (saving.function, saving.library) if name)
        lines.append(cut(f"  {where}" + (f"  (used by {', '.join(saving.users)} alone)" if saving.users else "")))
        for label, names in (("options", saving.options), ("features", saving.features), ("calls", saving.syscalls)):
            if names:
                text = f"      {label:<9} {' '.join(n.replace(' ', chr(160)) for n in names)}"
                wrapped = textwrap.wrap(text, WIDTH, subsequent_indent=" " * 16, break_on_hyphens=False)
                lines += [line.replace("\u00a0", " ") for line in wrapped]
        if saving.hint:
            lines.append(f"      hint      {saving.hint.splitlines()[1]}")
        else:
            lines += chain(saving.chain, "      no name to hint at; reached by ")
    if not verbose and len(found) > MOST_SAVINGS:
        lines.append(f"  and {len(found) - MOST_SAVINGS} more (--verbose)")
    if not found:
        lines.append("  nothing hangs on one function alone")
    lines += ["", 'A hint in image.toml: [[hint]], its function = "…", and reason = "…": why it never runs here.']
    return "\n".join(lines)


def chain(names: Sequence[str], start: str, between: str = " → ") -> list[str]:
    """A chain of callers, `function` alone where it stays in the file of the one before."""
    parts, before = [], ""
    for name in names:
        function, _, file = name.partition("@")
        file = posixpath.basename(file)
        parts.append(function if not file or file == before else f"{function}@{file}")
        before = file or before
    indent = " " * (len(start) - len(start.lstrip()) + 2)
    text = start + between.join(parts)
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def cut(line: str) -> str:
    """A line that fits the page."""
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
