"""Shows scripts/checks/patience.py: a check waits while a fleet makes progress, and longer on a busy machine."""

import pytest

from scripts.checks.patience import Patience, load


class Machine:
    """A clock and a load that a test sets."""

    now, busy = 100.0, 1.0

    def patience(self, seconds: float) -> Patience:
        return Patience(seconds, clock=lambda: self.now, load=lambda: self.busy)


def test_a_fleet_that_gets_on_has_all_the_time_it_needs() -> None:
    machine = Machine()
    patience = machine.patience(10.0)
    for rows in range(100):
        machine.now += 9.0
        assert not patience.is_over(rows)
    machine.now += 9.0
    assert not patience.is_over(99)
    machine.now += 1.0
    assert patience.is_over(99)


@pytest.mark.parametrize("busy", [0.1, 1.0, 4.0, 20.0])
def test_a_busy_machine_gets_more_time_by_its_load(busy: float) -> None:
    machine = Machine()
    machine.busy = busy
    patience = machine.patience(10.0)
    assert not patience.is_over("x")
    for _ in range(int(10 * max(busy, 1.0)) - 1):
        machine.now += 1.0
        assert not patience.is_over("x")
    machine.now += 1.01
    assert patience.is_over("x")


def test_the_load_is_at_least_one() -> None:
    assert load() >= 1.0
