"""Finds labels that the request does not have. Our own kind chooses among those of the request; other tools may write any."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity
from jobs.writing.scores.label_names import LABELS, tidy

SHOWN: Final = 100
"""The message shows at most this many characters of a label."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    label = subject.output.get("label")
    known = subject.request.get("labels") or (*LABELS, *_classes(subject.output))
    if isinstance(label, str) and tidy(label) not in {tidy(str(one)) for one in known}:
        yield Broken(f"the label {label[:SHOWN]!r} is none of the labels of the request: {', '.join(map(str, known))}")


def _classes(output: Mapping[str, Any]) -> Sequence[str]:
    """Return the labels that have a probability: without labels in the request, a classifier gives its own."""
    found = output.get("probabilities")
    return [str(label) for label in found] if isinstance(found, Mapping) else []


CHECKS: Final = (Check("unknown_label", Severity.FAIL, "The label is one of the labels of the request.", _find),)
