"""Shows jobs/checks/batch/limits.py: settings under `[checks.audit]` change the limits of an audit, and wrong ones are named."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from jobs.checks.batch.limits import AuditLimits, audit_limits
from jobs.errors import RequestError
from jobs.findings import CheckSettings


def limits(audit: Any) -> AuditLimits | None:
    return audit_limits(TypeAdapter(CheckSettings).validate_python({"audit": audit}))


def test_limits_come_from_the_settings() -> None:
    assert audit_limits({}) == limits({}) == AuditLimits()
    assert limits({"most_collapse": 0.1, "sample": "50"}) == AuditLimits(most_collapse=0.1, sample=50)


def test_an_audit_can_be_switched_off() -> None:
    assert limits("off") is limits({"severity": "off", "sample": 50}) is None


@pytest.mark.parametrize(
    ("audit", "message"),
    [
        pytest.param({"most_colapse": 0.1}, r"checks\.audit\.most_colapse: .*did you mean most_collapse", id="unknown"),
        pytest.param({"most_collapse": 1.5}, r"checks\.audit\.most_collapse: .*1\.5", id="out of range"),
        pytest.param({"jaccard": float("nan")}, r"checks\.audit\.jaccard: ", id="not a number"),
        pytest.param({"sample": "many"}, r"checks\.audit\.sample: .*'many'", id="another type"),
        pytest.param("fail", r"checks\.audit: severity: .*off or left out, not fail", id="a severity"),
        pytest.param({"severity": "off", "sample": 0}, r"checks\.audit\.sample", id="wrong although it is off"),
    ],
)
def test_wrong_settings_are_named(audit: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        limits(audit)
