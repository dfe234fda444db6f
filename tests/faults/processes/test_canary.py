"""Tests the order of rows (rule 43 of jobs/PROTOCOL.md) on worker processes: short batches beside a night of many rows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.conftest import BINARIES, Server
from tests.faults.premises import EVEN, Premises

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

NIGHT_ROWS: Final = 20_000
CANARY_ROWS: Final = 20
MOST_BESIDE: Final = 400
"""The most rows of the night that may end while a canary runs.

Two workers hold 32 rows of the night and may take as many more of it as of the canary. The rest of this number is for rows that
end before the workers find the canary in the store, and while its outcomes wait to be written.
"""


@pytest.fixture
def night(make_night: Callable[..., Premises], redis_server: Server) -> Premises:
    return make_night(redis_server, stub={"step_s": 0.01})


def submit_canary(night: Premises, name: str, **options: Any) -> str:
    return night.submit(CANARY_ROWS, prompt=f"{name} {{}}".format, max_tokens=40, **options)


@pytest.mark.parametrize("redis_server", list(BINARIES), indirect=True)
def test_canaries_of_20_rows_behind_a_night_of_20000(night: Premises) -> None:
    """While each of three canaries runs, few rows of the long night end. The second canary has a deadline."""
    big = night.submit(NIGHT_ROWS, max_tokens=40, **EVEN)
    night.work(), night.work()
    night.at_least(big, 50)
    for name, due_in in (("First", None), ("Second", timedelta(hours=1)), ("Third", None)):
        before = night.outcomes(big)
        canary = submit_canary(night, name, deadline=None if due_in is None else datetime.now(UTC) + due_in)
        night.at_least(canary, CANARY_ROWS)
        assert night.outcomes(big) - before <= MOST_BESIDE
        assert night.finish(canary) == {"completed": CANARY_ROWS}
        night.at_work(big)


def test_rows_that_are_sent_back_do_not_wait_behind_a_night(night: Premises) -> None:
    """A further round of a canary comes as early as a new batch."""
    canary = submit_canary(night, "Again")
    night.work()
    night.finish(canary)
    big = night.submit(NIGHT_ROWS, max_tokens=40, **EVEN)
    night.at_least(big, 50)
    before = night.outcomes(big)
    assert night.command("failed", "retry", canary, "--row", "0", "--row", "7").returncode == 0
    assert night.finish(canary) == {"completed": CANARY_ROWS}
    assert night.outcomes(big) - before <= MOST_BESIDE
