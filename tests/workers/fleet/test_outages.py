"""Shows workers/fleet/outages.py: one line is reported when something is away, one line when it is back, and nothing in
between.
"""

import pytest

from jobs.errors import QueueUnavailable, StoreDamaged, StoreUnavailable
from workers.fleet.outages import Outages


def test_each_outage_is_reported_once_and_its_end_too() -> None:
    reported: list[tuple[str, str]] = []
    outages = Outages(lambda event, message: reported.append((event, message)))
    for fault in (
        *(QueueUnavailable("Redis at h:1 does not answer: start it"),) * 3,
        *(StoreUnavailable("storage: cannot write: No space left."),) * 2,
        None,
        None,
    ):
        with outages.waited_for():
            if fault is not None:
                raise fault
    assert [event for event, _ in reported] == ["queue.unavailable", "store.unavailable", "queue.back", "store.back"]
    assert reported[0][1].startswith("Redis at h:1 does not answer: start it. Waiting for it")
    assert ".." not in reported[1][1]
    assert reported[2][1] == "Redis is back; going on"


def test_another_fault_is_not_waited_for() -> None:
    outages = Outages(lambda event, message: pytest.fail(f"{event} {message}"))
    with pytest.raises(KeyError), outages.waited_for():
        raise KeyError("bug")


def test_a_damaged_file_is_named_once_and_is_no_outage() -> None:
    reported: list[tuple[str, str]] = []
    outages = Outages(lambda event, message: reported.append((event, message)))
    one, other = StoreDamaged("a/1.jsonl is damaged. Restore it."), StoreDamaged("b/2.jsonl is damaged. Restore it.")
    for fault in (QueueUnavailable("Redis does not answer"), one, one, other, other, None, other):
        with outages.waited_for():
            if fault is not None:
                raise fault
    assert reported[1:] == [
        ("store.damaged", "a/1.jsonl is damaged. Restore it. Its batch waits for it, and no other does"),
        ("queue.back", "Redis is back; going on"),
        ("store.damaged", "b/2.jsonl is damaged. Restore it. Its batch waits for it, and no other does"),
    ]
