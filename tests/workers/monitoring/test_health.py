"""Shows workers/monitoring/health.py and probes.py: what counts as alive and as ready, also while a thing hangs."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobs.errors import QueueUnavailable
from workers.monitoring.health import STALL_S, Health
from workers.monitoring.probes import LIMIT_S, Answer, Probe


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """A thing that answers, fails with `fault`, or hangs until it is let go."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.hangs = False
        self.let_go = threading.Event()

    def __call__(self) -> None:
        if self.hangs:
            self.let_go.wait(60)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asked() -> Iterator[Asked]:
    thing = Asked()
    yield thing
    thing.let_go.set()


def probed(clock: Clock, asked: Callable[[], object], name: str = "Redis") -> Probe:
    probe = Probe(name, asked, monotonic=clock)
    probe.ask_once()
    return probe


def test_a_probe_knows_nothing_before_its_first_answer(clock: Clock, asked: Asked) -> None:
    assert Probe("Redis", asked, monotonic=clock).answer() == Answer(None)


def test_a_probe_tells_since_when_it_is_so(clock: Clock, asked: Asked) -> None:
    probe = probed(clock, asked)
    clock.now += 7
    probe.ask_once()
    assert probe.answer() == Answer(True, "", 7.0)
    asked.fault = QueueUnavailable("Redis at a:1 does not answer")
    probe.ask_once()
    clock.now += 2
    assert probe.answer() == Answer(False, "Redis at a:1 does not answer", 2.0)
    asked.fault = ValueError("odd")
    probe.ask_once()
    assert probe.answer() == Answer(False, "ValueError: odd", 2.0), "it is still the same outage"


def test_a_question_that_hangs_counts_as_failed_and_holds_nobody_up(
    clock: Clock, asked: Asked, until: Callable[..., Any]
) -> None:
    probe = probed(clock, asked, "the storage")
    asked.hangs = True
    thread = threading.Thread(target=probe.ask_once)
    thread.start()
    until(lambda: probe._asked_at is not None, 20, "the question")
    clock.now += LIMIT_S
    assert probe.answer().ok, "until the limit the last answer holds"
    clock.now += 3
    assert probe.answer() == Answer(False, "the storage has not answered for 8 s", 8.0)
    asked.let_go.set()
    thread.join(20)
    assert probe.answer() == Answer(True, "", 8.0), "it has answered at last, and was well before"


def test_a_probe_asks_on_a_thread_of_its_own_until_it_is_stopped(asked: Asked, until: Callable[..., Any]) -> None:
    probe = Probe("Redis", asked, every_s=0.001).start()
    until(lambda: probe.answer().ok, 20, "the first answer")
    asked.fault = QueueUnavailable("gone")
    until(lambda: probe.answer().ok is False, 20, "the outage")
    probe.stop()
    probe._thread.join(20)
    assert not probe._thread.is_alive()


LOADED = {"worker": "w-1", "load_s": 2.0, "store_fault": "", "queue_fault": ""}
LOADING = {"worker": "w-1", "store_fault": "", "queue_fault": ""}


def health(clock: Clock, queue: Asked, store: Asked) -> Health:
    probes = {"queue": probed(clock, queue), "store": probed(clock, store, "the storage")}
    return Health(probes, monotonic=clock)


def faults(found: Health) -> dict[str, str]:
    """Check -> what is wrong, for the checks that fail."""
    is_ready, body = found.ready()
    wrong = {name: check["fault"] for name, check in body["checks"].items() if not check["ok"]}
    assert is_ready == body["ready"] == (not wrong)
    return wrong


@pytest.mark.parametrize(
    ("wanted", "statuses", "wrong"),
    [
        pytest.param(0, [], {}, id="nothing to do, and so no workers"),
        pytest.param(2, [LOADED], {}, id="one of two works"),
        pytest.param(2, [LOADING], {"workers": "none of 1 workers has loaded its model yet"}, id="loading"),
        pytest.param(
            2, [], {"workers": "none of 2 workers answers: they wait for room on the cluster, or start"}, id="no room"
        ),
        pytest.param(
            1, [LOADED | {"store_fault": "no space left"}], {"store": "w-1: no space left"}, id="a full storage"
        ),
        pytest.param(
            1, [LOADED | {"queue_fault": "Redis is full"}], {"queue": "w-1: Redis is full"}, id="a full Redis"
        ),
    ],
)
def test_ready_says_what_is_wrong_with_workers(
    clock: Clock, wanted: int, statuses: list[dict[str, Any]], wrong: dict[str, str]
) -> None:
    found = health(clock, Asked(), Asked())
    found.beat(wanted, statuses)
    assert faults(found) == wrong
    assert found.alive()[0]


def test_a_process_is_not_ready_before_its_first_round_nor_while_it_ends(clock: Clock, asked: Asked) -> None:
    found = Health(monotonic=clock)
    found.phase = "starting Ray"
    assert faults(found) == {
        "store": "it has not been asked yet",
        "queue": "it has not been asked yet",
        "fleet": "starting Ray",
    }
    assert found.alive() == (True, {"alive": True, "uptime_s": 0.0, "phase": "starting Ray"})
    found = health(clock, asked, Asked())
    found.beat(0, [])
    assert faults(found) == {}
    found.end()
    found.beat(0, [])
    assert faults(found) == {"fleet": "ending"}


def test_a_cluster_that_is_away_makes_it_unready(clock: Clock, asked: Asked) -> None:
    found = health(clock, asked, Asked())
    found.beat(0, [], cluster_fault="the Ray cluster does not answer")
    assert faults(found) == {"fleet": "the Ray cluster does not answer"}


def test_a_process_that_waits_for_redis_is_alive_and_not_ready(clock: Clock, asked: Asked) -> None:
    found = health(clock, asked, Asked())
    found.beat(1, [LOADED])
    asked.fault = QueueUnavailable("Redis at a:1 does not answer")
    found.probes["queue"].ask_once()
    clock.now += 10 * STALL_S  # its loop waits in a call to Redis for all this time
    assert faults(found) == {"queue": "Redis at a:1 does not answer"}
    is_alive, body = found.alive()
    assert is_alive
    assert "fault" not in body


def test_only_a_loop_that_stands_still_while_all_is_there_is_dead(clock: Clock, asked: Asked) -> None:
    found = health(clock, asked, Asked())
    found.beat(1, [LOADED])
    clock.now += STALL_S - 1
    assert found.alive()[0], "a round of a large fleet may take long"
    clock.now += 2
    is_alive, body = found.alive()
    assert not is_alive
    assert "restart the process" in body["fault"]
    found.beat(1, [LOADED])
    assert found.alive()[0]


def test_a_loop_has_time_to_go_on_once_redis_is_back(clock: Clock, asked: Asked) -> None:
    found = health(clock, asked, Asked())
    found.beat(1, [LOADED])
    asked.fault = QueueUnavailable("gone")
    found.probes["queue"].ask_once()
    clock.now += 2 * STALL_S
    asked.fault = None
    found.probes["queue"].ask_once()
    assert found.alive()[0]
