"""Tests a budget under chaos: workers are killed and stopped, and Redis forgets everything, while the budget runs out."""

import random
import signal
from collections.abc import Callable
from typing import Final

import pytest

from jobs.batches.budgets.book import CHUNKS
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import OUTPUT, read_published, read_usage
from jobs.batches.rounds import add_to_budget, latest_done, require_batch
from jobs.prices import Money
from tests.conftest import Server
from tests.faults.premises import ROWS, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
TOKENS: Final = 100
"""The answer to a row has at most this many tokens."""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_chaos_lets_rows_cost_more_than_their_budget_and_a_chunk(
    make_night: Callable[..., Premises], redis_server: Server, seed: int
) -> None:
    chance = random.Random(seed)
    night = make_night(redis_server, stub={"step_s": 0.004})
    row = 40 * TOKENS + 10 * 200  # about what is reserved for a row, in billionths
    budget = Money(amount=20 * row, currency="USD")
    batch_id = night.submit(max_tokens=TOKENS, budget=budget)
    batch = require_batch(night.store, batch_id)
    whole = budget.amount
    for _ in range(8):
        faults = 0
        while not _is_published(night, batch_id) and faults < 4:
            faults += 1
            night.replace_the_dead(2)
            night.outlast(chance.uniform(0.2, 1.5))
            _do_harm(night, chance)
            night.sweep()
        counts = night.finish(batch_id, workers=2)
        done = latest_done(night.store, batch_id)
        assert done is not None
        usage = read_usage(night.store, done, batch_id)
        charged = sum(one["usage"]["charge"] for one in read_published(night.store, done, batch_id, OUTPUT))
        assert usage["charge"] == usage["budget"]["used"] == charged <= whole + whole // CHUNKS
        if counts.get("completed") == ROWS:
            break
        whole = add_to_budget(night.store, batch, Money(amount=30 * row, currency="USD"))
    assert counts == {"completed": ROWS}
    index = OutcomeIndex(night.store, batch)
    index.refresh()
    assert charged <= index.limit().used <= whole


def _is_published(night: Premises, batch_id: str) -> bool:
    index = OutcomeIndex(night.store, require_batch(night.store, batch_id))
    index.refresh()
    return index.done is not None


def _do_harm(night: Premises, chance: random.Random) -> None:
    """Kill a worker, stop one past its lease and let it go on, or let Redis forget everything."""
    alive = [process for process in night.workers if process.poll() is None]
    harm = chance.choice(["kill", "stop", "forget"])
    if harm == "forget" or not alive:
        night.client.flushall()
    elif harm == "kill":
        chance.choice(alive).kill()
    else:
        victim = chance.choice(alive)
        victim.send_signal(signal.SIGSTOP)
        night.outlast(1.5)
        victim.send_signal(signal.SIGCONT)
