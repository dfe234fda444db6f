"""Fixtures that several tests of publishing need."""

from typing import Any

import pytest

from jobs.store.store import Store


@pytest.fixture
def stored(shelf: Any, store: Store) -> Any:
    """A shelf on each kind of store. (The fixture `shelf` has a store in a local folder.)"""
    return type(shelf)(store)
