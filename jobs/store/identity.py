"""Each store has an id. The keys in Redis carry the id, so that two stores on one Redis never see each other's rows (rule 42 of
jobs/PROTOCOL.md).

The id lies in `store.json`, which is created once. Intake creates the file before a batch is accepted, so a store with a batch
has an id. If the file is lost, the next feeder creates it with a new id, and the rows are fed again under that id.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson

from jobs.store.damage import check_format, damaged_file
from jobs.store.store import Store

PATH: Final = "store.json"
FORMAT: Final = 1
"""The version of the form of `store.json`."""

NO_ID: Final = "-"
"""Keys hold this in place of the id of a store that has no id yet. No row is ever fed under such keys."""

ID_BYTES: Final = 8

AGAIN_S: Final = 1.0
"""A store that has no id yet is read again after this many seconds."""

CHECK_S: Final = 30.0
"""A feeder reads the id again after this many seconds, since another store may have been put in the place of the first."""


def make_id(store: Store) -> str:
    """Return the id of a store, which is created if the store has none. Raises StoreUnavailable, StoreDamaged."""
    while (found := read_id(store)) is None:
        made = {"format": FORMAT, "id": secrets.token_hex(ID_BYTES)}
        store.create(PATH, orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE))
    return found


def read_id(store: Store) -> str | None:
    """Return the id of a store; None if it has none. Raises StoreUnavailable, StoreDamaged."""
    try:
        data = store.read(PATH)
    except KeyError:
        return None
    try:
        values = orjson.loads(data)
        check_format(values, FORMAT, f"storage {store.redacted_url}: {PATH}")
        found = values.get("id")
        if not isinstance(found, str) or len(bytes.fromhex(found)) != ID_BYTES:
            raise ValueError(f"it names no id: {found!r}")
    except ValueError as error:
        raise damaged_file(store, PATH) from error
    return found


class StoreId:
    """The id of one store, as one process knows it. Threads may share this object.

    `known` never reads the storage. So a heartbeat can use it, which must not wait for a slow storage.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._id: str | None = None
        self._read_at = float("-inf")

    @property
    def known(self) -> str:
        """The id as it was last read; NO_ID if no read has found an id so far."""
        return self._id or NO_ID

    def look(self) -> str:
        """Return the id; NO_ID if the store has no id. The store is read only if no id is known.

        Raises StoreUnavailable, StoreDamaged.
        """
        with self._lock:
            if self._id is None and self._monotonic() - self._read_at >= AGAIN_S:
                self._id = read_id(self._store)
                self._read_at = self._monotonic()
        return self.known

    def make(self) -> str:
        """Return the id, which is created if the store has none. Raises StoreUnavailable, StoreDamaged.

        The id is read again every CHECK_S seconds.
        """
        with self._lock:
            if self._id is None or self._monotonic() - self._read_at >= CHECK_S:
                self._id = make_id(self._store)
                self._read_at = self._monotonic()
            return self._id
