"""Shows workers/engines/step_time.py: how a time is split."""

from workers.engines.step_time import split_time


def test_shares_of_time_add_up() -> None:
    assert split_time(10, [1, 1, 1]) == [3, 3, 4]
    assert sum(split_time(1_000_003, [7, 0, 13, 999])) == 1_000_003
