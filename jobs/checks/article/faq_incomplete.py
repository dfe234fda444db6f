"""Compares the questions of an article with the number that its request asks for."""

from collections.abc import Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    wanted, given = subject.request.get("faq"), subject.output.get("faq") or ()
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not isinstance(given, list | tuple):
        return
    if len(given) < wanted:
        yield Broken(
            f"the article has {len(given)} questions with answers, and {wanted} are asked for", len(given), wanted
        )


CHECKS: Final = (
    Check(
        "faq_incomplete",
        Severity.REVIEW,
        "The article has as many questions with answers as its request asks for.",
        _find,
    ),
)
