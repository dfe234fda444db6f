"""Shows jobs/store/identity.py: a store has one id for good, and no two stores have the same id."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.errors import StoreDamaged, StoreTooNew, StoreUnavailable
from jobs.store.identity import AGAIN_S, CHECK_S, NO_ID, PATH, StoreId, make_id, read_id
from jobs.store.local import LocalStore
from jobs.store.store import Store


def test_all_who_make_the_id_get_the_same(store: Store) -> None:
    assert read_id(store) is None
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: make_id(store), range(16)))
    assert made == {read_id(store)}


def test_two_stores_have_two_ids(tmp_path: Path) -> None:
    assert make_id(LocalStore(str(tmp_path / "a"))) != make_id(LocalStore(str(tmp_path / "b")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 1}',
        b'{"format": 1, "id": 7}',
        b'{"format": 1, "id": "../x"}',
        b'{"id": "00"}',
        b"\xff",
    ],
)
def test_a_damaged_id_is_damage_and_no_new_id(tmp_path: Path, data: bytes) -> None:
    """If a damaged id were replaced by a new id, every row would run twice."""
    store = LocalStore(str(tmp_path))
    store.create(PATH, data)
    for ask in (read_id, make_id):
        with pytest.raises(StoreDamaged, match=PATH):
            ask(store)


def test_an_id_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.create(PATH, b'{"format": 99, "id": "0011223344556677"}')
    with pytest.raises(StoreTooNew, match="newer release"):
        make_id(store)


class Away(LocalStore):
    """A store that can be switched off, and counts how often it is read."""

    away = False
    reads = 0

    def read(self, path: str) -> bytes:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away")
        return super().read(path)


def test_a_known_id_needs_no_storage(tmp_path: Path) -> None:
    store = Away(str(tmp_path))
    made = make_id(store)
    one = StoreId(store)
    assert one.known == NO_ID
    assert one.look() == one.known == made
    store.away = True
    assert one.look() == one.known == made


def test_an_id_that_is_missing_is_looked_for_again_at_most_once_a_second(tmp_path: Path) -> None:
    now = 0.0
    store = Away(str(tmp_path))
    one = StoreId(store, lambda: now)
    assert [one.look() for _ in range(5)] == [NO_ID] * 5
    assert store.reads == 1
    made = make_id(store)
    now += AGAIN_S
    assert one.look() == made


def test_a_feeder_sees_that_another_store_is_in_the_place(tmp_path: Path) -> None:
    now = 0.0
    store = LocalStore(str(tmp_path))
    one = StoreId(store, lambda: now)
    first = one.make()
    (tmp_path / PATH).unlink()
    second = make_id(store)
    assert one.make() == first
    now += CHECK_S
    assert one.make() == one.known == second != first
