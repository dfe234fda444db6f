"""Reads moments that people and programs type: a date, a date and time, a time of day, or a span of time from now.

Every result is a datetime in UTC, with its time zone set. Times without an offset are of the local clock, by the rules of the
system's time zone on the day in question. On a night when the local clock changes, a time that the clock skips means the moment
of the jump. A time that the clock shows twice means the first of the two moments that is still to come.
"""

import re
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

from jobs.errors import RequestError

When = datetime | timedelta | str
"""A moment: a datetime, a span from now, or text that `parse` reads."""

_SPAN = re.compile(r"\+(\d{1,6})(s|min|m|h|d)", re.ASCII)
_LIMIT = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(s|min|m|h|d|)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


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
    if moment.tzinfo is None and len(text) <= len("2026-12-01"):
        return moment.replace(tzinfo=UTC)
    return _utc(moment)


def parse_limit(text: str, now: datetime) -> datetime:
    """Return the moment that `text` means at `now` as the end of a wait. Raises RequestError for any other text.

    It may be what `parse` reads, or a span without the plus sign, such as `30min`; a number alone is in seconds.
    """
    if limit := _LIMIT.fullmatch(text):
        return now + timedelta(**{_UNITS[limit[2] or "s"]: float(limit[1])})
    return parse(text, now)


def parse_past(text: str, now: datetime) -> datetime:
    """Return the past time that `text` means at `now`. Raises RequestError for any other text.

    `36h` and `7d` are that long ago. `06:00` is the last time at which the local clock showed 06:00. Dates are as in `parse`.
    """
    if (limit := _LIMIT.fullmatch(text)) is not None and limit[2]:
        return now - timedelta(**{_UNITS[limit[2]]: float(limit[1])})
    if clock := _CLOCK.fullmatch(text):
        return _last(clock, now, text)
    if _SPAN.fullmatch(text):
        raise RequestError(f"{text!r} lies ahead: write {text[1:]} for that long ago")
    return parse(text, now)


def moment_of(when: When, now: datetime) -> datetime:
    """Return the moment that `when` means at `now`. A datetime without an offset is local time.

    Raises RequestError if `when` is a text that is no time.
    """
    if isinstance(when, str):
        return parse(when, now)
    return now + when if isinstance(when, timedelta) else _utc(when)


def words_of(when: When) -> str | None:
    """Return a text unchanged, and a span as a text such as `+8s`: the same text if the call is repeated later.

    Return None for a datetime, which stays the same anyway.
    """
    if isinstance(when, timedelta):
        return f"+{when.total_seconds():g}s"
    return when if isinstance(when, str) else None


def _next(hour: int, minute: int, now: datetime, text: str) -> datetime:
    return min(moment for moment in _shown_about(hour, minute, now, text) if moment > now)


def _last(clock: re.Match[str], now: datetime, text: str) -> datetime:
    hour, minute = map(int, clock.groups())
    return max(moment for moment in _shown_about(hour, minute, now, text) if moment <= now)


def _shown_about(hour: int, minute: int, now: datetime, text: str) -> list[datetime]:
    """Return the times near now at which the local clock shows this time of day. Raises RequestError if no clock shows it."""
    if hour > 23 or minute > 59:
        raise _wrong(text)
    today = now.astimezone().date()
    shown = (_moments(today + timedelta(days=days), time_of_day(hour, minute)) for days in range(-2, 3))
    return [moment for moments in shown for moment in moments]


def _utc(moment: datetime) -> datetime:
    """Return a moment in UTC. A moment without an offset is of the local clock. A time that this clock skips becomes the moment
    of the jump.
    """
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return _moments(moment.date(), moment.time())[moment.fold]


def _moments(day: date, shown: time_of_day) -> tuple[datetime, datetime]:
    """Return the two moments, in UTC, at which the local clock shows a time on a day. Mostly they are the same.

    The two differ if the clock is set back over this time. If the clock is set forward over this time, both are the moment of
    the jump.
    """
    local = datetime.combine(day, shown)
    # astimezone() is not used: for a skipped time, it takes the offset of the other side of the jump
    first, second = (datetime.fromtimestamp(local.replace(fold=fold).timestamp(), UTC) for fold in (0, 1))
    if first <= second:
        return first, second
    offset = second.astimezone().utcoffset()  # `second` is before the jump, and `first` is behind it
    while first - second > timedelta(seconds=1):
        middle = second + (first - second) / 2
        if middle.astimezone().utcoffset() == offset:
            second = middle
        else:
            first = middle
    jump = first.replace(microsecond=0)
    return jump, jump


def _wrong(text: str) -> RequestError:
    return RequestError(f"{text!r} is not a time: write 2026-12-01, 2026-12-01T06:00, 06:00, or a span such as +8h")
