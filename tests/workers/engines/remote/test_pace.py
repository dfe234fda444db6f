"""Shows workers/engines/remote/pace.py and the reading of Retry-After, without a server."""

import email.utils
import time

import pytest

from workers.engines.remote.answers import LONGEST_WAIT_S, retry_after_s
from workers.engines.remote.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_refusal_halves_the_limit_once_for_all_that_were_sent_before_it() -> None:
    clock = Clock()
    pace = Pace(16, None, clock)
    sent = [pace.start() for _ in range(16)]
    assert pace.wait_s() is None
    clock.now += 1
    for started_at in sent:
        pace.end()
        pace.refused(started_at, 0.0)
    assert pace.limit == 8
    clock.now += 1
    later = pace.start()
    pace.refused(later, 0.0)
    assert pace.limit == 4


def test_the_limit_never_falls_below_one_and_grows_back_to_the_slots() -> None:
    clock = Clock()
    pace = Pace(4, None, clock)
    for _ in range(9):
        clock.now += 1
        pace.refused(clock.now, 0.0)
    assert pace.limit == 1
    for _ in range(40):
        pace.answered()
    assert pace.limit == 4


def test_answers_add_one_for_as_many_as_are_in_flight() -> None:
    pace = Pace(100, None, Clock())
    pace.limit = 10.0
    for _ in range(10):
        pace.answered()
    assert 10.9 < pace.limit < 11.0


def test_nothing_starts_before_the_time_that_the_server_names() -> None:
    clock = Clock()
    pace = Pace(4, None, clock)
    pace.refused(clock.now, 7.0)
    assert pace.wait_s() == 7.0
    pace.refused(clock.now, 2.0)
    assert pace.wait_s() == 7.0, "a shorter wait does not cut the longer one"
    clock.now += 7
    assert pace.wait_s() == 0.0


def test_requests_a_minute_are_evenly_spread() -> None:
    clock = Clock()
    pace = Pace(100, 60.0, clock)
    pace.start()
    assert pace.wait_s() == 1.0
    clock.now += 30
    pace.start()
    assert pace.wait_s() == 1.0, "time that was not used is not saved up"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("100000", LONGEST_WAIT_S),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 99 Foo 2015", None),
    ],
)
def test_retry_after(given: str, seconds: float | None) -> None:
    assert retry_after_s(given) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert 40 < (retry_after_s(email.utils.formatdate(time.time() + 60, usegmt=True)) or 0) <= 60
