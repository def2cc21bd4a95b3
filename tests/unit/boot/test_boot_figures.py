"""Figures of machines: from pages and heartbeats, with their machine's labels, as one page and as a table."""

import pytest
from prometheus_client.core import Metric

from builder.boot import figures, serial, state
from builder.boot.figures import Machine
from builder.documents import Running
from builder.watch_tables import TopRow, duration, rates, size, top

PAGE = """\
# HELP kiln_application_healthy Whether it serves.
# TYPE kiln_application_healthy gauge
kiln_application_healthy 1
# HELP process_cpu_seconds CPU time.
# TYPE process_cpu_seconds counter
# UNIT process_cpu_seconds seconds
process_cpu_seconds_total 1.5
# HELP kiln_network_receive_bytes Bytes.
# TYPE kiln_network_receive_bytes counter
# UNIT kiln_network_receive_bytes bytes
kiln_network_receive_bytes_total{device="lo"} 100
kiln_network_receive_bytes_total{device="eth0"} 1000
# EOF
"""
BEAT = (
    '{"event":"heartbeat","mono":3.5,"seq":1,"up":true,"healthy":false,"cpu_ms":1500,"rss":4096,"refused":2,"odd":"x"}'
)
RUNNING = Running("web-1", "web", 1, 0.0, "tcg", 64, {})


def beat() -> serial.Event:
    event = serial.event_of(BEAT)
    assert event is not None
    return event


def samples(families: tuple[Metric, ...]) -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_heartbeat_has_the_names_and_units_of_the_page() -> None:
    assert samples(figures.of_heartbeat(beat())) == {
        "kiln_application_up": 1.0,
        "kiln_application_healthy": 0.0,
        "process_cpu_seconds_total": 1.5,
        "process_resident_memory_bytes": 4096.0,
        "kiln_refused_system_calls_total": 2.0,
    }


def test_machines_are_told_apart_on_one_page() -> None:
    page = Machine({"machine": "a-1", "image": "a"}, "page", figures.of_page(PAGE))
    by_beat = Machine({"machine": "b-1", "image": "b"}, "heartbeat", figures.of_heartbeat(beat()))
    silent = Machine({"machine": "c-1", "image": "c"}, "nothing", ())
    found = samples(figures.together([page, by_beat, silent]))
    assert found["process_cpu_seconds_total a-1 a"] == found["process_cpu_seconds_total b-1 b"] == 1.5
    assert found["kiln_network_receive_bytes_total eth0 a-1 a"] == 1000
    assert [found[f"kiln_machine_up {name}-1 {name}"] for name in "abc"] == [1, 1, 0]


def test_what_is_no_page_is_refused() -> None:
    for text in ("<html></html>", PAGE.removesuffix("# EOF\n"), "# EOF\n# EOF\n"):
        with pytest.raises(ValueError):  # noqa: PT011 - the parser's own
            figures.of_page(text)


def test_at_a_glance_devices_are_summed_and_rates_are_per_second() -> None:
    then = TopRow(RUNNING, state.State(), "page", figures.row(figures.of_page(PAGE)))
    later = figures.row(figures.of_page(PAGE.replace("1.5", "2.5").replace("} 1000", "} 3000")))
    assert then.figures.received == 1100
    (row,) = rates([then], [TopRow(RUNNING, state.State("healthy"), "page", later)], 2.0)
    assert (row.cpu, row.received, row.sent) == (0.5, 1000.0, None)
    (fresh,) = rates([], [row], 2.0)
    assert fresh.cpu is None
    (restarted,) = rates([row], [then], 2.0)
    assert restarted.cpu == 0.0


def test_the_table_has_a_line_for_each() -> None:
    row = TopRow(RUNNING, state.State("healthy", mono_s=65.0), "nothing", figures.Row())
    head, line = top([row]).splitlines()
    assert head.split()[:3] == ["MACHINE", "STATE", "UP"]
    assert line.split()[:5] == ["web-1", "healthy,", "silent", "1m", "5s"]
    assert top([]).split() == head.split()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (60, "1m 0s"), (7265, "2h 1m"), (90061, "1d 1h"), (-1, "0s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (0, "0B"), (999, "999B"), (1000, "1.0K"), (150e3, "146K"), (5e12, "4657G")]
)
def test_sizes(count: float | None, text: str) -> None:
    assert size(count) == text


def test_how_a_machine_is_follows_from_its_events() -> None:
    lines = [
        '{"event":"boot","mono":0.1,"agent":"kiln/1"}',
        '{"event":"start","mono":0.2,"pid":16,"restarts":0}',
        '{"event":"healthy","mono":0.3}',
        '{"event":"refused","mono":0.4,"nr":1}',
        '{"event":"crash","mono":0.5,"signal":11}',
        '{"event":"restart","mono":0.6,"restarts":1}',
        '{"event":"halt","mono":0.7,"code":139}',
    ]
    seen, now = [], state.State()
    for event in serial.events(lines):
        now = state.after(now, [event])
        seen.append(now.state)
    assert seen == ["booting", "starting", "healthy", "healthy", "restarting", "restarting", "ended"]
    assert (now.restarts, now.refused, now.code, now.mono_s) == (1, 1, 139, 0.7)
