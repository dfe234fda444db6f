"""Shows that in any order of events, rows are claimed in the order of rule 43 of jobs/PROTOCOL.md.

The search feeds batches of any tenant, priority, due time and length of rows, claims any number of rows, and lets them end,
fail or go back. After each event the rows that were taken and left are checked: priority first, the earliest due first, the rows
of a batch in their order, caps, and no free slot while a row may be claimed. Over many events it is checked that tenants and
batches that wait side by side get their shares, and that no row waits for ever. All bounds are in tokens; a row has at most
`LONGEST`.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from jobs.lanes.job import Job
from jobs.lanes.protocol import FeedRow, LanePolicy, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.tenants import TenantSettings
from tests.conftest import BINARIES
from tests.faults.lane_checks import lane_faults
from tests.faults.model.order_checks import ClaimCheck, Shares, leased, ready

LANE: Final = "m"
LONGEST: Final = 20
LONG: Final = os.environ.get("FAULTS") == "long"
EXAMPLES: Final = int(os.environ.get("FAULTS_EXAMPLES", "1000" if LONG else "8"))
TENANTS: Final = {"a": TenantSettings(), "b": TenantSettings(weight=2), "c": TenantSettings(rows_in_flight=3)}
COSTS: Final = st.lists(st.integers(5, LONGEST), min_size=1, max_size=40)
ME: Final = WorkerRecord("w", 1, "n", LANE, 1)


class Order(RuleBasedStateMachine):
    """A lane, and all events that change its waiting rows. Levels that are gained by waiting are switched off."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.queue = RedisQueue(client, 3, LanePolicy(priority_aging_s=10**6, tenants=TENANTS))
        self.shares = Shares(LONGEST, {name: one.weight for name, one in TENANTS.items()})
        self.held: list[Job] = []
        self.tenant_of: dict[str, str] = {}
        self.claims = 0

    @rule(
        tenant=st.sampled_from("aabc"),
        priority=st.sampled_from([4, 4, 4, 6]),
        due=st.sampled_from([0, 0, 0, 10**12, 2 * 10**12]),
        costs=COSTS,
    )
    def feed(self, tenant: str, priority: int, due: int, costs: Sequence[int]) -> None:
        batch = f"b{len(self.tenant_of)}"
        self.tenant_of[batch] = tenant
        rows = [FeedRow(n, b"{}", cost, priority, tenant) for n, cost in enumerate(costs)]
        assert self.queue.feed(LANE, batch, 1, 0, 1, True, rows, due_ms=due).accepted
        self.check([])

    @rule(n=st.integers(1, 12), times=st.integers(1, 6))
    def claim(self, n: int, times: int) -> None:
        """Claim, and let half of the claimed rows end between two claims."""
        for _ in range(times):
            self.claims += 1
            jobs = self.queue.claim(LANE, f"w-1-{self.claims}", n, 10**6, ME).jobs
            self.held += jobs
            taken = [one for one, _ in leased(self.client, LANE, [str(job.key).encode() for job in jobs])]
            assert self.flights()["c"] <= 3
            left = ready(self.client, LANE)
            assert not (faults := list(ClaimCheck(n, taken, left, self.capped()).faults())), faults
            self.check(taken)
            self.end(len(self.held) // 2)

    @rule(ending=st.sampled_from(["done", "retry", "release"]), n=st.integers(1, 20))
    def go_back(self, ending: str, n: int) -> None:
        """Settle or release rows in hand. Those that are tried again are ready at the next claim."""
        jobs, self.held = self.held[:n], self.held[n:]
        if ending == "release":
            self.queue.release(LANE, [job.lease for job in jobs])
        else:
            self.queue.settle(LANE, [Settlement(job.lease, cast("Any", ending)) for job in jobs])
        self.check([])

    def end(self, n: int) -> None:
        jobs, self.held = self.held[:n], self.held[n:]
        self.queue.settle(LANE, [Settlement(job.lease) for job in jobs])

    def flights(self) -> Counter[str]:
        return Counter(self.tenant_of[job.key.batch_id] for job in self.held)

    def capped(self) -> frozenset[str]:
        return frozenset({"c"} if self.flights()["c"] >= 3 else ())

    def check(self, taken: list[Any]) -> None:
        """Check the shares of all tenants but the capped one, whose share depends on its cap."""
        faults = list(self.shares.note(taken, ready(self.client, LANE), frozenset("c")))
        assert not faults, faults

    def teardown(self) -> None:
        """Claim and end all rows that are left, and check that every row can be claimed."""
        self.end(len(self.held))
        snapshot = self.queue.snapshot(LANE)
        for _ in range(snapshot.ready + snapshot.delayed):
            self.claims += 1
            self.held = list(self.queue.claim(LANE, f"w-1-{self.claims}", 12, 10**6, ME).jobs)
            self.end(len(self.held))
        snapshot = self.queue.snapshot(LANE)
        assert (snapshot.ready, snapshot.delayed, snapshot.leased) == (0, 0, 0)
        assert not (faults := lane_faults(self.client, LANE)), faults


@pytest.mark.parametrize("name", ["fake", *(pytest.param(name, marks=pytest.mark.faults) for name in BINARIES)])
def test_in_any_order_of_events_rows_are_claimed_in_their_order(name: str, servers: Callable[[str], str]) -> None:
    def machine() -> Order:
        if name == "fake":
            client: Any = fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7,)))
        else:
            client = redis.Redis.from_url(servers(name))
            client.flushall()
        return Order(client)

    run_state_machine_as_test(cast("Any", machine), settings=profile())


def profile() -> settings:
    return settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        derandomize=not LONG,
        database=None,
        deadline=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],  # shrinking an example takes minutes here
        suppress_health_check=list(HealthCheck),
    )
