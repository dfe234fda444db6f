"""Checks the files in deploy/monitoring/: the alerts of Prometheus, their tests, and the dashboard of Grafana.

    python scripts/checks/monitoring/check.py [FOLDER]

Every expression is held against the table of metrics (`expressions.py`). Each alert says how bad it is and what to do, and
docs/monitoring.md has a row for it. The dashboard must survive a round trip through Grafana's own model of it, so that no
misspelt field is passed over. Where `promtool` is installed (Debian's package `prometheus`), it checks the alerts and runs their
tests too; `PROMTOOL` names another one. Prints a line for each fault; exits with status 1 if there was any.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from scripts.checks.monitoring.expressions import ExpressionError, info_of, labels_of, with_values

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "deploy" / "monitoring"
PAGE: Final = ROOT / "docs" / "monitoring.md"
GROUPS: Final = ("late", "stuck", "failing", "dear")
SEVERITIES: Final = ("warning", "critical")
ALERT_KEYS: Final = {"alert", "expr", "for", "labels", "annotations"}
DURATION: Final = re.compile(r"[1-9][0-9]*[smhd]")
TEMPLATE_LABEL: Final = re.compile(r"\$labels\.(\w+)|\{\{(\w+)\}\}")
LABEL_VALUES: Final = re.compile(r"label_values\(([a-z_]+), (\w+)\)")
VALUES: Final = {"__rate_interval": "5m", "__interval": "1m", "job": ".*", "model": ".*"}
"""A variable of the dashboard -> a value that it may have."""
MADE_BY_GRAFANA: Final = {
    "id",
    "auto",
    "auto_min",
    "auto_count",
    "transparent",
    "transformations",
    "repeatDirection",
    "style",
}
"""Fields that Grafana's model adds with their defaults."""


def alert_faults(alerts: Mapping[str, Any], page: str) -> Iterator[str]:
    """Yield what is wrong with a file of alerts. `page` is the text that must name each of them."""
    names = [group.get("name") for group in alerts.get("groups", ())]
    if names != [f"nightpress-{name}" for name in GROUPS]:
        yield f"alerts: the groups are {names}, and should be nightpress- and {', '.join(GROUPS)}"
    rules = [rule for group in alerts.get("groups", ()) for rule in group.get("rules", ())]
    for rule in rules:
        name = rule.get("alert", "?")
        yield from (f"{name}: {fault}" for fault in _rule_faults(rule))
        if f"`{name}`" not in page:
            yield f"{name}: {PAGE.name} does not say what to do about it"
    if len({rule.get("alert") for rule in rules}) < len(rules):
        yield "alerts: two have the same name"
    known = {rule.get("alert") for rule in rules}
    yield from (
        f"{PAGE.name}: there is no alert {name}" for name in set(re.findall(r"`(Nightpress[A-Z]\w+)`", page)) - known
    )


def _rule_faults(rule: Mapping[str, Any]) -> Iterator[str]:
    if unknown := rule.keys() - ALERT_KEYS:
        yield f"unknown field {min(unknown)}"
    if "for" in rule and not DURATION.fullmatch(str(rule["for"])):
        yield f"for: {rule['for']!r} is no duration"
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"labels: severity should be one of {', '.join(SEVERITIES)}"
    annotations = rule.get("annotations", {})
    if annotations.keys() != {"summary", "description"}:
        yield "annotations: it needs a summary and a description, and nothing else"
    try:
        labels = labels_of(str(rule.get("expr", ""))) or frozenset()
    except ExpressionError as error:
        yield f"expr: {error}"
        return
    for text in annotations.values():
        for used, _ in TEMPLATE_LABEL.findall(text):
            if used and used not in labels:
                yield f"annotations: {used!r} is no label of what the expression gives"


def alerts_with_tests(tests: Mapping[str, Any]) -> set[str]:
    """Return the alerts that a test of `promtool` sees fire."""
    tried = (one for test in tests.get("tests", ()) for one in test.get("alert_rule_test", ()))
    return {one["alertname"] for one in tried if one.get("exp_alerts")}


def dashboard_faults(dashboard: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a dashboard."""
    yield from round_trip_faults(dashboard)
    panels = dashboard.get("panels", [])
    if len({panel.get("id") for panel in panels}) < len(panels):
        yield "dashboard: two panels have the same id"
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        title, place = panel.get("title", "?"), panel.get("gridPos", {"x": 0, "y": 0, "w": 0, "h": 0})
        if place["x"] + place["w"] > 24:
            yield f"{title}: it does not fit into 24 columns"
        for spot in (
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ):
            if taken.setdefault(spot, title) != title:
                yield f"{title}: it lies over {taken[spot]}"
                break
        yield from (f"{title}: {fault}" for target in panel.get("targets", ()) for fault in _target_faults(target))
    for variable in dashboard.get("templating", {}).get("list", ()):
        if variable.get("type") == "query":
            yield from (
                f"variable {variable['name']}: {fault}" for fault in _variable_faults(variable["query"]["query"])
            )


def _target_faults(target: Mapping[str, Any]) -> Iterator[str]:
    expression = with_values(target["expr"], VALUES)
    if "$" in expression:
        yield f"it uses a variable that the dashboard lacks: {target['expr']}"
        return
    try:
        labels = labels_of(expression) or frozenset()
    except ExpressionError as error:
        yield str(error)
        return
    for _, used in TEMPLATE_LABEL.findall(target.get("legendFormat", "")):
        if used and used not in labels:
            yield f"legend: {used!r} is no label of what the expression gives"


def _variable_faults(query: str) -> Iterator[str]:
    found = LABEL_VALUES.fullmatch(query)
    if found is None:
        yield f"{query!r} is not label_values(METRIC, LABEL)"
        return
    try:
        info = info_of(found[1])
    except ExpressionError as error:
        yield str(error)
        return
    if found[2] not in {*info.labels, "job", "instance"}:
        yield f"{found[1]} has no label {found[2]!r}"


def round_trip_faults(dashboard: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that Grafana's own model of a dashboard does not know, or reads as something else."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    try:
        read = json.loads(JSONEncoder().encode(Dashboard.from_json(dict(dashboard))))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        yield f"dashboard: Grafana's model cannot read it: {type(error).__name__}: {error}"
        return
    yield from _differences(dashboard, read, "dashboard")


def _differences(ours: Any, read: Any, place: str) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(read, Mapping):
        yield from (f"{place}.{name}: Grafana knows no such field" for name in ours.keys() - read.keys())
        yield from (f"{place}.{name}: it is missing" for name in read.keys() - ours.keys() - MADE_BY_GRAFANA)
        for name in ours.keys() & read.keys():
            yield from _differences(ours[name], read[name], f"{place}.{name}")
    elif isinstance(ours, list) and isinstance(read, list) and len(ours) == len(read):
        for n, (one, other) in enumerate(zip(ours, read, strict=True)):
            yield from _differences(one, other, f"{place}[{n}]")
    elif ours != read:
        yield f"{place}: {ours!r} is read as {read!r}"


def promtool_faults(promtool: str, folder: Path) -> Iterator[str]:
    """Yield what `promtool` says against the alerts, if it finds fault with them or with one of their tests."""
    for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        ended = subprocess.run(
            [promtool, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        if ended.returncode:
            yield f"promtool {' '.join(arguments)}:\n{ended.stdout}{ended.stderr}"


def main() -> int:
    """Check the files, and return the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    alerts = yaml.safe_load((folder / "alerts.yaml").read_text())
    faults = [
        *alert_faults(alerts, PAGE.read_text()),
        *dashboard_faults(json.loads((folder / "dashboard.json").read_text())),
    ]
    names = {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    tested = alerts_with_tests(yaml.safe_load((folder / "alerts_test.yaml").read_text()))
    faults += [f"{name}: no test sees it fire" for name in sorted(names - tested)]
    if promtool := shutil.which(os.environ.get("PROMTOOL", "promtool")):
        faults += promtool_faults(promtool, folder)
    else:
        print("monitoring: promtool is not installed (Debian: prometheus), so the tests of the alerts were not run")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(
        f"monitoring: {len(names)} alerts, {len(tested)} of them tested, {'no' if not faults else len(faults)} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
