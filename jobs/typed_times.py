"""Reads moments as people and programs give them: a date, a date and time, a time of day, or a span of time from now.

Every result is a datetime in UTC, with its time zone set.
"""

import re
from datetime import UTC, datetime, timedelta

from jobs.errors import RequestError

When = datetime | timedelta | str
"""A moment: a datetime, a span from now, or text that `parse` reads."""

_SPAN = re.compile(r"\+(\d{1,6})(s|min|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")


def parse(text: str, now: datetime) -> datetime:
    """Return the moment that `text` means at `now`. Raises RequestError for any other text.

    `2026-12-01` is the beginning of that day in UTC. `2026-12-01T06:00` without an offset is local time. `06:00` is the next
    moment at which the local clock shows 06:00. `+8h`, `+30min` and `+2d` count from `now`.
    """
    if span := _SPAN.fullmatch(text):
        return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
    if clock := _CLOCK.fullmatch(text):
        return _next(int(clock[1]), int(clock[2]), now, text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(text) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if len(text) <= len("2026-12-01") else moment.astimezone()
    return moment.astimezone(UTC)


def moment_of(when: When, now: datetime) -> datetime:
    """Return the moment that `when` means at `now`. A datetime without an offset is local time.

    Raises RequestError if `when` is a text that is no time.
    """
    if isinstance(when, str):
        return parse(when, now)
    return now + when if isinstance(when, timedelta) else when.astimezone(UTC)


def words_of(when: When) -> str | None:
    """Return a text unchanged, and a span as a text such as `+8s`: the same text if the call is repeated later.

    Return None for a datetime, which stays the same anyway.
    """
    if isinstance(when, timedelta):
        return f"+{when.total_seconds():g}s"
    return when if isinstance(when, str) else None


def _next(hour: int, minute: int, now: datetime, text: str) -> datetime:
    if hour > 23 or minute > 59:
        raise _wrong(text)
    local = now.astimezone()
    moment = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (moment if moment > local else moment + timedelta(days=1)).astimezone(UTC)


def _wrong(text: str) -> RequestError:
    return RequestError(f"{text!r} is not a time: write 2026-12-01, 2026-12-01T06:00, 06:00, or a span such as +8h")
