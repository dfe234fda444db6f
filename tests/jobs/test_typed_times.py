"""Shows jobs/typed_times.py."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs.errors import RequestError
from jobs.typed_times import When, moment_of, parse, words_of

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
