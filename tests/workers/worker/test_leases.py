"""Shows workers/worker/leases.py: each phase has its limit, and only the holder of a lease may write."""

import pytest

from jobs.lanes.job import JobKey, Lease
from workers.worker.leases import Leases, Phase

LIMITS_S = {Phase.WAITING: 10.0, Phase.RUNNING: 20.0, Phase.SETTLING: 40.0}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lease(row: int) -> Lease:
    return Lease(JobKey("b", row), 1, row, "w-1-0")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    """Row 0 is waiting, row 1 running, row 2 settling."""
    made = Leases(LIMITS_S, clock)
    made.add([lease(0), lease(1), lease(2)])
    made.mark_running(lease(1))
    assert made.mark_settling(lease(2))
    return made


@pytest.mark.parametrize(
    ("after_s", "hung", "renewed"),
    [
        pytest.param(0, False, [0, 1, 2], id="all are renewed"),
        pytest.param(11, False, [1, 2], id="waited too long"),
        pytest.param(21, False, [2], id="ran too long"),
        pytest.param(41, False, [], id="settling for too long"),
        pytest.param(0, True, [2], id="the engine hangs: finished rows are kept"),
    ],
)
def test_overdue_leases_are_abandoned_and_the_others_renewed(
    leases: Leases, clock: Clock, after_s: float, hung: bool, renewed: list[int]
) -> None:
    clock.now += after_s
    abandoned = leases.abandon_overdue(hung=hung)
    assert [one.key.row for one in leases.renewable()] == renewed
    assert sorted(one.key.row for one, _ in abandoned) == sorted({0, 1, 2} - set(renewed))
    assert [leases.holds(lease(row)) for row in range(3)] == [row in renewed for row in range(3)]
    assert leases.abandon_overdue(hung=hung) == ()


def test_an_answer_restarts_the_time_of_a_running_row(leases: Leases, clock: Clock) -> None:
    clock.now = 15
    leases.mark_running(lease(1))
    clock.now = 30
    leases.abandon_overdue(hung=False)
    assert leases.renewable() == (lease(1), lease(2))


def test_a_lease_that_is_gone_cannot_be_settled(leases: Leases) -> None:
    leases.mark_ended(lost=[lease(0), lease(9)], cancelled=[lease(1)])
    assert leases.gone() == {lease(0)}
    assert leases.cancelled() == {lease(1)}
    assert not leases.mark_settling(lease(0))
    assert not leases.mark_settling(lease(9))
    leases.remove([lease(0), lease(1)])
    assert (leases.gone(), leases.cancelled(), leases.holding, leases.in_hand) == (frozenset(), frozenset(), 1, 0)


def test_only_a_lease_that_another_may_have_is_lost(leases: Leases) -> None:
    """Row 1 is being released, row 2 is being settled, and the batch of row 0 has ended."""
    leases.mark_ending([lease(1), lease(2)])
    assert leases.renewable() == (lease(0), lease(1), lease(2))
    every = [lease(row) for row in range(3)]
    assert leases.mark_ended(lost=every, cancelled=(), forgotten=[lease(0)]) == ()
    assert (leases.losses, leases.gone()) == (0, frozenset([lease(0)]))
    assert leases.remove([lease(2)], lost=[lease(2)]) == (lease(2),)
    assert leases.remove([lease(0)], lost=[lease(0)]) == ()
    assert leases.remove([lease(9)], lost=[lease(9)]) == ()
    leases.remove([lease(1)])
    assert (leases.losses, leases.holding) == (1, 0)
    leases.add([lease(1)])
    assert leases.mark_ended(lost=[lease(1)], cancelled=()) == (lease(1),)


def test_begun_rows_are_those_that_the_engine_has_begun(leases: Leases, clock: Clock) -> None:
    """An answer to one of several prompts does not begin a row anew. A row that is to be settled counts too."""
    assert Leases(LIMITS_S, clock).begun() == (0, 0.0)
    clock.now = 4
    leases.mark_running(lease(0))
    leases.mark_running(lease(1))
    clock.now = 10
    assert leases.begun() == (3, (6 + 10 + 10) / 3)
    leases.remove([lease(1), lease(2)])
    assert leases.begun() == (1, 6)


def test_leases_that_are_about_to_be_released_are_gone(leases: Leases) -> None:
    assert leases.start_release(Phase.WAITING, Phase.RUNNING) == [lease(0), lease(1)]
    assert leases.start_release(Phase.WAITING, Phase.RUNNING) == []
    assert not leases.mark_settling(lease(1))
    assert leases.holds(lease(2))
