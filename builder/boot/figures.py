"""Figures of running machines: those of each from its agent's pages or its heartbeat, and all of them as one (pure).

The agent's text is OpenMetrics 1.0; names and meanings: `docs/reference/agent.md`.
"""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as older_format

from builder.boot.serial import Event
from builder.value import Value

# fact of a heartbeat → family, type, unit, what it is, and by how much it is multiplied
HEARTBEAT: Mapping[str, tuple[str, str, str, str, float]] = {
    "up": ("kiln_application_up", "gauge", "", "Whether the application runs", 1),
    "healthy": ("kiln_application_healthy", "gauge", "", "Whether it runs and listens on every declared port", 1),
    "restarts": ("kiln_application_restarts", "counter", "", "How often it was started again", 1),
    "crashes": ("kiln_application_crashes", "counter", "", "How often a signal ended it", 1),
    "processes": ("kiln_application_processes", "gauge", "", "Its processes", 1),
    "cpu_ms": ("process_cpu_seconds", "counter", "seconds", "Processor time of its processes", 0.001),
    "rss": ("process_resident_memory_bytes", "gauge", "bytes", "Memory its processes hold", 1),
    "open_files": ("process_open_fds", "gauge", "", "Descriptors its processes have open", 1),
    "memory": ("kiln_memory_size_bytes", "gauge", "bytes", "Memory of the machine", 1),
    "free": ("kiln_memory_free_bytes", "gauge", "bytes", "Memory nobody uses", 1),
    "refused": ("kiln_refused_system_calls", "counter", "", "System calls that the kernel does not have", 1),
    "changed_files": ("kiln_changed_files", "gauge", "", "Files that were not as they were built, the last time", 1),
    "lost": ("kiln_agent_lost_events", "counter", "", "Events that did not fit on the console", 1),
}


class Machine(Value, frozen=True):
    """What is known of one machine: how it is labelled, and its families; `source` is page, heartbeat or nothing."""

    labels: Mapping[str, str]
    source: str
    families: tuple[Metric, ...]


class Row(Value, frozen=True):
    """What `invoke top` shows of a machine; None where its agent does not tell. Times in seconds, sizes in bytes."""

    healthy: bool | None = None
    uptime_s: float | None = None
    cpu_s: float | None = None
    resident: float | None = None
    memory: float | None = None
    free: float | None = None
    open_files: float | None = None
    received: float | None = None
    sent: float | None = None
    restarts: float | None = None
    refused: float | None = None


def of_page(text: str) -> tuple[Metric, ...]:
    """The families of an agent's page: OpenMetrics, or the format before it, which has no end. Raises ValueError for
    what is neither."""
    if "# TYPE " in text and "# TYPE kiln_" not in text and not text.endswith("# EOF\n"):
        return tuple(older_format(text))
    return tuple(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def with_heartbeat(page: Sequence[Metric], heartbeat: Sequence[Metric]) -> tuple[Metric, ...]:
    """The families of a page that tells of the machine, not of the application: that is the heartbeat's part."""
    if any(family.name == "kiln_application_up" for family in page):
        return tuple(page)
    told = {family.name for family in heartbeat}
    return (*heartbeat, *(family for family in page if family.name not in told))


def of_heartbeat(event: Event) -> tuple[Metric, ...]:
    """The families that a heartbeat tells of."""
    families = []
    for fact, (name, kind, unit, what, scale) in HEARTBEAT.items():
        value = event.facts.get(fact)
        if isinstance(value, int | float):
            family = Metric(name, what, kind, unit)
            family.add_sample(f"{name}_total" if kind == "counter" else name, {}, float(value) * scale)
            families.append(family)
    return tuple(families)


def together(machines: Sequence[Machine]) -> tuple[Metric, ...]:
    """The families of all machines, each sample with its machine's labels, and whether each machine answered."""
    up = Metric("kiln_machine_up", "Whether the machine's agent was heard: by its page or its heartbeat", "gauge")
    seen: dict[str, Metric] = {up.name: up}
    for machine in machines:
        up.add_sample(up.name, {**machine.labels}, float(machine.source != "nothing"))
        for family in machine.families:
            one = seen.setdefault(family.name, Metric(family.name, family.documentation, family.type, family.unit))
            for sample in family.samples:
                one.add_sample(sample.name, {**sample.labels, **machine.labels}, sample.value)
    return tuple(seen.values())


def row(families: Iterable[Metric]) -> Row:
    """A machine's figures at a glance."""
    sums: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    healthy = sums.get("kiln_application_healthy")
    return Row(
        healthy=None if healthy is None else bool(healthy),
        uptime_s=sums.get("kiln_uptime_seconds"),
        cpu_s=sums.get("process_cpu_seconds_total"),
        resident=sums.get("process_resident_memory_bytes"),
        memory=sums.get("kiln_memory_size_bytes"),
        free=sums.get("kiln_memory_free_bytes"),
        open_files=sums.get("process_open_fds"),
        received=sums.get("kiln_network_receive_bytes_total"),
        sent=sums.get("kiln_network_transmit_bytes_total"),
        restarts=sums.get("kiln_application_restarts_total"),
        refused=sums.get("kiln_refused_system_calls_total"),
    )
