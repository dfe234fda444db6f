"""Shows workers/fleet/aside.py: tasks run on other threads, in their order, and at most so many at once."""

import threading
from functools import partial

from workers.fleet.aside import Aside


def test_the_caller_waits_for_no_task_and_can_wait_for_all() -> None:
    aside, may_go, done = Aside(threads=2), threading.Event(), list[int]()

    def record(n: int) -> None:
        may_go.wait()
        done.append(n)

    for n in range(5):
        aside(partial(record, n))
    assert not aside.finish(0.0)
    assert done == []
    may_go.set()
    assert aside.finish(20.0)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_no_more_tasks_run_at_once_than_there_are_threads() -> None:
    aside, may_go, running = Aside(threads=2), threading.Event(), threading.Semaphore(0)

    def task() -> None:
        running.release()
        may_go.wait()

    for _ in range(4):
        aside(task)
    assert running.acquire(timeout=20)
    assert running.acquire(timeout=20)
    assert not running.acquire(blocking=False)
    may_go.set()
    assert aside.finish(20.0)
