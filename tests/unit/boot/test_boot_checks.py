"""What a smoke test asks: the titles of its checks, and the agent's metrics as numbers."""

import math
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics import exposition

from builder.boot.builtin import parse_metrics
from builder.boot.checks import title
from builder.definition import Check, ExitCheck, HttpCheck, LogCheck, RebootCheck, TcpCheck

exported: Callable[[CollectorRegistry], bytes] = exposition.generate_latest


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (HttpCheck(), "GET /"),
        (HttpCheck(path="/items/1?x=y", method="DELETE", status=404), "DELETE /items/1?x=y"),
        (TcpCheck(), "tcp connect"),
        (TcpCheck(send="PING\r\n", expect="PONG"), "tcp PING"),
        (TcpCheck(send="x" * 100), "tcp " + "x" * 40),
        (LogCheck("^Hello"), "log ^Hello"),
        (ExitCheck(), "exit code 0"),
        (ExitCheck(3), "exit code 3"),
        (RebootCheck(), "reboot"),
    ],
)
def test_a_check_is_named_in_a_few_words(check: Check, words: str) -> None:
    assert title(check) == words


# ---- metrics ------------------------------------------------------------------------------------------------------


def test_every_sample_has_its_value() -> None:
    text = """# HELP kiln_application_up 1 while the application runs.
# TYPE kiln_application_up gauge
kiln_application_up 1
# TYPE kiln_memory_bytes gauge
kiln_memory_bytes{kind="free, not used"} 1.25e+07
kiln_memory_bytes{kind="used"} -3
kiln_missing NaN
# EOF
"""
    found = parse_metrics(text)
    assert math.isnan(found.pop("kiln_missing"))
    assert found == {
        "kiln_application_up": 1.0,
        'kiln_memory_bytes{kind="free, not used"}': 12_500_000.0,
        'kiln_memory_bytes{kind="used"}': -3.0,
    }


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=10).map("kiln_".__add__)
VALUES = st.floats(allow_nan=False)


@given(st.dictionaries(NAMES, st.dictionaries(st.text(), VALUES, max_size=4), max_size=4))
def test_what_a_real_exporter_writes_is_read_back(families: dict[str, dict[str, float]]) -> None:
    registry = CollectorRegistry()
    for name, samples in families.items():
        gauge = Gauge(name, "A gauge.", ["what"], registry=registry)
        for label, value in samples.items():
            gauge.labels(label).set(value)
    found = parse_metrics(exported(registry).decode())
    assert sorted(found.values()) == sorted(value for samples in families.values() for value in samples.values())
    assert {sample.split("{")[0] for sample in found} == {name for name, samples in families.items() if samples}


@pytest.mark.parametrize(
    "line", ["kiln_up", "kiln_up one", "kiln_up 1 ", "5", " 5", "<html>", "kiln_up{a=", "kiln_up 0x10"]
)
def test_a_line_that_is_no_sample_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_metrics(f"kiln_application_up 1\n{line}\n# EOF\n")


@given(st.text())
def test_any_page_is_read_or_refused(text: str) -> None:
    try:
        found = parse_metrics(text)
    except ValueError:
        return
    assert all(name and isinstance(value, float) for name, value in found.items())
