"""Shows jobs/typed_times.py."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs.errors import RequestError
from jobs.typed_times import When, moment_of, parse, parse_limit, parse_past, words_of

NOW = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _two_hours_east() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Etc/GMT-2")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC), id="a date is in UTC, so bills agree everywhere"),
        pytest.param("2026-12-01T06:00", datetime(2026, 12, 1, 4, tzinfo=UTC), id="a time without offset is local"),
        pytest.param("2026-12-01T06:00+05:00", datetime(2026, 12, 1, 1, tzinfo=UTC), id="an offset holds"),
        pytest.param("2026-12-01T06:00:00Z", datetime(2026, 12, 1, 6, tzinfo=UTC), id="Z is UTC"),
        pytest.param("06:00", datetime(2026, 11, 24, 4, tzinfo=UTC), id="a time of day is the next one, here today"),
        pytest.param(
            "00:15", datetime(2026, 11, 24, 22, 15, tzinfo=UTC), id="a time of day that has passed is tomorrow's"
        ),
        pytest.param("+8h", NOW + timedelta(hours=8), id="hours from now"),
        pytest.param("+30min", NOW + timedelta(minutes=30), id="minutes from now"),
        pytest.param("+2d", NOW + timedelta(days=2), id="days from now"),
    ],
)
def test_a_moment_is_read_as_a_person_means_it(text: str, moment: datetime) -> None:
    assert parse(text, NOW) == moment
    assert parse(text, NOW).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["tomorrow", "", "8h", "25:00", "06:75", "2026-13-01", "+h"])
def test_a_text_that_is_no_time_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(RequestError, match=r"is not a time: write 2026-12-01"):
        parse(text, NOW)


@pytest.mark.parametrize(
    ("when", "moment", "words"),
    [
        pytest.param("+8h", NOW + timedelta(hours=8), "+8h", id="text"),
        pytest.param(timedelta(hours=8), NOW + timedelta(hours=8), "+28800s", id="a span"),
        pytest.param(datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), None, id="a datetime"),
        pytest.param(
            datetime(2026, 12, 1),  # noqa: DTZ001 - on purpose
            datetime(2026, 11, 30, 22, tzinfo=UTC),
            None,
            id="a datetime without an offset is local",
        ),
    ],
)
def test_a_program_gives_text_a_span_or_a_datetime(when: When, moment: datetime, words: str | None) -> None:
    assert moment_of(when, NOW) == moment
    assert moment_of(when, NOW).utcoffset() == timedelta(0)
    assert words_of(when) == words


BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
"""The rules of Lord Howe Island: its clock is changed by half an hour, at 02:00."""
SANTIAGO = "<-04>4<-03>,M9.1.6/24,M4.1.6/24"
"""The rules of Santiago: its clock is changed at midnight, so one day has no first hour."""
KOLKATA = "IST-5:30"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "now", "text", "moment"),
    [
        # Berlin: on 28 March 2027 the clock jumps from 02:00 to 03:00, on 31 October 2027 it goes from 03:00 back to 02:00
        pytest.param(BERLIN, "2027-03-27T21:00", "06:00", "2027-03-28T04:00", id="the night that is an hour shorter"),
        pytest.param(BERLIN, "2027-10-30T20:00", "06:00", "2027-10-31T05:00", id="the night that is an hour longer"),
        pytest.param(BERLIN, "2027-03-28T00:30", "06:00", "2027-03-28T04:00", id="before the jump"),
        pytest.param(BERLIN, "2027-03-28T01:30", "06:00", "2027-03-28T04:00", id="after the jump"),
        pytest.param(BERLIN, "2027-03-27T21:00", "02:30", "2027-03-28T01:00", id="a time that is skipped"),
        pytest.param(BERLIN, "2027-03-27T21:00", "02:00", "2027-03-28T01:00", id="the first that is skipped"),
        pytest.param(BERLIN, "2027-03-27T21:00", "03:00", "2027-03-28T01:00", id="the first behind the jump"),
        pytest.param(BERLIN, "2027-03-28T01:00", "02:30", "2027-03-29T00:30", id="once it has jumped: the next day"),
        pytest.param(BERLIN, "2027-10-30T20:00", "02:30", "2027-10-31T00:30", id="the first of two"),
        pytest.param(BERLIN, "2027-10-31T00:30", "02:30", "2027-10-31T01:30", id="the second of two"),
        pytest.param(BERLIN, "2027-10-31T01:30", "02:30", "2027-11-01T01:30", id="after both"),
        pytest.param(BERLIN, "2027-03-27T21:00", "2027-03-28T06:00", "2027-03-28T04:00", id="with the date, shorter"),
        pytest.param(BERLIN, "2027-03-27T21:00", "2027-10-31T06:00", "2027-10-31T05:00", id="with the date, longer"),
        pytest.param(BERLIN, "2027-03-27T21:00", "2027-03-28T02:30", "2027-03-28T01:00", id="with the date, skipped"),
        pytest.param(BERLIN, "2027-03-27T21:00", "2027-10-31T02:30", "2027-10-31T00:30", id="with the date, twice"),
        pytest.param(NEW_YORK, "2027-03-14T02:00", "06:00", "2027-03-14T10:00", id="New York, shorter"),
        pytest.param(NEW_YORK, "2027-11-07T02:00", "06:00", "2027-11-07T11:00", id="New York, longer"),
        pytest.param(NEW_YORK, "2027-03-14T02:00", "02:15", "2027-03-14T07:00", id="New York, skipped"),
        pytest.param(LORD_HOWE, "2027-10-02T12:00", "06:00", "2027-10-02T19:00", id="by half an hour, shorter"),
        pytest.param(LORD_HOWE, "2027-04-03T12:00", "06:00", "2027-04-03T19:30", id="by half an hour, longer"),
        pytest.param(LORD_HOWE, "2027-10-02T12:00", "02:15", "2027-10-02T15:30", id="by half an hour, skipped"),
        pytest.param(SANTIAGO, "2027-09-04T23:00", "00:30", "2027-09-05T04:00", id="the day has no first hour"),
        pytest.param(SANTIAGO, "2027-09-04T23:00", "06:00", "2027-09-05T09:00", id="midnight, shorter"),
        pytest.param(KOLKATA, "2027-03-27T21:00", "06:00", "2027-03-28T00:30", id="a half-hour zone"),
        pytest.param("UTC0", "2027-03-27T21:00", "21:00", "2027-03-28T21:00", id="now is not the next"),
    ],
)
def test_a_time_of_day_in_a_night_in_which_the_clock_is_changed(
    monkeypatch: pytest.MonkeyPatch, zone: str, now: str, text: str, moment: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert parse(text, utc(now)) == utc(moment)
    if "T" in text:
        assert moment_of(datetime.fromisoformat(text), utc(now)) == utc(moment)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3),
        ("3s", 3),
        ("0", 0),
        ("1.5", 1.5),
        ("30m", 1800),
        ("30min", 1800),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("+90s", 90),
    ],
)
def test_the_end_of_a_wait_may_be_a_span(text: str, seconds: float) -> None:
    assert parse_limit(text, NOW) == NOW + timedelta(seconds=seconds)


def test_the_end_of_a_wait_may_be_a_time() -> None:
    assert parse_limit("06:00", NOW) == parse("06:00", NOW)
    for wrong in ("soon", "-3", "3 weeks", "1e3", "٣"):
        with pytest.raises(RequestError, match="is not a time"):
            parse_limit(wrong, NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("36h", NOW - timedelta(hours=36), id="hours ago"),
        pytest.param("7d", NOW - timedelta(days=7), id="days ago"),
        pytest.param("06:00", datetime(2026, 11, 23, 4, tzinfo=UTC), id="the last time that the clock showed it"),
        pytest.param("00:30", NOW, id="now"),
        pytest.param("00:31", NOW - timedelta(days=1) + timedelta(minutes=1), id="a minute to come is yesterday's"),
        pytest.param("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC), id="a date"),
    ],
)
def test_a_moment_that_is_past(text: str, moment: datetime) -> None:
    assert parse_past(text, NOW) == moment


@pytest.mark.parametrize("text", ["+8h", "3", "", "h", "25:00", "yesterday", "-3h", "2026-13-01"])
def test_a_text_that_is_no_past_moment_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="write"):
        parse_past(text, NOW)
