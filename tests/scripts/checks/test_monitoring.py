"""Shows scripts/checks/monitoring: it takes the files in deploy/monitoring as they are, and refuses what would never fire."""

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("promql_parser", reason="the parser of Prometheus' expressions is not installed")
pytest.importorskip("grafana_foundation_sdk", reason="Grafana's model of a dashboard is not installed")

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from scripts.checks.monitoring.check import (
    FOLDER,
    PAGE,
    alert_faults,
    alerts_with_tests,
    dashboard_faults,
    promtool_faults,
    round_trip_faults,
)
from scripts.checks.monitoring.expressions import ExpressionError, labels_of
from workers.monitoring.counts import Key, families
from workers.monitoring.table import TABLE

PROMTOOL = shutil.which(os.environ.get("PROMTOOL", "promtool"))
ALERTS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())


def test_the_alerts_and_the_dashboard_have_no_fault() -> None:
    assert list(alert_faults(ALERTS, PAGE.read_text())) == []
    assert list(dashboard_faults(DASHBOARD)) == []
    tested = alerts_with_tests(yaml.safe_load((FOLDER / "alerts_test.yaml").read_text()))
    assert tested == {rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]}


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("nightpress_redis_up", ["instance", "job"]),
        ("time() - max(nightpress_last_sweep_timestamp_seconds)", []),
        ("sum by (outcome) (rate(nightpress_rows_total[5m]))", ["outcome"]),
        ("sum without (instance, job, le) (nightpress_flush_duration_seconds_bucket)", ["gen_ai_request_model"]),
        (
            'rate(nightpress_rows_total{outcome=~"completed|fail.*"}[5m])',
            ["gen_ai_request_model", "instance", "job", "outcome"],
        ),
        ("histogram_quantile(0.5, sum by (le) (rate(nightpress_flush_duration_seconds_bucket[5m])))", []),
        ("sum by (lane) (nightpress_queue_rows) / on () group_left () sum(nightpress_workers)", ["lane"]),
        ("sum by (lane) (nightpress_queue_rows) / ignoring (lane) group_left () sum(nightpress_workers)", ["lane"]),
        ("topk(3, nightpress_collapse_ratio)", ["instance", "job", "kind"]),
        ("max(nightpress_late_batches) or vector(0)", []),
        ("-nightpress_store_up + 1", ["instance", "job"]),
        ("max_over_time(nightpress_late_batches[1h:1m])", ["instance", "job"]),
        ("42", None),
    ],
)
def test_an_expression_has_the_labels_of_what_it_gives(expression: str, labels: list[str] | None) -> None:
    found = labels_of(expression)
    assert (None if found is None else sorted(found)) == labels


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        pytest.param(
            "nightpress_late_batchs > 0",
            "no metric 'nightpress_late_batchs': did you mean nightpress_late_batches",
            id="name",
        ),
        pytest.param("nightpress_rows", "no metric 'nightpress_rows'", id="a counter without _total"),
        pytest.param("nightpress_flush_duration_seconds", "no metric", id="a histogram without its part"),
        pytest.param("up == 0", "no metric 'up'", id="a metric that is not ours"),
        pytest.param('{__name__="nightpress_redis_up"}', "names no metric", id="a name as a label"),
        pytest.param(
            'nightpress_rows_total{outcomes="failed"}', "no label 'outcomes': did you mean outcome", id="label"
        ),
        pytest.param('nightpress_rows_total{outcome="fail"}', "'fail' is never its value", id="value"),
        pytest.param('nightpress_rows_total{outcome=~"failed|gone"}', "'gone' is never its value", id="alternative"),
        pytest.param('nightpress_flush_duration_seconds_bucket{le="7"}', "'7' is never its value", id="bound"),
        pytest.param("sum by (lane) (nightpress_rows_total)", "no label 'lane'", id="label of another metric"),
        pytest.param("sum without (x) (nightpress_rows_total)", "no label 'x'", id="label that is not there"),
        pytest.param("rate(nightpress_workers[5m])", "it is a gauge", id="the rate of a gauge"),
        pytest.param("delta(nightpress_rows_total[5m])", "it is a counter", id="the delta of a counter"),
        pytest.param(
            "histogram_quantile(0.5, sum(rate(nightpress_flush_duration_seconds_bucket[5m])))",
            "needs the label le",
            id="no le",
        ),
        pytest.param("nightpress_workers / nightpress_redis_up", "so nothing matches", id="sides that never match"),
        pytest.param(
            "sum by (lane) (nightpress_queue_rows) > 0 and sum(nightpress_workers) > 0", "so nothing matches", id="and"
        ),
        pytest.param(
            "nightpress_workers * on (lane) nightpress_redis_up", "'lane'", id="matched by a label of neither"
        ),
        pytest.param("sum(nightpress_workers", "does not parse", id="syntax"),
        pytest.param("nosuch(nightpress_workers)", "does not parse", id="function"),
    ],
)
def test_an_expression_that_cannot_be_right_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(reason)):
        labels_of(expression)


def changed(**fields: Any) -> dict[str, Any]:
    """The alerts, with these fields in the first rule in place of its own. None removes a field."""
    alerts = copy.deepcopy(ALERTS)
    rule = alerts["groups"][0]["rules"][0]
    rule.update(fields)
    for name in [name for name, value in fields.items() if value is None]:
        del rule[name]
    return dict(alerts)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"expr": "nightpress_late > 0"}, "no metric 'nightpress_late'"),
        ({"expresion": "1"}, "unknown field expresion"),
        ({"for": "10 minutes"}, "is no duration"),
        ({"labels": {"severity": "urgent"}}, "severity should be one of"),
        ({"annotations": {"summary": "s"}}, "needs a summary and a description"),
        ({"annotations": {"summary": "{{ $labels.lane }}", "description": "d"}}, "'lane' is no label"),
        ({"alert": "NightpressNew"}, "does not say what to do about it"),
        ({"alert": "NightpressNew"}, "there is no alert NightpressLate"),
        ({"alert": "NightpressRowsExpired"}, "two have the same name"),
    ],
)
def test_an_alert_with_a_fault_is_refused(fields: dict[str, Any], fault: str) -> None:
    assert fault in "\n".join(alert_faults(changed(**fields), PAGE.read_text()))


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        pytest.param(("panels", 7, "targets", 0, "expr"), "sum(nightpress_row_total)", "no metric", id="name"),
        pytest.param(
            ("panels", 7, "targets", 0, "expr"), "sum(nightpress_workers{job=~'$jobs'})", "variable", id="variable"
        ),
        pytest.param(("panels", 7, "targets", 0, "legendFormat"), "{{lane}}", "'lane' is no label", id="legend"),
        pytest.param(("panels", 7, "gridPos", "x"), 23, "does not fit", id="too wide"),
        pytest.param(("panels", 8, "gridPos", "x"), 0, "lies over", id="one over another"),
        pytest.param(("panels", 8, "id"), 1, "same id", id="ids"),
        pytest.param(("panels", 7, "titel"), "Rows", "titel: Grafana knows no such field", id="a misspelt field"),
        pytest.param(
            ("panels", 7, "options", "legend", "placment"), "right", "knows no such field", id="a misspelt option"
        ),
        pytest.param(
            ("panels", 7, "targets", 0, "exprr"), "x", "knows no such field", id="a misspelt field of a query"
        ),
        pytest.param(
            ("templating", "list", 1, "query", "query"), "label_values(nightpress_jobs, job)", "no metric", id="list"
        ),
        pytest.param(
            ("templating", "list", 1, "query", "query"),
            "label_values(nightpress_workers, lane)",
            "no label",
            id="label",
        ),
        pytest.param(("panels",), 7, "cannot read it", id="not a dashboard"),
    ],
)
def test_a_dashboard_with_a_fault_is_refused(place: tuple[Any, ...], value: object, fault: str) -> None:
    dashboard = copy.deepcopy(DASHBOARD)
    inner = dashboard
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    found = dashboard_faults(dashboard) if place != ("panels",) else round_trip_faults(dashboard)
    assert fault in "\n".join(found)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_has_nothing_against_the_names_of_our_metrics() -> None:
    samples: dict[Key, tuple[float, ...]] = {
        (name, tuple(f"{label} of it" for label in info.labels)): (1.0,)
        * max(1, len(info.buckets) + 2 * bool(info.buckets))
        for name, info in TABLE.items()
    }
    registry = CollectorRegistry()
    registry.register(Given(list(families(samples))))
    linted = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    assert (linted.returncode, linted.stderr) == (0, b"")


class Given(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_runs_the_tests_of_the_alerts_and_sees_one_that_does_not_fire(tmp_path: Path) -> None:
    assert list(promtool_faults(str(PROMTOOL), FOLDER)) == []
    for name in ("alerts.yaml", "alerts_test.yaml"):
        shutil.copy(FOLDER / name, tmp_path)
    text = (tmp_path / "alerts.yaml").read_text()
    (tmp_path / "alerts.yaml").write_text(
        text.replace("max(nightpress_late_batches) > 0", "max(nightpress_late_batches) > 7")
    )
    assert "NightpressLate" in "\n".join(promtool_faults(str(PROMTOOL), tmp_path))
