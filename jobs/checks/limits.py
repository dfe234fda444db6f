"""The limits of a check, and its severity, as settings change them. Nothing here loads the checks themselves."""

from collections.abc import Sequence
from typing import Any

from jobs.checks.check import Check, Limits
from jobs.did_you_mean import did_you_mean
from jobs.errors import RequestError
from jobs.findings import CheckSettings, Severity


def limits_of(check: Check, settings: Sequence[CheckSettings]) -> tuple[Severity | None, Limits]:
    """Return the severity that settings give a check (None if they give none), and its limits. Later settings replace earlier
    ones.

    Raises:
        RequestError: A limit is unknown or has another type; the message names the check, the limit and what it takes.
    """
    severity, limits = None, dict[str, Any](check.limits)
    for one in settings:
        if (changed := one.get(check.code)) is None:
            continue
        severity = changed.severity or severity
        for name, value in changed.limits.items():
            limits[name] = _limit(check, name, value)
    return severity, limits


def _limit(check: Check, name: str, value: object) -> object:
    if (default := check.limits.get(name)) is None:
        known = ", ".join(check.limits) or "none"
        raise RequestError(
            f"the check {check.code} has no limit {name!r}: its limits are {known}{did_you_mean(name, check.limits)}"
        )
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
    elif isinstance(default, bool) or isinstance(value, bool):
        if isinstance(value, bool) and isinstance(default, bool):
            return value
    elif isinstance(default, int | float):
        if isinstance(value, int | float) and value >= 0 and value == value:  # noqa: PLR0124 - not NaN
            return value
    elif isinstance(value, type(default)):
        return value
    wanted = (
        "a list of texts"
        if isinstance(default, tuple)
        else "true or false"
        if isinstance(default, bool)
        else "a number"
        if isinstance(default, int | float)
        else "a text"
    )
    raise RequestError(
        f"the limit {name} of the check {check.code} takes {wanted}, such as {default!r}: {value!r} is none"
    )
