"""Shows jobs/store/damage.py: what was found damaged stands for a while, and is looked at less and less often."""

import pytest

from jobs.errors import StoreDamaged, StoreUnavailable
from jobs.store.damage import MOST_S, Damage, collect_damage


class Thing:
    """Something that may be damaged, and the clock by which it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0
        self.error: Exception | None = StoreDamaged("torn")
        self.looks: list[float] = []
        self.damage = Damage(lambda: self.now)

    def look(self, name: str = "a") -> None:
        with self.damage.remembered(name):
            self.looks.append(self.now)
            if self.error is not None:
                raise self.error

    def look_until(self, now: float) -> None:
        """Every second."""
        while self.now < now:
            with pytest.raises(StoreDamaged, match="torn"):
                self.look()
            self.now += 1.0


def test_each_further_look_comes_after_twice_the_time_up_to_some_minutes() -> None:
    thing = Thing()
    thing.look_until(2000.0)
    assert thing.looks[:6] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert [b - a for a, b in zip(thing.looks[-4:], thing.looks[-3:], strict=False)] == [MOST_S] * 3


def test_what_was_restored_is_seen_at_the_next_look_and_damage_begins_anew() -> None:
    thing = Thing()
    thing.look_until(8.0)
    thing.error = None
    with pytest.raises(StoreDamaged, match="torn"):
        thing.look()
    thing.now = 15.0
    thing.look()
    thing.error = StoreDamaged("torn again")
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="torn again"):
            thing.look()
        thing.now += 1.0
    assert thing.looks[-3:] == [15.0, 15.0, 16.0]


def test_other_things_and_other_faults_are_looked_at_each_time() -> None:
    thing = Thing()
    with pytest.raises(StoreDamaged):
        thing.look("a")
    thing.error = StoreUnavailable("away")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="away"):
            thing.look("b")
    assert len(thing.looks) == 3


def test_damage_is_collected_where_there_is_a_list_for_it() -> None:
    found: list[StoreDamaged] = []
    for error in (StoreDamaged("one"), StoreDamaged("two")):
        with collect_damage(found):
            raise error
    assert [str(error) for error in found] == ["one", "two"]
    with pytest.raises(StoreDamaged, match="three"), collect_damage(None):
        raise StoreDamaged("three")
    with pytest.raises(StoreUnavailable, match="away"), collect_damage(found):
        raise StoreUnavailable("away")
    assert len(found) == 2
