"""The judge runs the checks of a kind over one row and its output, and makes findings of the broken clauses."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from jobs.checks.check import Check, Limits, Subject
from jobs.checks.limits import limits_of
from jobs.findings import CheckSettings, Finding, Severity

MOST_OF_ONE: Final = 20
"""A check reports at most this many findings for a row, so that one text does not fill an outcome with its findings."""


_REASON: Final = 300
"""The error of a check is told in at most this many characters."""


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
        findings += islice(_found(check, subject, limits, severity, tries), MOST_OF_ONE)
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _found(check: Check, subject: Subject, limits: Limits, severity: Severity | None, tries: int) -> Iterator[Finding]:
    """Yield what a check finds. If the check raises an error, or reports what is no finding, a person must look at the row."""
    try:
        for broken in check.find(subject, limits):
            yield Finding(
                code=check.code,
                severity=severity or broken.severity or check.severity,
                message=broken.message.encode(errors="replace").decode(),  # what is no text cannot be stored
                measured=broken.measured,
                limit=broken.limit,
                where=broken.where,
                tries=tries,
            )
    except Exception as error:  # noqa: BLE001 - the error of a check must not lose the row
        reason = " ".join(repr(error).split())
        message = f"the check itself failed, so its clause was not judged: {reason:.{_REASON}}"
        yield Finding(code=check.code, severity=Severity.REVIEW, message=message, tries=tries)
