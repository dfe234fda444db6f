"""Shows jobs/store/damage.py: damage is remembered for a while, and looked at less and less often."""

import pytest

from jobs.errors import StoreDamaged, StoreTooNew, StoreUnavailable
from jobs.store.damage import MAX_S, Damage, check_format, collect_damage


class Thing:
    """A thing that may be damaged, and a clock for the looks at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.error: Exception | None = StoreDamaged("torn")
        self.looks: list[float] = []
        self.damage = Damage(lambda: self.now)

    def look(self, name: str = "a") -> None:
        with self.damage.look(name):
            self.looks.append(self.now)
            if self.error is not None:
                raise self.error

    def look_until(self, now: float) -> None:
        """Look at the thing every second until the time `now`."""
        while self.now < now:
            with pytest.raises(StoreDamaged, match="torn"):
                self.look()
            self.now += 1.0


def test_each_further_look_comes_after_twice_the_time_up_to_the_limit() -> None:
    thing = Thing()
    thing.look_until(2000.0)
    assert thing.looks[:6] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert [b - a for a, b in zip(thing.looks[-4:], thing.looks[-3:], strict=False)] == [MAX_S] * 3


def test_a_look_at_restored_files_succeeds_and_starts_the_waits_anew() -> None:
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


def test_other_batches_and_other_errors_are_not_held_back() -> None:
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


def test_a_known_format_is_read_and_a_newer_one_is_refused() -> None:
    check_format({"format": 1}, 2, "here/a")
    check_format({"format": 2}, 2, "here/a")
    with pytest.raises(StoreTooNew, match=r"^here/a was written by a newer release, in format 3; .* up to format 2"):
        check_format({"format": 3, "what": "else"}, 2, "here/a")


@pytest.mark.parametrize("values", [{}, {"format": 0}, {"format": True}, {"format": "1"}, {"format": None}, [1], None])
def test_what_names_no_format_is_none_of_our_forms(values: object) -> None:
    with pytest.raises(ValueError, match="names no format"):
        check_format(values, 1, "here/a")
