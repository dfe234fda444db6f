"""The judge runs the checks of a kind over one row and its output, and makes findings of the broken clauses."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.registry import limits_of
from jobs.findings import CheckSettings, Finding, Severity

MOST_OF_ONE: Final = 20
"""A check reports at most this many findings for a row, so that one text does not fill an outcome with its findings."""


def judge(
    subject: Subject, checks: Sequence[Check], settings: Sequence[CheckSettings] = (), tries: int = 1
) -> list[Finding]:
    """Return the findings of the checks in an output, the most severe first. Later settings replace earlier ones.

    Raises:
        RequestError: Settings name a limit that a check does not have.
    """
    findings: list[Finding] = []
    for check in checks:
        severity, limits = limits_of(check, settings)
        if severity is Severity.OFF or (severity is None and check.severity is Severity.OFF):
            continue
        for broken in islice(_found(check, subject, limits), MOST_OF_ONE):
            findings.append(
                Finding(
                    code=check.code,
                    severity=severity or broken.severity or check.severity,
                    message=broken.message,
                    measured=broken.measured,
                    limit=broken.limit,
                    where=broken.where,
                    tries=tries,
                )
            )
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _found(check: Check, subject: Subject, limits: Limits) -> Iterator[Broken]:
    """Yield what a check finds. A check that raises an error has an error of its own, so a person must look at the row."""
    try:
        yield from check.find(subject, limits)
    except Exception as error:  # noqa: BLE001 - the error of a check must not lose the row
        yield Broken(f"the check itself failed, so its clause was not judged: {error!r}", severity=Severity.REVIEW)
