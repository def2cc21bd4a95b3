"""What comes ready-made for Prometheus and Grafana asks only for what the agent emits, and shows all of it."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests import debian
from tests.conftest import REPOSITORY

Ask = Callable[..., list[Any]]
MONITORING = REPOSITORY / "recipes" / "monitoring"
HOW_TO = REPOSITORY / "docs" / "how-to" / "watch-images.md"
OVER_TIME = {"rate", "increase", "changes", "resets"}
ADDED = {"image", "instance", "job"}  # labels that come from the scrape configuration
NOT_OF_THE_AGENT = {"up", "kiln_machine_up"}  # Prometheus and the monitor say so: whether there was an answer
NOT_SHOWN: Mapping[str, str] = {}  # family → why it has no place on the dashboard


class Metric(NamedTuple):
    """What the agent says under one name."""

    family: str
    kind: str
    help: str
    labels: dict[str, set[str]]  # with all values seen


class Use(NamedTuple):
    """One place where an expression asks for a metric."""

    where: str
    expression: str
    function: str  # whose argument it is, or empty
    metric: str
    matchers: Mapping[str, str]


def yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(MONITORING / name)


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml("alerts.yml")["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Every panel that shows something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def uses(where: str, expression: str) -> Iterator[Use]:
    """The metrics of an expression of PromQL: names that are no function, operator or label."""
    text = re.sub(r"\b(?:by|on)\s*\([^)]*\)", "", expression)
    for found in re.finditer(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?(?:\[[^\]]*\])?(\s*\()?", text):
        name, matchers, called = found.groups()
        if called or name in {"and", "or", "unless"}:
            continue
        before = re.search(r"(\w+)\s*\(\s*$", text[: found.start()])
        pairs = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', matchers or "")
        yield Use(where, expression, before.group(1) if before else "", name, dict(pairs))


def alert_uses() -> list[Use]:
    return [use for rule in alerts() for use in uses(rule["alert"], rule["expr"])]


def dashboard_uses() -> list[Use]:
    targets = [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    return [use for title, expression in targets for use in uses(title, expression)]


def all_uses() -> list[Use]:
    return [*alert_uses(), *dashboard_uses()]


@pytest.fixture(scope="module")
def emitted(ask: Ask) -> Mapping[str, Metric]:
    """Every name the agent emits, as Prometheus keeps it: counters with `_total`."""
    [text] = ask("metrics", "eth0")
    found: dict[str, Metric] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            metric = found.setdefault(sample.name, Metric(family.name, family.type, family.documentation, {}))
            for label, value in sample.labels.items():
                metric.labels.setdefault(label, set()).add(value)
    return found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("a_total", [("", "a_total", {})]),
        ('rate(a_total{x=~"b|c",y="d"}[5m]) > 0.5', [("rate", "a_total", {"x": "b|c", "y": "d"})]),
        ("sum by (x) (increase(a_total[$__rate_interval]))", [("increase", "a_total", {})]),
        ("a / b and on (x, y) time() - c", [("", "a", {}), ("", "b", {}), ("", "c", {})]),
    ],
)
def test_metrics_of_an_expression_are_found(expression: str, found: list[tuple[str, str, dict[str, str]]]) -> None:
    assert [(use.function, use.metric, use.matchers) for use in uses("", expression)] == found


def test_only_metrics_that_the_agent_emits_are_asked_for(emitted: Mapping[str, Metric]) -> None:
    assert all_uses()
    assert [use for use in all_uses() if use.metric not in {*emitted, *NOT_OF_THE_AGENT}] == []


def test_of_counters_only_the_growth_is_looked_at(emitted: Mapping[str, Metric]) -> None:
    def is_growth(use: Use) -> bool:
        # just after boot the count itself is the growth: counters begin at 0 with the machine
        just_booted = use.function == "last_over_time" and "kiln_uptime_seconds < 300" in use.expression
        return use.function in OVER_TIME or just_booted

    counters = {name for name, metric in emitted.items() if metric.kind == "counter"}
    assert [use for use in all_uses() if use.metric in counters and not is_growth(use)] == []


def test_gauges_are_not_taken_for_counters(emitted: Mapping[str, Metric]) -> None:
    gauges = {name for name, metric in emitted.items() if metric.kind == "gauge"}
    assert [use for use in all_uses() if use.metric in gauges and use.function in {"rate", "increase"}] == []


def test_labels_and_their_values_are_those_of_the_metric(emitted: Mapping[str, Metric]) -> None:
    wrong = [
        (use.where, use.metric, label, value)
        for use in all_uses()
        for label, values in use.matchers.items()
        if label not in ADDED
        for value in values.split("|")
        if value not in emitted[use.metric].labels.get(label, ())
    ]
    assert wrong == []


def test_legends_and_annotations_name_labels_that_are_there(emitted: Mapping[str, Metric]) -> None:
    for panel in panels():
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]))
            [metric, *_] = [use.metric for use in uses("", target["expr"])]
            assert named - ADDED == set(emitted[metric].labels), f"{panel['title']}: lines must be told apart"
            assert "image" in named
    for rule in alerts():
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= {"image", "instance"}


def test_names_that_others_use_as_well_are_asked_of_images_only() -> None:
    common = [use for use in alert_uses() if not use.metric.startswith("kiln_")]
    assert [use for use in common if use.matchers.get("job") != "kiln"] == []
    assert [use for use in dashboard_uses() if use.matchers.get("image") != "$image"] == []


def test_the_dashboard_shows_everything_that_the_agent_emits(emitted: Mapping[str, Metric]) -> None:
    families = {metric.family for metric in emitted.values()}
    shown = {emitted[use.metric].family for use in dashboard_uses() if use.metric in emitted}
    assert families - shown == set(NOT_SHOWN)


def test_the_reference_has_every_metric_as_the_agent_says_it(emitted: Mapping[str, Metric]) -> None:
    text = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    found = {name: (kind, re.findall(r"`(\w+)`", labels), said) for name, kind, labels, said in rows}
    assert found == {name: (metric.kind, list(metric.labels), metric.help) for name, metric in emitted.items()}


def test_the_dashboard_lets_one_choose_source_and_image() -> None:
    source, image = dashboard()["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (image["name"], image["type"], image["multi"]) == ("image", "query", True)
    assert image["definition"] == image["query"]["query"] == "label_values(kiln_application_up, image)"
    sources = {panel["datasource"]["uid"] for panel in [image, *panels()]}
    assert sources == {"${datasource}"}


def test_every_panel_says_what_it_shows() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCD"[: len(panel["targets"])])


def test_bytes_and_seconds_have_their_unit(emitted: Mapping[str, Metric]) -> None:
    units = {"kiln_boot_seconds": {"s"}, "kiln_uptime_seconds": {"s"}, "process_start_time_seconds": {"s"}}
    for panel in panels():
        for use in (use for target in panel["targets"] for use in uses("", target["expr"])):
            name = use.metric.removesuffix("_total")
            growth = {"bytes": {"Bps"}, "seconds": {"percentunit"}} if use.function else {"bytes": {"bytes"}}
            wanted = units.get(name, growth.get(name.rpartition("_")[2], set()))
            assert not wanted or panel["fieldConfig"]["defaults"]["unit"] in wanted, f"{panel['title']}: {name}"


def test_panels_have_their_own_place_and_number() -> None:
    every = dashboard()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in every)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) < 24


def test_prometheus_finds_images_by_a_file_for_each() -> None:
    configuration = yaml("prometheus.yml")
    assert configuration["global"]["scrape_interval"] == "15s"
    assert configuration["rule_files"] == ["alerts.yml"]
    [job, monitor] = configuration["scrape_configs"]
    assert (monitor["job_name"], monitor["static_configs"]) == ("kiln-monitor", [{"targets": ["127.0.0.1:9464"]}])
    assert job["job_name"] == "kiln"
    assert job["file_sd_configs"] == [{"files": ["targets/*.json"]}]


def test_the_target_file_of_the_how_to_has_what_the_rest_relies_on() -> None:
    for text in (HOW_TO.read_text(), (MONITORING / "prometheus.yml").read_text()):
        files = [json.loads(found) for found in re.findall(r"\[\{.*\}\]", text)]
        assert files
        for [entry] in files:
            assert set(entry) == {"targets", "labels"}
            assert set(entry["labels"]) == {"image"}
            assert all(target.startswith("127.0.0.1:") for target in entry["targets"])


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    for rule in alerts():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].startswith("{{ $labels.image }}: ")
        assert rule["annotations"]["description"].endswith(".")


def test_the_how_to_explains_every_alert() -> None:
    rows = re.findall(r"^\| `(Kiln\w+)` \| (\w+) \|", HOW_TO.read_text(), re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in alerts()]


MEGABYTE = 1_000_000
QUIET = {  # a machine in which all is well, for 20 minutes in steps of 30 seconds
    "up": "1x40",
    "kiln_application_up": "1x40",
    "kiln_application_healthy": "1x40",
    "kiln_application_crashes_total": "2x40",
    "kiln_application_restarts_total": "2x40",
    "kiln_uptime_seconds": "1000+30x40",
    "kiln_refused_system_calls_total": "1x40",
    "kiln_kernel_messages_total{level='error'}": "1x40",
    "kiln_kernel_messages_total{level='warning'}": "0+1x40",
    "kiln_guard_events_total{kind='exec',verdict='denied'}": "1x40",
    "kiln_guard_events_total{kind='connect',verdict='audited'}": "0+1x40",
    "kiln_tcp_listen_overflows_total": "5x40",
    "kiln_memory_size_bytes": f"{64 * MEGABYTE}x40",
    "kiln_memory_free_bytes": f"{20 * MEGABYTE}x40",
    "kiln_memory_buffer_bytes": "0x40",
    "kiln_memory_shared_bytes": "0x40",
    "process_resident_memory_bytes": f"{10 * MEGABYTE}x40",
    "process_open_fds": "900x40",
    "process_max_fds": "1024x40",
    "kiln_agent_lost_events_total": "1x40",
    "kiln_log_dropped_lines_total{stream='stdout'}": "1x40",
}
BOOTED = {"kiln_uptime_seconds": "1000+30x34 10+30x5"}
NOTHING_YET = {
    "kiln_application_crashes_total": "2x34 0x5",
    "kiln_refused_system_calls_total": "1x34 0x5",
    "kiln_kernel_messages_total{level='error'}": "1x34 0x5",
    "kiln_guard_events_total{kind='exec',verdict='denied'}": "1x34 0x5",
}
LITTLE_FREE = {"kiln_memory_free_bytes": f"{MEGABYTE}x40"}
DISK = {"kiln_disk_reads_total{device='vda'}": "0+1x40"}
with_promtool = pytest.mark.slow  # it is fetched


def promtool(*arguments: str) -> None:
    program = debian.program("prometheus", "/usr/bin/promtool")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def of_one_image(series: str) -> str:
    """The series with the labels that Prometheus adds."""
    metric, _, own = series.rstrip("}").partition("{")
    return f"{metric}{{{own + ',' if own else ''}image='a',instance='b',job='kiln'}}"


@with_promtool
def test_prometheus_accepts_rules_and_configuration() -> None:
    promtool("check", "rules", str(MONITORING / "alerts.yml"))
    promtool("check", "config", str(MONITORING / "prometheus.yml"))


@with_promtool
@pytest.mark.parametrize(
    ("differs", "firing"),
    [
        ({}, ""),
        ({"up": "1x30 0x10"}, "KilnMachineDown"),
        ({"kiln_machine_up": "1x30 0x10"}, "KilnMachineSilent"),
        ({"kiln_application_up": "1x30 0x10", "kiln_application_healthy": "1x30 0x10"}, "KilnApplicationDown"),
        ({"kiln_application_healthy": "1x30 0x10"}, "KilnApplicationUnhealthy"),
        ({"kiln_application_healthy": "1x38 0x2"}, ""),
        ({"kiln_application_crashes_total": "2x36 3x5"}, "KilnApplicationCrashed"),
        ({"kiln_application_restarts_total": "2x34 3x1 4x5"}, ""),
        ({"kiln_application_restarts_total": "2x34 3x1 4x1 5x5"}, "KilnApplicationCrashLoop"),
        ({"kiln_uptime_seconds": "1000x30 700x2 600x2 500x6"}, "KilnMachineRestartLoop"),
        ({**BOOTED, **NOTHING_YET}, ""),
        (BOOTED, "KilnApplicationCrashed KilnGuardDenied KilnKernelErrors KilnSystemCallRefused"),
        ({"kiln_refused_system_calls_total": "1x36 2x5"}, "KilnSystemCallRefused"),
        ({"kiln_kernel_messages_total{level='error'}": "1x36 2x5"}, "KilnKernelErrors"),
        ({"kiln_guard_events_total{kind='exec',verdict='denied'}": "1x36 2x5"}, "KilnGuardDenied"),
        ({"kiln_changed_files": "0x36 1x5"}, "KilnFilesChanged"),
        ({"kiln_application_frozen": "0x36 1x5"}, "KilnFrozen"),
        ({"kiln_rule_matches_total{rule='shell',response='kill'}": "1x36 2x5"}, "KilnRuleFired"),
        ({"kiln_rule_matches_total{rule='shell',response='log'}": "1x36 2x5"}, ""),
        ({"kiln_tcp_listen_overflows_total": "5x36 7x5"}, "KilnListenOverflows"),
        (LITTLE_FREE, "KilnMemoryLow"),
        ({**LITTLE_FREE, **DISK}, ""),
        ({**LITTLE_FREE, **DISK, "kiln_memory_shared_bytes": f"{30 * MEGABYTE}x40"}, "KilnMemoryLow"),
        ({"process_open_fds": "950x40"}, "KilnDescriptorsLow"),
        ({"kiln_agent_lost_events_total": "1x36 2x5"}, "KilnEventsLost"),
        ({"kiln_log_dropped_lines_total{stream='stdout'}": "1x36 9x5"}, "KilnLogLinesDropped"),
    ],
)
def test_an_alert_fires_when_it_should_and_no_other(differs: Mapping[str, str], firing: str, tmp_path: Path) -> None:
    series = [{"series": of_one_image(name), "values": values} for name, values in {**QUIET, **differs}.items()]
    wanted = [{"labels": f"{{alertname='{name}'}}", "value": 1} for name in firing.split()]
    asked = {"expr": "count by (alertname) (ALERTS{alertstate='firing'})", "eval_time": "20m", "exp_samples": wanted}
    scenario = {"interval": "30s", "input_series": series, "promql_expr_test": [asked]}
    file = tmp_path / "test.json"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(MONITORING / "alerts.yml")], "tests": [scenario]}))
    promtool("test", "rules", str(file))
