"""Shows the order in which rows are claimed (rule 43 of jobs/PROTOCOL.md), with bounds in rows and expected tokens.

`scripts/checks/order.py` simulates the effect of the order on a night.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.batches.rounds import reopen
from jobs.lanes.places import LAST_ROWS_PER_SLOT, place_of
from jobs.lanes.protocol import FeedRow, LanePolicy, Settlement
from jobs.lanes.redis_queue import RedisQueue
from jobs.store.local import LocalStore
from jobs.tenants import TenantSettings
from tests.support.lane import LANE, LEASE_MS, ME, key
from tests.support.night import Night, chats
from tests.support.outcomes import failed


class Order:
    """The batches of a lane, and which rows of them were claimed so far."""

    def __init__(self, queue: RedisQueue) -> None:
        self.queue = queue
        self.costs: dict[tuple[str, int], int] = {}
        self.claimed: list[tuple[str, int]] = []

    def feed(self, batch: str, costs: Sequence[int], *, tenant: str = "t", priority: int = 4, due_ms: int = 0) -> None:
        self.costs |= {(batch, n): cost for n, cost in enumerate(costs)}
        rows = [FeedRow(n, b"{}", cost, priority, tenant) for n, cost in enumerate(costs)]
        for first in range(0, len(rows), 1000):
            part = rows[first : first + 1000]
            assert self.queue.feed(LANE, batch, 1, first, first + len(part), True, part, due_ms=due_ms).accepted

    def claim(self, n: int) -> list[str]:
        """Claim up to `n` rows, which are done at once. Returns their batches."""
        jobs = self.queue.claim(LANE, f"w-1-{len(self.claimed)}", n, LEASE_MS, ME).jobs
        self.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
        self.claimed += [(job.key.batch_id, job.key.row) for job in jobs]
        return [job.key.batch_id for job in jobs]

    def claims(self, n: int) -> Iterator[list[str]]:
        while found := self.claim(n):
            yield found

    def tokens(self, batch: str, of: int | None = None) -> int:
        """The tokens of a batch among the first `of` claimed rows."""
        return sum(self.costs[one] for one in self.claimed[:of] if one[0] == batch)


@pytest.fixture
def order(queue: RedisQueue) -> Order:
    return Order(queue)


@pytest.fixture
def client(fake_client: redis.Redis) -> redis.Redis:
    return fake_client


@pytest.mark.parametrize("n", [1, 7, 32])
def test_a_canary_behind_a_night_has_every_second_token(order: Order, n: int) -> None:
    """The canary ends when about twice its own tokens were claimed, however many rows wait before it."""
    order.feed("night", [50] * 3000)
    order.claim(64)
    order.feed("canary", [50] * 20)
    began = len(order.claimed)
    while order.tokens("canary") < 20 * 50:
        assert order.claim(n)
    assert len(order.claimed) - began <= 2 * 20 + n + 2


@pytest.mark.parametrize("batches", [2, 5, 20])
def test_batches_share_by_tokens_and_an_older_one_has_its_part(order: Order, batches: int) -> None:
    """Each batch has rows of another length. At any time, the tokens that were claimed of two batches differ by at most three
    of the longest rows.
    """
    lengths = [10 * (1 + n % 10) for n in range(batches)]
    for n, length in enumerate(lengths):
        order.feed(f"b{n}", [length] * 400)
    for _ in order.claims(16):
        had = [order.tokens(f"b{n}") for n in range(batches)]
        if min(400 * length - one for one, length in zip(had, lengths, strict=True)) < 200:
            break
        assert max(had) - min(had) <= 3 * max(lengths)
    assert len(order.claimed) > 40 * batches


def test_short_rows_do_not_starve_behind_a_steady_stream_of_long_ones(order: Order) -> None:
    order.feed("short", [5] * 5)
    for n in range(10):
        order.feed(f"long{n}", [900] * 20)
        order.claim(3)
    assert Counter(batch for batch, _ in order.claimed)["short"] == 5


def test_batches_that_are_due_come_first_by_time_and_leave_a_tenth(order: Order) -> None:
    order.feed("other", [10] * 1000)
    order.feed("late", [30] * 100, due_ms=2_000_000)
    order.feed("early", [20] * 100, due_ms=1_000_000)
    for _ in order.claims(9):
        due = order.tokens("early") + order.tokens("late")
        if due == 5000:
            break
        assert order.tokens("late") == 0 or order.tokens("early") == 2000
        assert order.tokens("other") <= due / 9 + 20
        assert order.tokens("other") >= due / 9 - 30


@pytest.mark.parametrize(("due", "other"), [(1, 90), (90, 1)], ids=["short rows are due", "long rows are due"])
def test_a_cap_holds_in_each_step_of_a_turn(fake_client: redis.Redis, due: int, other: int) -> None:
    """The tenant's share allows many short rows at once, after a long row of the other batch."""
    queue = RedisQueue(fake_client, policy=LanePolicy(tenants={"t": TenantSettings(rows_in_flight=3)}))
    order = Order(queue)
    order.feed("due", [due] * 30, due_ms=1_000_000)
    order.feed("other", [other] * 30)
    for n in range(6):
        jobs = queue.claim(LANE, f"w-1-{n}", 20, LEASE_MS, ME).jobs
        assert len(jobs) == 3
        queue.settle(LANE, [Settlement(job.lease) for job in jobs])


def test_all_of_what_is_due_is_served_if_nothing_else_waits(order: Order) -> None:
    order.feed("late", [10] * 5, due_ms=2_000_000)
    order.feed("early", [10] * 5, due_ms=1_000_000)
    assert order.claim(10) == ["early"] * 5 + ["late"] * 5


def test_a_deadline_is_no_advantage_over_another_tenant(order: Order) -> None:
    order.feed("due", [10] * 200, tenant="a", due_ms=1)
    order.feed("other", [10] * 200, tenant="b")
    for _ in range(10):
        order.claim(10)
    assert abs(order.tokens("due") - order.tokens("other")) <= 20


def test_a_batch_is_claimed_in_the_order_of_its_places(order: Order) -> None:
    """Two batches are claimed side by side. The rows of each batch come in the order of the input."""
    for batch in ("a", "b"):
        order.feed(batch, [10] * 50)
    for _ in order.claims(8):
        pass
    for batch in ("a", "b"):
        assert [row for name, row in order.claimed if name == batch] == list(range(50))


@pytest.mark.parametrize("seed", range(8))
def test_nothing_waits_for_ever(order: Order, seed: int) -> None:
    """Batches of any length, tenant, priority and due time arrive all the time. Still the oldest rows get their turn."""
    chance = random.Random(seed)
    order.feed("old", [chance.randint(1, 500) for _ in range(30)], tenant="t0", priority=4)
    for n in range(200):
        tenant, due = f"t{chance.randrange(3)}", chance.choice([0, 0, chance.randint(1, 10**9)])
        order.feed(f"b{n}", [chance.randint(1, 500) for _ in range(4)], tenant=tenant, due_ms=due, priority=4)
        order.claim(5)
        if sum(batch == "old" for batch, _ in order.claimed) == 30:
            return
    assert sum(batch == "old" for batch, _ in order.claimed) >= 10, Counter(batch for batch, _ in order.claimed)


@pytest.mark.parametrize("kind", ["tenants", "batches", "priorities and tenants"])
def test_the_work_of_a_claim_does_not_grow_with_what_waits(servers: Any, kind: str) -> None:
    """The server counts the commands that a claim of 8 jobs runs, with 40 and with 400 tenants or batches."""
    counted = []
    with redis.Redis.from_url(servers("valkey")) as client:
        for many in (40, 400):
            client.flushall()
            order = Order(RedisQueue(client, max_attempts=3))
            for n in range(many):
                tenant = "t" if kind == "batches" else f"t{n}"
                order.feed(f"b{n}", [10] * 8, tenant=tenant, priority=n % 3 if kind.startswith("priorities") else 4)
            order.claim(8)
            client.config_resetstat()
            order.claim(8)
            stats: dict[str, Any] = client.info("commandstats")
            counted.append(sum(one["calls"] for one in stats.values()))
    assert counted[1] <= 1.1 * counted[0]


# -- from storage


@pytest.fixture
def night(tmp_path: Path, fake_client: redis.Redis) -> Night:
    return Night(LocalStore(str(tmp_path)), fake_client)


def test_the_last_rows_are_claimed_by_their_length_and_the_others_in_the_order_of_the_input(night: Night) -> None:
    rows = 2 * LAST_ROWS_PER_SLOT
    night.accept([chats(1, max_tokens=10 * (1 + n % 5))[0] for n in range(rows)])
    night.feed()
    found = [job.key.row for job in night.claim()]
    first, last = found[: rows // 2], found[rows // 2 :]
    assert first == list(range(rows // 2))
    assert [row % 5 for row in last] == sorted((row % 5 for row in range(rows // 2, rows)), reverse=True)


@pytest.mark.parametrize(
    ("last_from", "row", "cost", "place"),
    [
        (96, 95, 7, 95),
        (96, 96, 7, 6 * 10**9 - 7),
        (92, 92, 10**9, 5 * 10**9),
        (92, 92, 10**12, 5 * 10**9),
        (0, 0, 1, 6 * 10**9 - 1),
        (5 * 10**9, 4 * 10**9, 1, 4 * 10**9),
    ],
)
def test_the_place_of_a_row(last_from: int, row: int, cost: int, place: int) -> None:
    assert place_of(row, cost, last_from=last_from) == place < 10**10


# -- further rounds


def publish_failures(night: Night, rows: Sequence[dict[str, Any]]) -> str:
    """Accept a batch, and publish it with every row failed. Return its id."""
    batch = night.accept(rows, name="reopened")
    while jobs := night.claim():
        night.finish(jobs, failed)
    night.sweep()
    return batch.batch_id


def sent_back(night: Night, batch: str) -> None:
    reopen(night.store, batch, [2, 3])
    night.change()


def retried(night: Night, batch: str) -> None:
    reopen(night.store, batch)
    night.change()


@pytest.mark.parametrize("opened", [retried, sent_back])
def test_a_reopened_row_keeps_its_priority_its_tenant_and_its_cap(
    night: Night, opened: Callable[[Night, str], None]
) -> None:
    """The reopened rows have a high priority, so they come before those of another batch, but only up to their tenant's cap."""
    night.change(rows_may_set=("tenant", "priority"), tenants={"capped": TenantSettings(rows_in_flight=2)})
    batch = publish_failures(night, chats(9, tenant="capped", priority=8))
    night.accept(3, name="other")
    opened(night, batch)
    found = [[job.key.batch_id for job in night.claim()] for _ in range(2)]
    assert found == [[batch, batch, *[night.batch_id] * 3], []]


def test_a_reopened_batch_of_low_priority_gains_levels_by_waiting(night: Night) -> None:
    night.change(priority_aging_s=0.001, rows_may_set=("tenant", "priority"))
    batch = publish_failures(night, chats(3, tenant="patient", priority=0))
    reopen(night.store, batch)
    night.change()
    night.accept(chats(50, tenant="urgent", priority=9), name="urgent")
    night.feed()
    found = [night.claim(1)[0].key.batch_id for _ in range(20)]
    assert found.count(batch) == 3


def test_the_last_rows_of_a_round_are_those_that_it_runs(night: Night) -> None:
    """The failed rows are the first of the input. They are few, so all count as last rows, and the longest is claimed first."""
    batch = night.accept([chats(1, max_tokens=10 * (1 + n))[0] for n in range(30)])
    jobs = {job.key.row: job for job in night.claim()}
    night.finish([jobs.pop(row) for row in range(3)], failed)
    night.finish(list(jobs.values()))
    night.sweep()
    retried(night, batch.batch_id)
    assert [job.key.row for job in night.claim()] == [2, 1, 0]


def test_a_reopened_batch_has_its_part_of_the_window(night: Night, fake_client: redis.Redis) -> None:
    """The lane still has the round before, all of whose rows were fed."""
    night.change(window_rows=20)
    batch = publish_failures(night, chats(40))
    fake_client.hset(
        key("batches").replace("m@1", "stub"),
        batch,
        '{"round":1,"cursor":9999,"at_end":true,"closed":false,"version":1}',
    )
    retried(night, batch)
    night.accept(40, name="other")
    night.feed()
    shown = night.snapshot().batches
    assert (shown[batch].ready, shown[night.batch_id].ready) == (20, 10)


@pytest.mark.parametrize(
    ("options", "due"),
    [({}, None), ({"deadline": 7}, 7), ({"publish_at": 5}, 5), ({"deadline": 7, "publish_at": 5}, 5)],
)
def test_a_batch_is_due_at_its_soft_deadline_or_its_deadline(
    night: Night, fake_client: redis.Redis, options: dict[str, int], due: int | None
) -> None:
    at: dict[str, Any] = {name: datetime(2030, 1, day, tzinfo=UTC) for name, day in options.items()}
    night.accept(1, **at)
    night.feed()
    members: list[bytes] = fake_client.zrange(key("ready").replace("m@1", "stub"), 0, -1)  # type: ignore[assignment]
    shown = "~" if due is None else f"{int(datetime(2030, 1, due, tzinfo=UTC).timestamp()) * 1000:013d}"
    assert members[0].split(b"|")[2] == shown.encode()
