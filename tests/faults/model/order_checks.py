"""Checks the order in which rows are claimed (rule 43 of jobs/PROTOCOL.md), reading the keys of a lane without our code.

`ClaimCheck` looks at one claim: the rows that it took and left. `Shares` follows a lane over many claims.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, NamedTuple

BURIAL: Final = 10
"""The level of a row that is to be buried: above all priorities."""
NOT_DUE: Final = "~"


class Waiting(NamedTuple):
    """A row that is ready, as its member of the set `ready` shows it."""

    level: int
    tenant: str
    due: str
    batch: str
    place: int
    cost: int
    row: int

    @property
    def group(self) -> tuple[int, str]:
        return self.level, self.tenant

    @property
    def queue(self) -> tuple[int, str, str, str]:
        return self.level, self.tenant, self.due, self.batch


def ready(client: Any, lane: str) -> list[Waiting]:
    """The ready rows of a lane, in the order of their members."""
    found = []
    for member in client.zrange(f"np:2:{{-/{lane}}}:ready", 0, -1):
        inverse, tenant, due, batch, place, cost, _, _, row = member.decode().split("|")
        level = BURIAL if inverse == "!" else 9 - int(inverse)
        found.append(Waiting(level, tenant, due, batch, int(place), int(cost), int(row)))
    return found


def leased(client: Any, lane: str, jobs: Iterable[bytes]) -> list[tuple[Waiting, bool]]:
    """The leased jobs as they waited before, each with whether it is a suspect."""
    found = []
    for job in jobs:
        record = client.hget(f"np:2:{{-/{lane}}}:jobs", job)
        state, _, _, _, _, priority, cost, _, place, tenant, _, *crashed = record.decode().split("|")
        batch, _, row = job.decode().rpartition("/")
        level = BURIAL if state == "b" else int(priority)
        shown = client.hget(f"np:2:{{-/{lane}}}:batches", batch)
        due = f"{_due(shown):013d}" if _due(shown) else NOT_DUE
        suspect = bool(crashed) and int(crashed[4]) > 0
        found.append((Waiting(level, tenant, due, batch, int(place), int(cost), int(row)), suspect))
    return found


def _due(record: bytes | None) -> int:
    return int(json.loads(record or b"{}").get("due") or 0)


@dataclass(frozen=True)
class ClaimCheck:
    """One claim of up to `n` rows: the rows that it took, and those that it left. Tenants in `capped` may have no more rows."""

    n: int
    taken: list[Waiting]
    left: list[Waiting]
    capped: frozenset[str] = frozenset()

    def faults(self) -> Iterator[str]:
        free = [one for one in self.left if one.level == BURIAL or one.tenant not in self.capped]
        if len(self.taken) < self.n and free:
            yield f"{len(self.taken)} of {self.n} rows were claimed, although {free[0]} may be claimed"
        for one in self.taken:
            for other in free:
                if other.level > one.level:
                    yield f"{one} was claimed before {other}, which has a higher priority"
            for other in self.left:
                if other.group == one.group and NOT_DUE not in (one.due, other.due) and other.due < one.due:
                    yield f"{one} was claimed before {other}, which is due earlier"
                if other.queue == one.queue and other.place < one.place:
                    yield f"{one} was claimed before {other}, which stands before it in their batch"


@dataclass
class Shares:
    """Follows how many tokens tenants and batches get while they wait side by side, and how long the first row of each batch
    waits.

    All bounds are in expected tokens. `longest` is the most that a row may take, and `weights` maps a tenant to its weight.
    """

    longest: int
    weights: Mapping[str, int]
    _of_tenants: dict[Any, float] = field(default_factory=lambda: defaultdict(float))
    _of_batches: dict[Any, float] = field(default_factory=lambda: defaultdict(float))
    _of_due: dict[Any, list[float]] = field(default_factory=dict)
    _waits: dict[Waiting, float] = field(default_factory=dict)
    most_wait: float = 0.0

    def weight(self, tenant: str) -> int:
        return self.weights.get(tenant, 1)

    def note(self, taken: list[Waiting], left: list[Waiting], capped: frozenset[str] = frozenset()) -> Iterator[str]:
        """Count one event: the rows that it took (none, unless it is a claim), and those that wait after it. Yield the faults."""
        groups = sorted({one.group for one in left if one.level < BURIAL and one.tenant not in capped})
        queues = sorted({one.queue for one in left if one.level < BURIAL})
        yield from self._tenants(groups, taken)
        yield from self._batches(queues, taken)
        yield from self._due(queues, taken)
        yield from self._first_rows(groups, queues, taken, left)

    def _tenants(self, groups: list[tuple[int, str]], taken: list[Waiting]) -> Iterator[str]:
        pairs = {pair for pair in combinations(groups, 2) if pair[0][0] == pair[1][0]}
        for pair in self._of_tenants.keys() - pairs:
            del self._of_tenants[pair]
        for pair in pairs:
            for one in taken:
                sign = (one.group == pair[0]) - (one.group == pair[1])
                self._of_tenants[pair] += sign * one.cost / self.weight(one.tenant)
            if abs(self._of_tenants[pair]) > 4 * self.longest:
                yield f"tenants {pair} differ by {self._of_tenants[pair]} tokens"

    def _batches(self, queues: list[Any], taken: list[Waiting]) -> Iterator[str]:
        pairs = {(a, b) for a, b in combinations(queues, 2) if a[:2] == b[:2] and a[2] == b[2] == NOT_DUE}
        for pair in self._of_batches.keys() - pairs:
            del self._of_batches[pair]
        for pair in pairs:
            for one in taken:
                self._of_batches[pair] += ((one.queue == pair[0]) - (one.queue == pair[1])) * one.cost
            if abs(self._of_batches[pair]) > 4 * self.longest:
                yield f"batches {pair} differ by {self._of_batches[pair]} tokens"

    def _due(self, queues: list[Any], taken: list[Waiting]) -> Iterator[str]:
        """Check that batches without a due time get a tenth of their tenant's tokens while batches with one wait too."""
        sorts: dict[Any, set[bool]] = defaultdict(set)
        for queue in queues:
            sorts[queue[:2]].add(queue[2] == NOT_DUE)
        both = {group for group, found in sorts.items() if len(found) == 2}
        for group in self._of_due.keys() - both:
            del self._of_due[group]
        for group in both:
            sums = self._of_due.setdefault(group, [0.0, 0.0])
            for one in taken:
                if one.group == group:
                    sums[one.due == NOT_DUE] += one.cost
            due, others = sums
            if due > 9 * others + 9 * 2 * self.longest:
                yield f"{group}: batches with a due time had {due} tokens, the others only {others}"
            if others > due / 9 + 2 * self.longest:
                yield f"{group}: batches without a due time had {others} tokens, those with one only {due}"

    def _first_rows(
        self, groups: list[tuple[int, str]], queues: list[Any], taken: list[Waiting], left: list[Waiting]
    ) -> Iterator[str]:
        """Check that no first row of a batch without a due time, at the highest priority, waits beyond its turn."""
        level = max((level for level, _ in groups), default=-1)
        firsts: dict[Any, Waiting] = {}
        for one in left:
            if one.group in groups and one.level == level and one.due == NOT_DUE:
                firsts.setdefault(one.queue, one)
        spent = sum(one.cost for one in taken if one.level == level)
        self._waits = {one: self._waits[one] + spent if one in self._waits else 0.0 for one in firsts.values()}
        whole = sum(self.weight(tenant) for other, tenant in groups if other == level)
        for one, waited in self._waits.items():
            of_group = [queue for queue in queues if queue[:2] == one.group]
            turns = sum(queue[2] == NOT_DUE for queue in of_group)
            tenth = 10 if turns < len(of_group) else 1
            self.most_wait = max(self.most_wait, waited)
            if waited > (turns + 1) * tenth * 3 * self.longest * (1 + whole / self.weight(one.tenant)):
                yield f"{one} is the first of its batch, and has waited for {waited} tokens"
