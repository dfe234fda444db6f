"""Shows adapters/residency.py: which adapters are in memory, and which rows may overtake others."""

import pytest

from workers.engines.causal.adapters.residency import Residency


def test_the_least_recently_used_goes_first() -> None:
    places = Residency(2, patience=4)
    assert all(places.admit(name, ()) for name in ("a", "b", "a"))
    assert places.take_loads() == {"a": 0, "b": 1}
    assert places.take_loads() == {}
    assert places.admit("c", ())
    assert (places.take_loads(), places.has("a"), places.has("b")) == ({"c": 1}, True, False)


def test_an_adapter_that_a_row_waits_for_stays_if_another_can_go() -> None:
    places = Residency(2, patience=4)
    assert all(places.admit(name, ()) for name in ("a", "b"))
    places.take_loads()
    assert places.admit("c", (), ["a", None])
    assert (places.has("a"), places.has("b")) == (True, False)


def test_an_adapter_in_use_stays() -> None:
    places = Residency(1, patience=4)
    assert places.admit("a", ())
    places.take_loads()
    assert not places.admit("b", {"a"})
    assert places.admit(None, {"a"})
    assert places.admit("b", ())


def test_a_place_without_its_weights_is_not_given_away() -> None:
    places = Residency(1, patience=4)
    assert places.admit("a", ())
    assert not places.admit("b", ())


@pytest.mark.parametrize("patience", [1, 3])
def test_a_row_is_overtaken_only_so_often(patience: int) -> None:
    """Then the adapter that has been in memory for longest takes no more rows, until its place is free."""
    places = Residency(2, patience=patience)
    assert all(places.admit(name, ()) for name in ("b", "a"))
    places.take_loads()
    for _ in range(patience):
        assert not places.admit("c", {"a", "b"})
        assert places.admit("b", {"a", "b"})
        places.note_admitted({"a", "b"}, overtook=True)
    assert not places.admit("b", {"a", "b"})
    assert places.admit("a", {"a", "b"})
    assert places.admit("c", {"a"})
    places.note_admitted({"a", "c"}, overtook=False)
    assert places.take_loads() == {"c": 0}
    assert not places.admit("b", {"a", "c"})


def test_a_broken_adapter_gives_its_place_back() -> None:
    places = Residency(1, patience=4)
    assert places.admit("a", ())
    places.forget("a")
    assert (places.take_loads(), places.admit("b", ())) == ({}, True)
