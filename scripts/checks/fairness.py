"""Simulates how a busy fleet is divided among tenants, with the queue's real scripts on a real server.

    python scripts/checks/fairness.py [--seed 1] [--hours 4] [--slots 64]

Every tenant always has rows waiting. A slot produces tokens at a steady rate until its row has the expected number of tokens.
Time is simulated: the script does not wait, but sets back the times at which the queue last served each tenant. The tenant of low
priority is served only because the queue raises the priority of a tenant that has waited long (ageing). The same seed gives the
same rows.
"""

import argparse
import heapq
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from jobs.errors import UnavailableError
from jobs.lanes.job import Lease
from jobs.lanes.protocol import FeedRow, LanePolicy, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.tenants import TenantSettings
from workers.fleet import embedded_redis

LANE = "simulated"
TOKENS_PER_S = 20
"""Tokens that a slot produces in a simulated second."""
LEASE_MS = 3_600_000
PRIORITY_AGING_S = 600.0
BACKLOG = 200
"""Rows of each tenant that wait after a feed. A tenant is fed when fewer than half of this many wait."""


@dataclass(frozen=True)
class Tenant:
    """One tenant: its weight, its priority, its limit of rows in flight (`cap`; None: no limit), and the length of its rows.

    `rows` describes the length for the table, and `tokens` draws the tokens of a row.
    """

    name: str
    weight: int
    rows: str
    tokens: Callable[[random.Random], int]
    priority: int = 4
    cap: int | None = None


TENANTS = (
    Tenant("one-long", 1, "long", lambda chance: chance.randint(1500, 2500)),
    Tenant("one-short", 1, "short", lambda chance: chance.randint(50, 150)),
    Tenant("two-long", 2, "long", lambda chance: chance.randint(1500, 2500)),
    Tenant("two-short", 2, "short", lambda chance: chance.randint(50, 150)),
    Tenant("four", 4, "mixed", lambda chance: chance.choice([100, 2000])),
    Tenant("capped", 4, "mixed", lambda chance: chance.choice([100, 2000]), cap=4),
    Tenant("low", 1, "long", lambda chance: chance.randint(1500, 2500), priority=2),
)


@dataclass
class Night:
    """A fleet that is never idle, and the figures of each tenant so far.

    `work` is the tokens of the rows that were started, `rows` is their number, `last_s` is when a row was last started, and
    `wait_s` is the longest time between two starts. Times are in simulated seconds.
    """

    client: redis.Redis
    queue: RedisQueue
    chance: random.Random
    slots: int
    now_s: float = 0.0
    work: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    last_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    wait_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _of_row: dict[int, tuple[Tenant, int]] = field(default_factory=dict)
    _waiting: Counter[str] = field(default_factory=Counter)
    _cursor: int = 0
    _numbers: Iterator[int] = field(default_factory=count)

    def work_for(self, seconds: float) -> None:
        """Start rows whenever slots are free, until `seconds` of simulated time have passed."""
        busy: list[tuple[float, int, Lease]] = []
        me = WorkerRecord("w", 1, "n", LANE, 1)
        while self.now_s < seconds:
            self._fill()
            claim_id = f"w-1-{next(self._numbers)}"
            for job in self.queue.claim(LANE, claim_id, self.slots - len(busy), LEASE_MS, me).jobs:
                tokens = self._started(job.key.row)
                heapq.heappush(busy, (self.now_s + tokens / TOKENS_PER_S, job.key.row, job.lease))
            until_s = busy[0][0]
            done = []
            while busy and busy[0][0] <= until_s + 1.0:
                done.append(Settlement(heapq.heappop(busy)[2]))
            self.queue.settle(LANE, done)
            self._pass(until_s + 1.0 - self.now_s)

    def _fill(self) -> None:
        rows = []
        for tenant in TENANTS:
            for _ in range(BACKLOG - self._waiting[tenant.name] if self._waiting[tenant.name] < BACKLOG // 2 else 0):
                row, tokens = next(self._numbers), tenant.tokens(self.chance)
                self._of_row[row] = (tenant, tokens)
                self._waiting[tenant.name] += 1
                rows.append(FeedRow(row, b"{}", tokens, tenant.priority, tenant.name))
        if rows:
            self.queue.feed(LANE, "b", 1, self._cursor, self._cursor + 1, False, rows)
            self._cursor += 1

    def _started(self, row: int) -> int:
        tenant, tokens = self._of_row.pop(row)
        name = tenant.name
        self._waiting[name] -= 1
        self.work[name] += tokens
        self.rows[name] += 1
        self.wait_s[name] = max(self.wait_s[name], self.now_s - self.last_s[name])
        self.last_s[name] = self.now_s
        return tokens

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        waits = f"np:2:{{-/{LANE}}}:waits"
        groups: list[Any] = list(self.client.zrange(waits, 0, -1))
        for group in groups:
            self.client.zincrby(waits, -round(seconds * 1000), group)


def table(night: Night, hours: float) -> Table:
    """Return a table of the tenants: the fraction of all tokens that a tenant got, that fraction divided by the tenant's weight,
    and the longest wait.

    The fraction divided by the weight should be equal for all tenants except `low` and `capped`.
    """
    total = night.work.total()
    shown = Table(title=f"{hours:g} simulated hours, {night.slots} slots, all tenants always waiting", width=80)
    for name in ("tenant", "rows", "weight", "prio", "cap"):
        shown.add_column(name)
    for name in ("of tokens", "per weight", "longest wait"):
        shown.add_column(name, justify="right")
    for tenant in TENANTS:
        share = night.work[tenant.name] / total
        wait = max(night.wait_s[tenant.name], night.now_s - night.last_s[tenant.name])
        shown.add_row(
            tenant.name,
            tenant.rows,
            str(tenant.weight),
            str(tenant.priority),
            str(tenant.cap or "-"),
            f"{share:.1%}",
            f"{share / tenant.weight:.2%}",
            f"{wait:,.0f} s",
        )
    return shown


def main() -> int:
    """Run the simulation, and print the table. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--slots", type=int, default=64)
    args = parser.parse_args()
    shares = {tenant.name: TenantSettings(weight=tenant.weight, rows_in_flight=tenant.cap) for tenant in TENANTS}
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            embedded_redis.server(Path(folder)) as url,
            redis.Redis.from_url(url) as client,
        ):
            queue = RedisQueue(client, policy=LanePolicy(priority_aging_s=PRIORITY_AGING_S, tenants=shares))
            night = Night(client, queue, random.Random(args.seed), args.slots)
            night.work_for(args.hours * 3600)
    except UnavailableError as error:
        print(f"fairness: {error}", file=sys.stderr)
        return error.exit_status
    Console(width=80).print(table(night, args.hours))
    return 0


if __name__ == "__main__":
    sys.exit(main())
