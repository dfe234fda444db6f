"""Workers that are stopped in the middle: by SIGSTOP at the worst moments, by SIGTERM, by SIGKILL at every attempt.

The three orders of who writes first, when a worker stands still past its leases and another takes its rows over, need that
the first cannot ask Redis when it goes on: else it learns that its leases are gone, and writes nothing.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.faults.cut_network import Proxy
from tests.faults.worker_site import GRACE_S, Site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

FEW = 8
"""As many as an engine has slots: all are in hand at once."""
SLACK_S = 5.0
"""What a machine that runs other things meanwhile may add; the figure itself is printed (`pytest -rP`)."""


def completed(site: Site, batch_id: str, worker: str) -> int:
    return sum(line.status == "completed" for line in site.lines(batch_id, worker))


def stopped_past_its_leases(site: Site, proxy: Proxy, batch_id: str) -> None:
    """`w0` has all rows in hand, stands still, and `w1` takes them over."""
    sleeper = site.work(proxy.url)
    site.leased(FEW)
    sleeper.send_signal(signal.SIGSTOP)
    proxy.mode = "cut"
    assert completed(site, batch_id, "w0") == 0
    site.work()


@pytest.fixture
def slow(make_site: Callable[..., Site]) -> Site:
    """Rows of 2 s, of which all are in hand at once."""
    return make_site(step_s=0.03)


def test_it_goes_on_after_the_other_has_written(slow: Site, make_proxy: Callable[[int], Proxy]) -> None:
    proxy = make_proxy(slow.server.port)
    batch_id = slow.submit(FEW, max_tokens=60)
    stopped_past_its_leases(slow, proxy, batch_id)
    slow.until(lambda: completed(slow, batch_id, "w1") == FEW, 60, "the other to write")
    slow.workers[0].send_signal(signal.SIGCONT)
    slow.until(lambda: completed(slow, batch_id, "w0") > 0, 60, "the first to write, cut off")
    proxy.mode = "open"
    slow.finish(batch_id)
    assert slow.counts(batch_id) == {"completed": FEW}
    assert any(winner.startswith("w0") for winner in slow.winners(batch_id)), "the lower fence wins"


def test_it_goes_on_and_writes_before_the_other(slow: Site, make_proxy: Callable[[int], Proxy]) -> None:
    proxy = make_proxy(slow.server.port)
    batch_id = slow.submit(FEW, max_tokens=60)
    stopped_past_its_leases(slow, proxy, batch_id)
    slow.until(lambda: list(slow.events("job.rescued")), 60, "the other to take over")
    slow.workers[1].send_signal(signal.SIGSTOP)
    assert completed(slow, batch_id, "w1") == 0
    slow.workers[0].send_signal(signal.SIGCONT)
    slow.until(lambda: completed(slow, batch_id, "w0") > 0, 60, "the first to write, cut off")
    slow.workers[1].send_signal(signal.SIGCONT)
    slow.until(lambda: completed(slow, batch_id, "w1") > 0, 60, "the other to write")
    proxy.mode = "open"
    slow.finish(batch_id)
    assert slow.counts(batch_id) == {"completed": FEW}
    assert any(winner.startswith("w0") for winner in slow.winners(batch_id)), "the lower fence wins"


@pytest.mark.smoke
def test_it_had_written_but_not_reported_when_it_was_stopped(site: Site, make_proxy: Callable[[int], Proxy]) -> None:
    """The other finds the outcomes, and does no row again."""
    proxy = make_proxy(site.server.port)
    settle = site.sha("settle")

    def stop(packet: bytes) -> None:
        if settle in packet:
            proxy.mode = "still"
            site.workers[0].send_signal(signal.SIGSTOP)

    proxy.before = stop
    batch_id = site.submit(FEW)
    site.work(proxy.url)
    site.at_least(batch_id, 1)
    site.until(lambda: proxy.mode == "still", 30, "the report to be held")
    written = completed(site, batch_id, "w0")
    other = site.work()
    site.until(lambda: site.lane().leased == 0 and site.outcomes(batch_id) == FEW, 60, f"the rest: {site.logs()}")
    proxy.before = lambda _: None
    proxy.mode = "open"
    site.workers[0].send_signal(signal.SIGCONT)
    site.finish(batch_id)
    assert other.poll() is None
    assert completed(site, batch_id, "w1") == FEW - written
    assert site.counts(batch_id) == {"completed": FEW}


@pytest.mark.smoke
def test_one_that_can_ask_when_it_goes_on_writes_nothing_of_what_it_lost(slow: Site) -> None:
    batch_id = slow.submit(FEW, max_tokens=60)
    sleeper = slow.work()
    slow.leased(FEW)
    sleeper.send_signal(signal.SIGSTOP)
    slow.work()
    slow.until(lambda: list(slow.events("job.rescued")), 60, "the other to take over")
    sleeper.send_signal(signal.SIGCONT)
    slow.finish(batch_id)
    lost = {line.fence for line in slow.lines(batch_id) if line.status == "crashed"}
    assert lost
    assert not [line for line in slow.lines(batch_id) if line.fence in lost and line.status == "completed"]
    assert slow.counts(batch_id) == {"completed": FEW}


def test_all_attempts_of_a_row_killed_and_its_burial_too(make_site: Callable[..., Site]) -> None:
    """A row that was never finished by anyone has an outcome in the end: a final failure."""
    site = make_site(step_s=1.0)
    batch_id = site.submit(1)
    kills = 0
    while not list(site.events("job.buried")):
        worker = site.work(env={"NIGHTPRESS_FLUSH_S": "30"})
        name = f"w{len(site.workers) - 1}"
        site.until(
            lambda name=name: site.lane().leased and any(one.worker == name for one in site.lane().workers),
            60,
            f"the row: {site.logs()}",
        )
        worker.kill()
        worker.wait()
        kills += 1
        assert kills < 10, site.logs()
    assert site.outcomes(batch_id) == 0
    site.work()
    site.finish(batch_id)
    assert site.counts(batch_id) == {"failed": 1}
    (final,) = [line for line in site.lines(batch_id) if line.final]
    assert final.error is not None
    assert final.error["code"] == "crashed_worker"


@pytest.mark.smoke
def test_told_to_end_it_gives_all_back_within_its_grace_time(make_site: Callable[..., Site]) -> None:
    """Rows of a minute, and 5 s."""
    site = make_site(step_s=1.0)
    batch_id = site.submit(FEW, max_tokens=60, first={"max_tokens": 1})
    worker = site.work()
    site.at_least(batch_id, 1)  # so the others run
    told = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0, site.logs()
    ended_s = time.monotonic() - told
    print(f"the worker ended {ended_s:.2f} s after SIGTERM; grace {GRACE_S} s")  # noqa: T201
    assert ended_s <= GRACE_S + SLACK_S
    lane = site.lane()
    assert (lane.leased, lane.suspects) == (0, 0), "something was left to run out"
    site.configure(step_s=0.004)
    site.work()
    site.finish(batch_id)
    assert Counter(line.status for line in site.lines(batch_id)) == {"completed": FEW}


@pytest.mark.parametrize("lease_s", [1.0, 2.0])
def test_the_death_of_the_only_worker_costs_a_lease_and_a_little(
    make_site: Callable[..., Site], lease_s: float
) -> None:
    """Another, which starts as the first dies, takes its rows over."""
    site = make_site(lease_s=lease_s, step_s=0.03)
    batch_id = site.submit(FEW, max_tokens=60)
    victim = site.work()
    site.leased(FEW)
    killed = time.time()
    victim.kill()
    site.work()
    (first, *_) = site.until(lambda: list(site.events("job.rescued")), 60, "the other to take over")
    cost_s = datetime.fromisoformat(first["timestamp"]).timestamp() - killed
    print(f"taken over {cost_s:.2f} s after the kill; lease {lease_s} s, promised {lease_s + 2} s")  # noqa: T201
    assert cost_s <= lease_s + 2 + SLACK_S
    site.finish(batch_id)
    assert site.counts(batch_id) == {"completed": FEW}
