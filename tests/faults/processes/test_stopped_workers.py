"""Tests workers that are stopped in mid-work: by SIGSTOP at the worst moments, by SIGTERM, and by SIGKILL at every attempt.

In three tests a worker is stopped until its leases have run out, another worker takes its rows over, and both write in some
order. In these tests the stopped worker is cut off from Redis when it continues. Otherwise it would learn that its leases are
gone, and write nothing.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.faults.network.cut_network import Proxy
from tests.faults.premises import EVEN, GRACE_S, Premises, slack_s

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

FEW = 8
"""The number of rows of a batch. An engine has as many slots, so one worker has all rows in hand at once."""


def lower_fences_win(night: Premises, batch_id: str) -> None:
    """Require that for each row that both workers completed, the line of w0 is published."""
    by_row = {worker: {line.row for line in night.lines(batch_id, worker)} for worker in ("w0", "w1")}
    both = by_row["w0"] & by_row["w1"]
    assert both, "no row was done by both"
    assert {night.outputs(batch_id)[row]["worker"] for row in both} == {"w0"}


def stopped_past_its_leases(night: Premises, proxy: Proxy, batch_id: str) -> None:
    """Stop w0 when it has all rows in hand and none done, and cut it off from Redis. Start w1, which takes these rows over."""
    sleeper = night.work(proxy.url)
    night.leased(FEW)
    sleeper.send_signal(signal.SIGSTOP)
    proxy.mode = "cut"
    assert night.completed(batch_id, "w0") == 0
    night.work()


@pytest.fixture
def slow(make_night: Callable[..., Premises]) -> Premises:
    """Premises whose rows of 60 words take 6 s."""
    return make_night(stub={"step_s": 0.1})


def test_a_stopped_worker_continues_after_the_other_has_written(
    slow: Premises, make_proxy: Callable[[int], Proxy]
) -> None:
    proxy = make_proxy(slow.server.port)
    batch_id = slow.submit(FEW, max_tokens=60, **EVEN)
    stopped_past_its_leases(slow, proxy, batch_id)
    slow.until(lambda: slow.completed(batch_id, "w1") == FEW, 120, "the other to write")
    slow.workers[0].send_signal(signal.SIGCONT)
    slow.until(lambda: slow.completed(batch_id, "w0") > 0, 90, "the first to write, cut off")
    proxy.mode = "open"
    assert slow.finish(batch_id) == {"completed": FEW}
    lower_fences_win(slow, batch_id)


def test_a_stopped_worker_continues_and_writes_before_the_other(
    slow: Premises, make_proxy: Callable[[int], Proxy]
) -> None:
    proxy = make_proxy(slow.server.port)
    batch_id = slow.submit(FEW, max_tokens=60, **EVEN)
    stopped_past_its_leases(slow, proxy, batch_id)
    slow.until(lambda: list(slow.events("job.rescued")), 90, "the other to take over")
    slow.workers[1].send_signal(signal.SIGSTOP)
    assert slow.completed(batch_id, "w1") == 0
    slow.workers[0].send_signal(signal.SIGCONT)
    slow.until(lambda: slow.completed(batch_id, "w0") > 0, 90, "the first to write, cut off")
    slow.workers[1].send_signal(signal.SIGCONT)
    slow.until(lambda: slow.completed(batch_id, "w1") > 0, 90, "the other to write")
    proxy.mode = "open"
    assert slow.finish(batch_id) == {"completed": FEW}
    lower_fences_win(slow, batch_id)


@pytest.mark.smoke
def test_a_worker_stopped_after_writing_and_before_settling(
    night: Premises, make_proxy: Callable[[int], Proxy]
) -> None:
    """The other worker finds the outcomes that were written, and does not run these rows again."""
    proxy = make_proxy(night.server.port)
    settle = night.sha("settle")

    def stop(packet: bytes) -> None:
        if settle in packet:
            proxy.mode = "still"
            night.workers[0].send_signal(signal.SIGSTOP)

    proxy.before = stop
    batch_id = night.submit(FEW)
    night.work(proxy.url)
    night.at_least(batch_id, 1)
    night.until(lambda: proxy.mode == "still", 30, "the report to be held")
    written = night.completed(batch_id, "w0")
    other = night.work()
    night.until(lambda: night.lane().leased == 0 and night.outcomes(batch_id) == FEW, 60, f"the rest: {night.logs()}")
    proxy.before = lambda _: None
    proxy.mode = "open"
    night.workers[0].send_signal(signal.SIGCONT)
    counts = night.finish(batch_id)
    assert other.poll() is None
    assert night.completed(batch_id, "w1") == FEW - written
    assert counts == {"completed": FEW}


@pytest.mark.smoke
def test_a_stopped_worker_that_can_ask_redis_writes_nothing_it_lost(slow: Premises) -> None:
    """The rows take so long that none is done when the worker is stopped. (If a row were about to be written at that moment,
    the worker would still write it.)
    """
    batch_id = slow.submit(FEW, max_tokens=60, **EVEN)
    sleeper = slow.work()
    slow.leased(FEW)
    sleeper.send_signal(signal.SIGSTOP)
    assert slow.completed(batch_id, "w0") == 0
    slow.work()
    slow.until(lambda: list(slow.events("job.rescued")), 90, "the other to take over")
    sleeper.send_signal(signal.SIGCONT)
    counts = slow.finish(batch_id)
    lost = {line.fence for line in slow.lines(batch_id) if line.status == "crashed"}
    assert lost
    assert not [line for line in slow.lines(batch_id) if line.fence in lost and line.status == "completed"]
    assert counts == {"completed": FEW}


def test_all_attempts_of_a_row_killed_and_its_burial_too(make_night: Callable[..., Premises]) -> None:
    """A row that no worker ever finished has an outcome in the end: a final failure."""
    night = make_night(stub={"step_s": 1.0})
    batch_id = night.submit(1)
    kills = 0
    while not list(night.events("job.buried")):
        worker = night.work(env={"NIGHTPRESS_FLUSH_S": "30"})
        name = f"w{len(night.workers) - 1}"
        night.until(
            lambda name=name: any(one.worker == name and one.running for one in night.lane().workers),
            60,
            f"the row in its hand: {night.logs()}",
        )
        worker.kill()
        worker.wait()
        kills += 1
        assert kills < 10, night.logs()
    assert night.outcomes(batch_id) == 0
    night.work()
    assert night.finish(batch_id) == {"failed": 1}
    (final,) = [line for line in night.lines(batch_id) if line.final]
    assert final.error is not None
    assert final.error["code"] == "crashed_worker"


@pytest.mark.smoke
def test_sigterm_releases_all_rows_within_the_grace_time(make_night: Callable[..., Premises]) -> None:
    """The running rows would take a minute, and the grace time is 5 s."""
    night = make_night(stub={"step_s": 1.0})
    batch_id = night.submit(FEW, max_tokens=60, first={"max_tokens": 1})
    worker = night.work()
    night.at_least(batch_id, 1)  # the worker has begun the other rows by then
    sent_at = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(120) == 0, night.logs()
    ended_s = time.monotonic() - sent_at
    print(f"the worker ended {ended_s:.2f} s after SIGTERM; grace {GRACE_S} s")  # noqa: T201
    assert ended_s <= GRACE_S + slack_s()
    lane = night.lane()
    assert (lane.leased, lane.suspects) == (0, 0), "a lease was left to run out"
    night.configure(stub={"step_s": 0.004})
    night.work()
    night.finish(batch_id)
    assert Counter(line.status for line in night.lines(batch_id)) == {"completed": FEW}


@pytest.mark.parametrize("lease_s", [1.0, 6.0])
def test_the_death_of_the_only_worker_costs_a_lease_and_a_little(
    make_night: Callable[..., Premises], lease_s: float
) -> None:
    """Another worker starts when the first dies, and takes its rows over. If it takes longer than a lease to start, the rows
    wait a lease more.
    """
    night = make_night(more={"lease_s": lease_s}, stub={"step_s": 0.03})
    batch_id = night.submit(FEW, max_tokens=60)
    victim = night.work()
    night.leased(FEW)
    killed = time.time()
    victim.kill()
    night.work()
    (first, *_) = night.until(lambda: list(night.events("job.rescued")), 60, "the other to take over")
    *_, other = night.events("worker.started")
    started_s, cost_s = (datetime.fromisoformat(event["timestamp"]).timestamp() - killed for event in (other, first))
    promised_s = 2 + lease_s + (started_s if started_s > lease_s else 0)
    print(f"taken over {cost_s:.2f} s after the kill; lease {lease_s} s, promised {promised_s:.2f} s")  # noqa: T201
    assert cost_s <= promised_s + slack_s()
    assert night.finish(batch_id) == {"completed": FEW}
