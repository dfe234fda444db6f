"""Shows jobs/operations/rate.py."""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from jobs.lanes.places import LAST_ROWS_PER_SLOT, place_of
from jobs.operations.rate import Rate, Speed, UnderWay

START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("readings", "per_second"),
    [
        pytest.param([(0, 0, 0)], None, id="one reading says nothing"),
        pytest.param([(0, 0, 0), (3, 9, 90)], None, id="nor do two that lie too near"),
        pytest.param([(0, 0, 0), (10, 20, 300)], (2.0, 30.0), id="two readings"),
        pytest.param(
            [(0, 0, 0), (5, 1, 10), (35, 61, 610)], (2.0, 20.0), id="what is older than the window is left out"
        ),
        pytest.param([(0, 5, 50), (60, 65, 650)], (1.0, 10.0), id="a long pause between readings is all in the window"),
        pytest.param([(0, 9, 90), (5, 1, 10), (10, 11, 20)], (2.0, 2.0), id="a counter that fell begins anew"),
    ],
)
def test_a_rate_is_that_of_the_last_half_minute(
    readings: list[tuple[int, int, int]], per_second: tuple[float, float] | None
) -> None:
    rate = Rate(window_s=30)
    for at_s, rows, tokens in readings:
        rate.sample(START + timedelta(seconds=at_s), rows, tokens)
    assert rate.per_second == per_second


def test_the_time_before_the_first_row_and_without_rows_is_left_out_of_a_rate() -> None:
    rate = Rate(window_s=30)
    for at_s, rows in ((0, 0), (10, 0), (20, 5), (25, 30)):
        rate.sample(START + timedelta(seconds=at_s), rows, rows)
    rate.begin(START + timedelta(seconds=15))
    found = [rate.per_second]
    rate.sample(START + timedelta(seconds=50), 30, 30, is_running=False)
    found.append(rate.per_second)
    rate.sample(START + timedelta(seconds=55), 40, 40)
    assert [*found, rate.per_second] == [(3.0, 3.0), None, (2.0, 2.0)]


KINDS = {"post": (40, 90, 0.5), "translation": (100, 300, 0.35), "article": (600, 1200, 0.15)}
"""The kinds of a mixed batch: the fewest and the most tokens of a row, and the fraction of the rows."""
LOAD_S = 100
TOKENS_PER_S = 20


@dataclass
class Run:
    """A batch that `slots` slots did in the order of rule 43. It has the seconds from the start at which each row began and
    ended.

    Loading the model took `LOAD_S` seconds. A row takes its expected tokens times a random factor, at a steady speed.
    """

    costs: list[int]
    slots: int
    began_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows, chance = len(self.costs), random.Random(2)
        last_from = rows - LAST_ROWS_PER_SLOT * self.slots
        places = [place_of(row, cost, last_from=last_from) for row, cost in enumerate(self.costs)]
        self.began_s, self.ended_s = [0.0] * rows, [0.0] * rows
        free = [float(LOAD_S)] * self.slots
        for row in sorted(range(rows), key=places.__getitem__):
            self.began_s[row] = heapq.heappop(free)
            self.ended_s[row] = self.began_s[row] + self.costs[row] * chance.uniform(0.5, 1.0) / TOKENS_PER_S
            heapq.heappush(free, self.ended_s[row])

    @property
    def took_s(self) -> float:
        return max(self.ended_s) - LOAD_S

    def error_at(self, part: float, every_s: float | None) -> float:
        """Return the error of the expected end after a part of the run, as a fraction of the run.

        The reader looks every `every_s` seconds, from before the model was loaded; if `every_s` is None, it looks once.
        """
        at_s, speed, looks = LOAD_S + part * self.took_s, Speed(), 1 if every_s is None else int(self.took_s / every_s)
        for n in reversed(range(looks)):
            now_s = at_s - n * (every_s or 0)
            under_way = [began_s for began_s, ended_s in zip(self.began_s, self.ended_s, strict=True)
                         if began_s <= now_s < ended_s]  # fmt: skip
            done = sum(cost for cost, ended_s in zip(self.costs, self.ended_s, strict=True) if ended_s <= now_s)
            seconds = sum(now_s - began_s for began_s in under_way)
            speed.sample(START + timedelta(seconds=now_s), done, UnderWay(len(under_way), seconds))
        speed.begin(START + timedelta(seconds=LOAD_S), 0)
        left_s = speed.left_s(sum(self.costs))
        assert left_s is not None
        return (at_s + left_s - LOAD_S) / self.took_s - 1


@pytest.mark.parametrize("every_s", [None, 10.0], ids=["one look", "looks since before the model was loaded"])
@pytest.mark.parametrize(
    ("rows", "slots", "order", "most"),
    [
        pytest.param(2000, 8, None, (0.06, 0.05, 0.04), id="many rows"),
        pytest.param(2000, 8, False, (0.06, 0.05, 0.04), id="posts first"),
        pytest.param(2000, 8, True, (0.06, 0.05, 0.04), id="articles first"),
        pytest.param(2000, 64, None, (0.07, 0.06, 0.05), id="many slots"),
        pytest.param(400, 64, None, (0.3, 0.15, 0.15), id="six rows for each slot"),
    ],
)
def test_the_expected_end_of_a_mixed_batch(
    rows: int, slots: int, order: bool | None, most: Sequence[float], every_s: float | None
) -> None:
    """The error is small after a tenth, a quarter and half of the run, in any order of the kinds."""
    chance = random.Random(1)
    kinds = chance.choices(list(KINDS.values()), [one[2] for one in KINDS.values()], k=rows)
    costs = [chance.randint(least, longest) for least, longest, _ in kinds]
    if order is not None:
        costs.sort(reverse=order)
    run = Run(costs, slots)
    errors = [run.error_at(part, every_s) for part in (0.1, 0.25, 0.5)]
    assert all(abs(error) <= bound for error, bound in zip(errors, most, strict=True)), errors
