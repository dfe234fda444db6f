"""Simulates the order in which a fleet claims rows, with the queue's real scripts on a real server.

    python scripts/checks/order.py [--rows 5000] [--slots 64] [--seed 1]

Three nights are shown. In the first, a canary of 20 rows is enqueued behind a night of many rows. In the second, a short batch
stands beside a long one that is newer. In the third, one batch of all kinds runs alone. The table shows how much of each kind
is done at half time, and how much longer the whole batch takes than with the longest rows first.

Time is simulated: a slot produces tokens at a steady rate until its row has the expected number of tokens. The same seed gives
the same rows.
"""

import argparse
import heapq
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from jobs.errors import UnavailableError
from jobs.lanes.job import Lease
from jobs.lanes.places import LAST_ROWS_PER_SLOT, place_of
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from workers.fleet import embedded_redis

LANE = "simulated"
TOKENS_PER_S = 20
"""Tokens that a slot produces in a simulated second."""
LEASE_MS = 3_600_000
CHUNK = 500
KINDS: Mapping[str, tuple[int, int, float]] = {
    "post": (40, 90, 0.5),
    "translation": (100, 300, 0.35),
    "article": (600, 1200, 0.15),
}
"""The kinds of a mixed batch: the fewest and the most tokens of a row, and the fraction of the rows."""


@dataclass(frozen=True)
class Row:
    """A row: its kind, and its tokens."""

    kind: str
    tokens: int


def mixed(chance: random.Random, rows: int) -> list[Row]:
    """Return rows of all kinds in random order."""
    names = list(KINDS)
    drawn = chance.choices(names, [KINDS[name][2] for name in names], k=rows)
    return [Row(kind, chance.randint(*KINDS[kind][:2])) for kind in drawn]


@dataclass
class Fleet:
    """A fleet of `slots` slots over one lane, and when each row of each batch ended, in simulated seconds."""

    queue: RedisQueue
    slots: int
    now_s: float = 0.0
    ended: dict[str, dict[int, float]] = field(default_factory=dict)
    _rows: dict[str, Sequence[Row]] = field(default_factory=dict)
    _busy: list[tuple[float, int, str, int, Lease]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def enqueue(self, batch: str, rows: Sequence[Row], *, longest_first: bool = False) -> None:
        """Put all rows of a batch on the lane."""
        self._rows[batch], self.ended[batch] = rows, {}
        last_from = 0 if longest_first else len(rows) - LAST_ROWS_PER_SLOT * self.slots
        for first in range(0, len(rows), CHUNK):
            part = [
                FeedRow(
                    n, b"{}", row.tokens, 4, "default",
                    place=place_of(n, row.tokens, last_from=last_from),
                )
                for n, row in enumerate(rows[first : first + CHUNK], start=first)
            ]  # fmt: skip
            self.queue.feed(LANE, batch, 1, first, first + len(part), first + len(part) == len(rows), part)

    def work(self, until_s: float = float("inf")) -> None:
        """Claim rows for free slots, and end those that are done, until all rows are done or `until_s` is reached."""
        me = WorkerRecord("w", 1, "n", LANE, 1)
        while self.now_s < until_s:
            claim_id = f"w-1-{next(self._numbers)}"
            for job in self.queue.claim(LANE, claim_id, self.slots - len(self._busy), LEASE_MS, me).jobs:
                batch, row = job.key.batch_id, job.key.row
                ends_s = self.now_s + self._rows[batch][row].tokens / TOKENS_PER_S
                heapq.heappush(self._busy, (ends_s, next(self._numbers), batch, row, job.lease))
            if not self._busy:
                return
            self.now_s = self._busy[0][0]
            done = []
            while self._busy and self._busy[0][0] <= self.now_s:
                ended_s, _, batch, row, lease = heapq.heappop(self._busy)
                self.ended[batch][row] = ended_s
                done.append(Settlement(lease))
            self.queue.settle(LANE, done)

    def ended_s(self, batch: str) -> float:
        """When the last row of a batch ended."""
        return max(self.ended[batch].values())


class Simulation:
    """The three nights, each on an empty server."""

    def __init__(self, client: redis.Redis, rows: int, slots: int, seed: int) -> None:
        self._client = client
        self._rows = rows
        self._slots = slots
        self._seed = seed

    def _fleet(self) -> Fleet:
        self._client.flushall()
        return Fleet(RedisQueue(self._client), self._slots)

    def canary(self) -> tuple[float, float]:
        """Return two times in seconds: how long a canary of 20 rows takes behind a night that has begun, and how long it takes
        alone.
        """
        chance = random.Random(self._seed)
        night, rows = mixed(chance, self._rows), mixed(chance, 20)
        found = []
        for batches in ([night], []):
            fleet = self._fleet()
            for n, batch in enumerate(batches):
                fleet.enqueue(f"night-{n}", batch)
            fleet.work(60)
            began_s = fleet.now_s
            fleet.enqueue("canary", rows)
            while len(fleet.ended["canary"]) < len(rows):
                fleet.work(fleet.now_s + 1)
            found.append(fleet.ended_s("canary") - began_s)
        return found[0], found[1]

    def older(self) -> tuple[int, int]:
        """Return the tokens of a short batch after 60 s: beside a long batch that came later, and alone."""
        chance = random.Random(self._seed)
        short, long = mixed(chance, self._rows // 6), mixed(chance, self._rows)
        found = []
        for with_other in (True, False):
            fleet = self._fleet()
            fleet.enqueue("short", short)
            if with_other:
                fleet.enqueue("long", long)
            fleet.work(60)
            found.append(sum(short[n].tokens for n in fleet.ended["short"]))
        return found[0], found[1]

    def shares(self) -> tuple[Counter[str], Counter[str], float]:
        """Return three values: the rows of each kind, the rows of each kind that are done at half time, and how much longer the
        whole batch takes than with the longest rows first.

        The last is a ratio: 1.03 is 3 % longer.
        """
        rows = mixed(random.Random(self._seed), self._rows)
        whole_s = []
        for longest_first in (False, True):
            fleet = self._fleet()
            fleet.enqueue("night", rows, longest_first=longest_first)
            fleet.work()
            whole_s.append(fleet.ended_s("night"))
            if not longest_first:
                done = Counter(rows[n].kind for n, at_s in fleet.ended["night"].items() if at_s <= whole_s[0] / 2)
        return Counter(row.kind for row in rows), done, whole_s[0] / whole_s[1]


def table(simulation: Simulation) -> Table:
    """Run the three nights, and return a table of what they showed."""
    shown = Table(title="The order of rows", width=80)
    shown.add_column("what")
    shown.add_column("found", justify="right")
    behind_s, alone_s = simulation.canary()
    shown.add_row("a canary of 20 rows behind a night, beside one alone", f"{behind_s:.0f} s, {alone_s:.0f} s")
    beside, alone = simulation.older()
    shown.add_row("tokens of an older batch beside a long one, and alone", f"{beside:,}, {alone:,}")
    kinds, done, ratio = simulation.shares()
    for kind, rows in kinds.items():
        shown.add_row(f"{kind}: done at half time, of {rows:,} rows", f"{done[kind] / rows:.0%}")
    shown.add_row("the whole, beside longest first", f"{ratio:.3f}")
    return shown


def main() -> int:
    """Run the simulation, and print the table. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            embedded_redis.server(Path(folder)) as url,
            redis.Redis.from_url(url) as client,
        ):
            shown = table(Simulation(client, args.rows, args.slots, args.seed))
    except UnavailableError as error:
        print(f"order: {error}", file=sys.stderr)
        return error.exit_status
    Console(width=80).print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
