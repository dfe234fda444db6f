"""Shows jobs/lanes/idling.py: how long workers wait, and that each is woken once."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import QueueUnavailable
from jobs.lanes.idling import CLAIMS_S, LONGEST_S, SHORTEST_S, BackOff, WakeCalls


def waits(workers: int, n: int) -> list[float]:
    back_off = BackOff(random.Random(1))
    back_off.workers = workers
    return [back_off.next_s() for _ in range(n)]


def test_the_waits_of_a_worker_grow_to_seconds_and_differ() -> None:
    found = waits(1000, 40)
    assert SHORTEST_S / 2 <= found[0] <= SHORTEST_S
    assert all(LONGEST_S / 2 <= wait <= LONGEST_S for wait in found[8:])
    assert len(set(found)) == 40


@pytest.mark.parametrize("workers", [1, 10, 100, 500])
def test_all_workers_of_a_lane_ask_so_many_times_a_second(workers: int) -> None:
    found = waits(workers, 400)[200:]
    asks_s = workers / (sum(found) / len(found))
    assert asks_s <= 1.5 * max(CLAIMS_S, 1 / SHORTEST_S)
    assert max(found) <= max(workers / CLAIMS_S, SHORTEST_S)


def test_jobs_make_the_next_wait_short() -> None:
    back_off = BackOff(random.Random(1))
    back_off.workers = 1000
    for _ in range(10):
        back_off.next_s()
    back_off.reset()
    assert back_off.next_s() <= SHORTEST_S


def test_a_limit_holds_for_one_wait() -> None:
    back_off = BackOff(random.Random(1))
    back_off.workers = 1000
    assert max(back_off.next_s(1.0) for _ in range(10)) <= 1.0
    assert back_off.next_s() > 1.0


class Queue:
    """Waits until it is told what the wait brings."""

    def __init__(self) -> None:
        self.waits = 0
        self.come = threading.Semaphore(0)
        self.brings: bool | Exception = True

    def wait(self, _: float) -> bool:
        self.waits += 1
        self.come.acquire()
        if isinstance(self.brings, Exception):
            raise self.brings
        return self.brings


def test_a_wake_is_taken_once_and_the_next_is_left_to_others(until: Callable[..., Any]) -> None:
    queue, called = Queue(), threading.Semaphore(0)
    wake_calls = WakeCalls(queue.wait, called.release)
    wake_calls.want(True)
    until(lambda: queue.waits == 1, 10, "a wait")
    queue.come.release()
    assert called.acquire(timeout=10)
    assert queue.waits == 1, "it does not wait for a second wake"
    wake_calls.want(True)
    until(lambda: queue.waits == 2, 10, "a second wait")
    wake_calls.stop()
    queue.come.release()
    wake_calls._thread.join(10)
    assert not wake_calls._thread.is_alive()
    assert not called.acquire(blocking=False), "it calls nothing after it was stopped"


def test_a_worker_that_redis_does_not_let_wait_goes_on_without_wakes(until: Callable[..., Any]) -> None:
    queue, called = Queue(), threading.Semaphore(0)
    queue.brings = QueueUnavailable("its user lacks a right")
    wake_calls = WakeCalls(queue.wait, called.release)
    wake_calls.want(True)
    queue.come.release()
    until(lambda: wake_calls._refused, 10, "the refusal")
    assert wake_calls._thread.is_alive()
    wake_calls.stop()
    wake_calls._thread.join(10)
    assert not wake_calls._thread.is_alive()
    assert not called.acquire(blocking=False)
