"""Shows workers/worker/claimer.py: which rows are begun next, and how often a claim reads the storage.

The claims are made one by one, in the thread of the test.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.batches.batch import Batch, BatchPaths, Renewal
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import reopen
from jobs.errors import StoreUnavailable
from jobs.lanes.job import Job
from jobs.lanes.protocol import Settlement
from jobs.store.damage import MAX_S
from jobs.store.local import LocalStore
from jobs.tenants import TenantSettings
from tests.support.clocks import MovedClock
from tests.support.night import LANE, settings_of
from tests.support.outcomes import completed, failed
from tests.support.worker_night import WorkerNight
from workers.worker.claimer import Claimer
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat, Pulse

SLOTS = 16
ASKED = frozenset({"list", "read", "read_range", "reader", "exists", "size", "create"})


class Counted(LocalStore):
    """A store that counts its calls. No range of the input of the batch named by `away` can be read."""

    asked = 0
    away = "none"

    def __getattribute__(self, name: str) -> Any:
        if name in ASKED:
            self.asked += 1
        return super().__getattribute__(name)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        if self.away in path:
            raise StoreUnavailable("storage: it is away")
        return super().read_range(path, offset, length)


class Desk(WorkerNight):
    """A night with one claimer that has no thread: it claims when the test says so. The test moves the clock."""

    store: Counted

    def __init__(self, folder: Path, client: redis.Redis, **given: Any) -> None:
        self.clock = MovedClock()
        settings = settings_of(batch_scan_s=2.0, spool_dir=folder / "spool", **given)
        store = Counted(str(folder / "store"))
        super().__init__(store, client, settings, monotonic=self.clock.monotonic)
        batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s, monotonic=self.monotonic)
        context = self.context(slots=SLOTS, batches=batches)
        self.leases = context.leases
        self.failing_batches = context.failing_batches
        self.claimer = Claimer(context, Flusher(context, Heartbeat(context)), Pulse())

    def claim_once(self) -> None:
        """Run the claimer's loop once."""
        self.claimer._claim_if_room()

    def begun(self) -> list[Job]:
        """The jobs that were begun since the last call. They are still in hand."""
        return [turn.attempt.job for turn in self.claimer.ready()]

    def turn(self) -> Mapping[str, int]:
        """Claim once, and settle the begun jobs at once. Returns batch name -> how many of its rows were begun."""
        self.claim_once()
        jobs = self.begun()
        self.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
        self.leases.remove(job.lease for job in jobs)
        return Counter(job.key.batch_id.rpartition("-")[0] for job in jobs)


@pytest.fixture
def desk(tmp_path: Path, fake_client: redis.Redis) -> Desk:
    return Desk(tmp_path, fake_client, window_rows=400)


# -- which rows are claimed next


def test_an_urgent_batch_is_begun_while_the_lane_is_more_than_half_full(desk: Desk) -> None:
    desk.accept(1000, "large")
    desk.turn()
    desk.accept(50, "urgent", priority=9)
    desk.clock.pass_s(desk.settings.batch_scan_s)
    desk.turn()
    assert desk.snapshot().ready > desk.settings.window_rows / 2
    assert [desk.turn() for _ in range(3)] == [{"urgent": 32}, {"urgent": 18, "large": 14}, {"large": 32}]


def test_a_tenant_at_its_cap_that_fills_the_lane_keeps_no_other_waiting(
    tmp_path: Path, fake_client: redis.Redis
) -> None:
    """No waiting row of this tenant may be claimed. The worker has room, so it feeds rows of other tenants at each claim, and
    stays busy.
    """
    desk = Desk(tmp_path, fake_client, window_rows=400, tenants={"a": TenantSettings(rows_in_flight=2)})
    desk.accept(1000, "large", tenant="a")
    desk.turn()
    desk.accept(300, "other", tenant="b")
    desk.clock.pass_s(desk.settings.batch_scan_s)
    desk.turn()
    assert desk.snapshot().ready > desk.settings.window_rows / 2
    done: Counter[str] = Counter()
    for _ in range(16):
        done += Counter(desk.turn())
    assert done["other"] == 300


def test_a_renewed_row_is_begun_with_what_it_must_not_repeat(desk: Desk) -> None:
    """Only its own round says so: the row that did not complete runs in the same round as it did before."""
    batch = desk.accept(3)
    ways = {0: completed, 1: completed, 2: failed}
    desk.finish(desk.claim(), lambda lease: ways[lease.key.row](lease))
    desk.sweeper().sweep()
    reopen(desk.store, batch.batch_id, renews=[Renewal(rows=(1,), avoid=("Once upon a time",))])
    desk.clock.pass_s(desk.settings.batch_scan_s)
    desk.claim_once()  # it feeds the round
    desk.claim_once()
    begun = {turn.attempt.row.row: turn for turn in desk.claimer.ready()}
    assert sorted(begun) == [1, 2]
    prompts = {row: turn.requests[0].prompt.messages[-1].content for row, turn in begun.items()}
    assert prompts[1].startswith("Say 1.\n\nOther texts begin like this:\n- Once upon a time\n")
    assert prompts[2] == "Say 2."
    assert begun[1].attempt.receipt["avoid"] == ["Once upon a time"]
    assert "avoid" not in begun[2].attempt.receipt


def test_a_claim_on_a_full_lane_does_not_ask_the_storage(desk: Desk) -> None:
    """The storage is asked once in `batch_scan_s` seconds. Even then it is not asked for batches with at least half of their
    part waiting.
    """
    for n in range(8):
        desk.accept(200, f"b{n}")
    desk.clock.pass_s(desk.settings.batch_scan_s)
    desk.turn()
    desk.clock.pass_s(desk.settings.batch_scan_s)
    desk.turn()
    asked = desk.store.asked
    assert sum(desk.turn().values()) == 2 * SLOTS
    assert desk.store.asked == asked
    desk.clock.pass_s(desk.settings.batch_scan_s)
    desk.turn()
    assert 0 < desk.store.asked - asked < 4


# -- damage


def input_of(desk: Desk, batch: Batch) -> Path:
    return Path(desk.store.url) / BatchPaths(batch.batch_id).input(LANE)


def test_a_damaged_batch_in_front_whose_requests_are_in_storage_keeps_no_other_waiting(
    tmp_path: Path, fake_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """No attempt is counted for the rows of the damaged batch. Once its input is restored, the rows are fed again without a
    command.
    """
    desk = Desk(tmp_path, fake_client, inline_bytes=0)
    hurt, sound = desk.accept(40, "hurt", priority=9), desk.accept(100, "sound")
    desk.claim_once()
    whole = input_of(desk, hurt).read_bytes()
    input_of(desk, hurt).unlink()
    assert [desk.turn() for _ in range(6)] == [{}, *[{"sound": 32}] * 3, {"sound": 4}, {}]
    assert desk.claimer.outage.event == "store.damaged"
    assert "Restore it from a backup" in desk.claimer.outage.reason
    assert capsys.readouterr().out.count("store.damaged") == 1
    assert desk.leases.holding == 0
    snapshot = desk.snapshot()
    assert (snapshot.ready, snapshot.delayed, snapshot.leased) == (0, 0, 0)
    assert sound.batch_id in snapshot.batches
    input_of(desk, hurt).write_bytes(whole)
    desk.clock.pass_s(MAX_S)
    desk.claim_once()
    desk.claim_once()
    jobs = desk.begun()
    assert [(job.key.batch_id, job.attempt, job.crashes) for job in jobs] == [(hurt.batch_id, 1, 0)] * 32
    assert desk.claimer.outage.error is None


def test_rows_of_a_damaged_batch_that_run_may_finish(tmp_path: Path, fake_client: redis.Redis) -> None:
    """Other rows were taken off the lane. Once the input is restored, the audit has these rows fed again."""
    desk = Desk(tmp_path, fake_client, inline_bytes=0)
    hurt = desk.accept(40, "hurt")
    desk.claim_once()
    desk.claim_once()
    jobs = desk.begun()
    running, others = [job.lease for job in jobs[:8]], [job.lease for job in jobs[8:]]
    whole = input_of(desk, hurt).read_bytes()
    input_of(desk, hurt).unlink()
    desk.queue.release(LANE, others)
    desk.leases.remove(others)
    desk.claim_once()
    assert desk.snapshot().batches[hurt.batch_id].live == 8
    desk.write([completed(lease) for lease in running], hurt.batch_id)
    assert desk.queue.settle(LANE, [Settlement(lease) for lease in running]) == frozenset()
    desk.leases.remove(running)
    input_of(desk, hurt).write_bytes(whole)
    desk.sweep()
    desk.clock.pass_s(MAX_S)
    assert [desk.turn(), desk.turn(), desk.turn()] == [{}, {"hurt": 32}, {}]


def test_while_the_storage_is_away_rows_that_were_not_begun_are_released(
    tmp_path: Path, fake_client: redis.Redis
) -> None:
    """The rows of a damaged batch, which were claimed before these rows, are released too."""
    desk = Desk(tmp_path, fake_client, inline_bytes=0)
    hurt, sound = desk.accept(4, "hurt", priority=9), desk.accept(4, "sound")
    desk.claim_once()
    input_of(desk, hurt).unlink()
    desk.store.away = sound.batch_id
    desk.claim_once()
    assert desk.leases.holding == 0
    assert desk.snapshot().ready == 8
    desk.store.away = "none"
    assert [desk.turn(), desk.turn()] == [{"sound": 4}, {}]


def test_a_failing_batch_that_is_damaged_keeps_no_other_waiting(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """The worker saw three rows of the batch fail, and cannot read the batch's other outcomes. It logs this, and continues with
    all batches.
    """
    hurt, _ = desk.accept(40, "hurt", priority=9), desk.accept(40, "sound")
    desk.claim_once()
    failures = [failed(row) for row in range(3)]
    desk.write(failures, hurt.batch_id)
    (segment,) = (Path(desk.store.url) / BatchPaths(hurt.batch_id).segments).iterdir()
    segment.write_bytes(b"torn")
    for outcome in failures:
        desk.failing_batches.count(hurt.batch_id, outcome)
    assert [desk.turn() for _ in range(3)] == [{"hurt": 32}, {"hurt": 8, "sound": 24}, {"sound": 16}]
    assert capsys.readouterr().out.count("store.damaged") == 1
