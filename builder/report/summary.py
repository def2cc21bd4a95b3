"""The table at the end of a build (pure): what came out, how large, how quick, and what to try next."""

from builder.analysis_documents import AgentCost
from builder.documents import Report


def rows(report: Report) -> tuple[tuple[str, str], ...]:
    """Label and value of each line of the final table."""
    kernel, verdict = report.kernel, report.verdict
    layers = ", ".join(f"{layer.name} {size(layer.size_bytes)}" for layer in report.layers)
    found = [
        ("kernel", f"{size(kernel.size_bytes)} (Linux {report.kernel_version}, code {size(kernel.text_bytes)})"),
        ("root file system", f"{size(report.rootfs_bytes)} ({layers})"),
        ("system calls", f"{report.syscalls_kept} kept of {report.syscalls_total}"),
        ("kernel options", f"{report.options} on, {report.options_requested} asked for, each with its reason"),
        *([("agent", agent(report.agent_cost))] if report.agent_cost else []),
        ("memory", f"{report.memory_mib} MiB given to the machine"),
    ]
    if verdict is None:
        return (*found, ("smoke test", "not run (--no-smoke)"))
    accelerator = f"{verdict.accelerator.name} ({verdict.accelerator.why})"
    passed = sum(check.passed for check in verdict.checks)
    outcome = "passed" if verdict.passed else "FAILED"
    if verdict.boot_s:
        found.append(("boot", f"{verdict.boot_s:.3f} s from QEMU's start to the first answer"))
    found.append(("accelerator", accelerator))
    return (*found, ("smoke test", f"{outcome}: {passed} of {len(verdict.checks)} checks"))


def agent(cost: AgentCost) -> str:
    """What the agent costs, in one line."""
    calls, options = len(cost.syscalls), len(cost.options)
    parts = [f"{calls} system call{'s' * (calls != 1)}", f"{options} kernel option{'s' * (options != 1)}"]
    parts.append(f"{size(cost.program_bytes)} ({size(cost.gzip_bytes)} with gzip)")
    parts += [f"{size(cost.resident_bytes)} of memory"] * bool(cost.resident_bytes)
    return f"{cost.name} alone costs {', '.join(parts)}"


def size(count_bytes: int) -> str:
    """A size for people: kB or MB, powers of ten."""
    return f"{count_bytes / 1e6:.2f} MB" if count_bytes >= 1_000_000 else f"{count_bytes / 1e3:.0f} kB"


def render(report: Report) -> str:
    """The table as aligned text."""
    lines = rows(report)
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"  {label:<{width}}  {value}" for label, value in lines)
