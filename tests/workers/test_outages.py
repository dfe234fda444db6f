"""Shows workers/outages.py: one line when something goes, one when it is back, and nothing between."""

import pytest

from jobs.errors import QueueUnavailable, StoreUnavailable
from workers.outages import Outages


def test_each_is_said_once_and_its_return_too() -> None:
    said: list[tuple[str, str]] = []
    outages = Outages(lambda event, message: said.append((event, message)))
    for fault in (
        *(QueueUnavailable("Redis at h:1 does not answer: start it"),) * 3,
        *(StoreUnavailable("storage: cannot write: No space left."),) * 2,
        None,
        None,
    ):
        with outages.waited_for():
            if fault is not None:
                raise fault
    assert [event for event, _ in said] == ["queue.unavailable", "store.unavailable", "queue.back", "store.back"]
    assert said[0][1].startswith("Redis at h:1 does not answer: start it. Waiting for it")
    assert ".." not in said[1][1]
    assert said[2][1] == "Redis is back; going on"


def test_another_fault_is_not_waited_for() -> None:
    outages = Outages(lambda event, message: pytest.fail(f"{event} {message}"))
    with pytest.raises(KeyError), outages.waited_for():
        raise KeyError("bug")
