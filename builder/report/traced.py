"""The table at the end of `./invoke trace` (pure): what was recorded."""

from builder.traced import Trace


def rows(trace: Trace) -> tuple[tuple[str, str], ...]:
    """Label and value of each line."""
    sites = {call.site for call in trace.calls}
    made = sum(call.count for call in trace.calls)
    programs = sorted({call.program for call in trace.calls if call.program})
    libraries = [path for path in trace.files if path not in programs]
    return (
        ("system calls", f"{len(trace.syscalls())} different ones, made {made:,} times"),
        ("records", f"{len(trace.calls)}, told apart by place and arguments"),
        ("sites", f"{len(sites)} instructions"),
        ("programs", ", ".join(programs)),
        ("libraries", f"{len(libraries)} loaded"),
        ("files opened", str(len(trace.opened))),
    )


def render(trace: Trace) -> str:
    """The table as aligned text."""
    lines = rows(trace)
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"  {label:<{width}}  {value}" for label, value in lines)
