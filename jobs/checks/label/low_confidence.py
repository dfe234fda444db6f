"""Finds labels that are hardly more probable than another label, so that a person decides between the two."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    ranked = sorted(_probabilities(subject.output), key=lambda one: -one[1])
    if len(ranked) < 2:
        return
    (label, highest), (other, second) = ranked[:2]
    margin = round(highest - second, 6)
    if margin < limits["min_margin"]:
        message = f"the label {label!r} has the probability {highest:.2f}, and {other!r} has {second:.2f}"
        yield Broken(message, margin, limits["min_margin"])


def _probabilities(output: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the labels of an output with their probabilities. Outputs of other tools may have none."""
    found = output.get("probabilities")
    if not isinstance(found, Mapping):
        return []
    return [
        (str(label), value)
        for label, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    ]


CHECKS: Final = (
    Check(
        "low_confidence",
        Severity.REVIEW,
        "The probability of the label is higher than that of every other label, by `min_margin` or more.",
        _find,
        {"min_margin": 0.1},
    ),
)
