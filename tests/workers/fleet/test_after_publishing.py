"""Shows workers/fleet/after_publishing.py: what follows a publishing holds nobody up, and is not forgotten."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.errors import StoreUnavailable
from workers.fleet.after_publishing import LOOK_S, Errands


class Slow:
    """An errand that waits to be let go, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.free = threading.Event()

    def __call__(self) -> None:
        self.begun += 1
        assert self.free.wait(20)


def test_a_slow_errand_holds_nobody_up_and_is_run_again_for_what_came_meanwhile(until: Callable[..., Any]) -> None:
    slow, moment = Slow(), 0.0
    errands = Errands(slow, monotonic=lambda: moment)
    errands(published=True)
    until(lambda: slow.begun == 1, 10, "the errand")
    for published in (False, True, False):
        errands(published=published)  # returns, although nothing is done
    assert not errands.finish(0.01)
    assert slow.begun == 1
    slow.free.set()
    until(lambda: errands.finish(1.0), 10, "the end")
    assert slow.begun == 2, "once for both that came meanwhile"


def test_others_may_have_published_too() -> None:
    done: list[float] = []
    moment = 0.0
    errands = Errands(lambda: done.append(moment), monotonic=lambda: moment)
    for at in (0.0, 1.0, LOOK_S - 1, LOOK_S, LOOK_S + 1):
        moment = at
        errands(published=False)
        errands.finish(10)
    assert done == [0.0, LOOK_S]


def test_what_is_away_is_said_once_and_keeps_nobody_from_the_next_errand() -> None:
    done = []

    def away() -> None:
        raise StoreUnavailable("the storage is away")

    errands = Errands(away, lambda: done.append(1))
    with capture_logs() as logs:
        for _ in range(2):
            errands(published=True)
            errands.finish(10)
    assert len(done) == 2
    assert logs == [{"event": "after_publishing.failed", "error": "the storage is away", "log_level": "warning"}]


def test_a_fault_is_raised_where_somebody_sees_it() -> None:
    errands = Errands(lambda: 1 / 0)
    errands(published=True)
    with pytest.raises(ZeroDivisionError):
        errands.finish(10)
