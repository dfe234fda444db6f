"""Adds up the findings in the published rows of a batch: by check, with the worst example of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from jobs.findings import Finding, Severity

_NEEDLE = b'"findings":['


@dataclass(slots=True)
class FoundCode:
    """The rows in which one check found something, by the severity of its worst finding there, and the worst example of all.

    `example` names the row by its custom_id, or by its number if it has none.
    """

    code: str
    failed: int = 0
    review: int = 0
    noted: int = 0
    worst: Finding | None = None
    example: str = ""

    def add(self, found: Finding, row: str) -> None:
        """Count a row by its worst finding of this code."""
        self.failed += found.severity is Severity.FAIL
        self.review += found.severity is Severity.REVIEW
        self.noted += found.severity is Severity.NOTE
        if self.worst is None or _badness(found) > _badness(self.worst):
            self.worst, self.example = found, row


def by_code(lines: Iterable[bytes]) -> list[FoundCode]:
    """Return what each check found in published rows, given as lines: first what fails most rows, then what most must review."""
    found: dict[str, FoundCode] = {}
    for line in lines:
        if _NEEDLE in line:
            _add(found, orjson.loads(line))
    return sorted(found.values(), key=lambda one: (-one.failed, -one.review, -one.noted, one.code))


def _add(found: dict[str, FoundCode], row: dict[str, Any]) -> None:
    name = row.get("custom_id")
    worst: dict[str, Finding] = {}
    for values in row.get("findings") or ():
        one = Finding.model_validate(values)
        if one.code not in worst or _badness(one) > _badness(worst[one.code]):
            worst[one.code] = one
    for code, one in worst.items():
        found.setdefault(code, FoundCode(code)).add(one, str(name) if name is not None else f"row {row['row']}")


def _badness(found: Finding) -> tuple[int, float]:
    """Return a key that is greater for a worse finding: by severity, then by how far the measured value is from its limit."""
    order = list(Severity)
    return -order.index(found.severity), _distance(found)


def _distance(found: Finding) -> float:
    measured, limit = found.measured, found.limit
    if isinstance(measured, int | float) and isinstance(limit, int | float):
        return abs(measured - limit) / max(abs(limit), 1.0)
    return 0.0
