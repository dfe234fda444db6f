"""Shows jobs/store/fan_out.py: answers come in order, only a few calls run ahead, and an error comes in place of its answer."""

import threading
from collections.abc import Iterator

import pytest

from jobs.store.fan_out import BYTES_AHEAD, each


@pytest.mark.parametrize("at_once", [1, 3])
def test_answers_come_in_order(at_once: int) -> None:
    second = threading.Event()

    def ask(item: int) -> int:
        if item == 1:
            second.set()
        elif item == 0 and at_once > 1:
            assert second.wait(20), "the second is asked while the first is under way"
        return item * item

    assert list(each(ask, range(20), at_once)) == [item * item for item in range(20)]


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_fault_is_raised_in_its_place(at_once: int) -> None:
    answers: Iterator[float] = each(lambda item: 1 / item, [1, 2, 0, 4], at_once)
    assert [next(answers), next(answers)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(answers)


@pytest.mark.parametrize(
    ("size", "most"),
    [
        pytest.param(1, 4, id="in items"),
        pytest.param(BYTES_AHEAD, 1, id="in bytes"),
        pytest.param(BYTES_AHEAD // 3, 3, id="in bytes, some"),
    ],
)
def test_no_more_is_asked_ahead_than_may_wait(size: int, most: int) -> None:
    asked: list[int] = []
    for n, _ in enumerate(each(asked.append, range(50), 2, bytes_of=lambda _: size)):
        assert len(asked) <= n + most + 1
    assert len(asked) == 50


def test_one_at_a_time_is_asked_only_when_it_is_wanted() -> None:
    """Each call is made only when its answer is wanted. So a test that kills a process between two calls can kill it between
    these calls too.
    """
    asked: list[int] = []
    answers = each(asked.append, [1, 2, 3], 1)
    next(answers)
    assert asked == [1]
    assert list(each(asked.append, [], 3)) == []
