"""The agent's two pages: requests are understood or refused, metrics are what OpenMetrics asks for."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

Ask = Callable[..., list[Any]]
METRICS, HEALTH = 1, 2
REST = " HTTP/1.1\r\nHost: a\r\n\r\n"


def parse(text: str) -> list[Any]:
    """The metric families, by the reference parser."""
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("request_text", "status", "page", "head"),
    [
        ("GET /metrics" + REST, 200, METRICS, 0),
        ("HEAD /metrics" + REST, 200, METRICS, 1),
        ("GET /healthz" + REST, 200, HEALTH, 0),
        ("GET /healthz?verbose=1" + REST, 200, HEALTH, 0),
        ("GET /metrics HTTP/1.0\r\n\r\n", 200, METRICS, 0),
        ("GET /metrics HTTP/1.1\nHost: a\n\n", 200, METRICS, 0),
        ("GET /" + REST, 404, 0, 0),
        ("GET /metricsx" + REST, 404, 0, 0),
        ("GET /metric" + REST, 404, 0, 0),
        ("GET ?" + REST, 404, 0, 0),
        ("POST /metrics" + REST, 405, METRICS, 0),
        ("get /metrics" + REST, 405, METRICS, 0),
        ("GET /metrics HTTP/2.0\r\n\r\n", 505, 0, 0),
        ("GET /metrics\r\n\r\n", 400, 0, 0),
        ("GET  /metrics" + REST, 400, 0, 0),
        ("GET /metrics HTTP/1.1 x\r\n\r\n", 400, 0, 0),
        ("GET /met\0rics" + REST, 400, 0, 0),
        ("\r\n\r\n", 400, 0, 0),
        ("\x16\x03\x01\x02\x00\n\n", 400, 0, 0),
    ],
)
def test_requests(ask: Ask, request_text: str, status: int, page: int, head: int) -> None:
    assert ask("http", request_text) == [[status, page, head]]


def test_nothing_is_decided_before_the_headers_are_complete(ask: Ask) -> None:
    whole = "GET /metrics" + REST
    parts = [whole[:size] for size in range(len(whole))]
    assert ask("http", *parts) == [[0, 0, 0]] * len(parts)


@pytest.mark.parametrize("device", ["eth0", 'a"b', "a\\b"])
def test_metrics_are_openmetrics(ask: Ask, device: str) -> None:
    [text] = ask("metrics", device)
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in parse(text)}
    assert all(family.documentation and family.type in {"gauge", "counter"} for family in families.values())
    assert families["process_cpu_seconds"].unit == "seconds"
    assert families["process_cpu_seconds"].samples[0].name == "process_cpu_seconds_total"
    assert families["process_cpu_seconds"].samples[0].value == 12.34
    assert families["process_start_time_seconds"].samples[0].value == 1700000000.123
    assert families["kiln_load_average"].samples[2].value == 2.99
    sent = {s.labels["device"]: s.value for s in families["kiln_network_transmit_drops"].samples}
    assert sent == {"lo": 8, device: 2**64 - 1}
    levels = {s.labels["level"]: s.value for s in families["kiln_kernel_messages"].samples}
    assert levels == {"emergency": 0, "alert": 0, "critical": 1, "error": 2, "warning": 3}


def test_a_unit_is_the_end_of_its_name(ask: Ask) -> None:
    [text] = ask("metrics", "eth0")
    for family in parse(text):
        ends = [unit for unit in ("bytes", "seconds") if family.name.endswith(f"_{unit}")]
        assert family.unit == (ends[0] if ends else "")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("HTTP/1.1 200 OK\r\n", 200),
        ("HTTP/1.0 404", 404),
        ("HTTP/1.1 599 ", 599),
        ("HTTP/1.1 20", 0),
        ("HTTP/1.1 2000", 200),
        ("HTTP/1.1 600 ", 0),
        ("HTTP/1.1 099 ", 0),
        ("HTTP/1.1  20 ", 0),
        ("HTTP/2.0 200 ", 0),
        ("SSH-2.0-OpenSSH_9.2", 0),
        ("", 0),
    ],
)
def test_the_status_of_an_answer(ask: Ask, answer: str, status: int) -> None:
    assert ask("status", answer) == [status]
