"""Shows workers/fleet/after_publishing.py: the tasks after a publishing delay nothing, and none is forgotten."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.errors import StoreUnavailable
from workers.fleet.after_publishing import RUN_EVERY_S, AfterPublishing


class Slow:
    """A task that counts its runs, and ends when a test sets it free."""

    def __init__(self) -> None:
        self.runs = 0
        self.free = threading.Event()

    def __call__(self) -> None:
        self.runs += 1
        assert self.free.wait(20)


def test_a_slow_task_delays_nothing_and_runs_again_for_what_was_published_meanwhile(until: Callable[..., Any]) -> None:
    slow, moment = Slow(), 0.0
    tasks = AfterPublishing(slow, monotonic=lambda: moment)
    tasks(published=True)
    until(lambda: slow.runs == 1, 10, "the task")
    for published in (False, True, False):
        tasks(published=published)  # this call returns, although the task still runs
    assert not tasks.finish(0.01)
    assert slow.runs == 1
    slow.free.set()
    until(lambda: tasks.finish(1.0), 10, "the end")
    assert slow.runs == 2, "once for all that was published meanwhile"


def test_the_tasks_run_from_time_to_time_for_what_others_published() -> None:
    done: list[float] = []
    moment = 0.0
    tasks = AfterPublishing(lambda: done.append(moment), monotonic=lambda: moment)
    for at in (0.0, 1.0, RUN_EVERY_S - 1, RUN_EVERY_S, RUN_EVERY_S + 1):
        moment = at
        tasks(published=False)
        tasks.finish(10)
    assert done == [0.0, RUN_EVERY_S]


def test_a_task_that_needs_what_is_away_is_logged_once_an_outage_and_the_next_task_runs() -> None:
    done = []
    is_away = True

    def deliver() -> None:
        if is_away:
            raise StoreUnavailable("the storage is away")

    tasks = AfterPublishing(deliver, lambda: done.append(1))
    with capture_logs() as logs:
        for is_away in (True, True, False, True):  # noqa: B007 - the task reads it
            tasks(published=True)
            tasks.finish(10)
    assert len(done) == 4
    assert logs == [{"event": "after_publishing.failed", "error": "the storage is away", "log_level": "warning"}] * 2


def test_a_bug_of_a_task_is_raised_by_the_next_call() -> None:
    tasks = AfterPublishing(lambda: 1 / 0)
    tasks(published=True)
    with pytest.raises(ZeroDivisionError):
        tasks.finish(10)
