"""Shows workers/worker/outage.py: only the beginning and the end of an outage are reported."""

import pytest
from structlog.testing import capture_logs

from jobs.errors import QueueUnavailable, StoreDamaged, StoreUnavailable, UnavailableError
from workers.worker.outage import Outage


def test_an_outage_is_reported_when_it_begins_and_when_it_is_over() -> None:
    outage = Outage()
    assert not outage.end()
    assert (outage.event, outage.reason) == ("", "")
    assert outage.begin(StoreUnavailable("is full"))
    assert not outage.begin(StoreUnavailable("is read-only"))
    assert outage.reason == "is read-only", "the last that was met"
    assert outage.end()
    assert not outage.end()
    assert outage.begin(StoreUnavailable("is full"))


def test_only_the_first_fault_of_an_outage_is_logged() -> None:
    outage = Outage()
    with capture_logs() as logs:
        for reason in ("is full", "is read-only"):
            outage.log(StoreUnavailable(reason))
        outage.end()
        outage.log(QueueUnavailable("does not answer"))
    assert [(log["event"], log["error"]) for log in logs] == [
        ("store.unavailable", "is full"),
        ("queue.unavailable", "does not answer"),
    ]


def test_each_outage_has_its_end_in_the_log() -> None:
    """An outage ends when another service goes away instead. A damaged file has no end that a worker could notice."""
    outage = Outage()
    with capture_logs() as logs:
        outage.log(QueueUnavailable("does not answer"))
        outage.log(StoreUnavailable("is full"))
        outage.log_end()
        outage.log_end()
        outage.log(StoreDamaged("is torn"))
        outage.log_end()
    assert [log["event"] for log in logs] == [
        "queue.unavailable",
        "queue.back",
        "store.unavailable",
        "store.back",
        "store.damaged",
    ]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (QueueUnavailable("x"), "queue.unavailable"),
        (StoreUnavailable("x"), "store.unavailable"),
        (StoreDamaged("x"), "store.damaged"),
    ],
)
def test_the_event_of_a_fault(error: UnavailableError, event: str) -> None:
    assert Outage(error).event == event
