"""Shows jobs/operations/status.py."""

from typing import TYPE_CHECKING, Any

from jobs.operations.status_reader import StatusReader
from jobs.usage import Usage

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_the_json_form_is_flat(shelf: Shelf) -> None:
    shelf.accept(rows=1)
    now = StatusReader(shelf.store, None, clock=shelf.clock).read(["night-1"]).as_dict()
    (one,) = now["batches"]
    counts = {"rows": 1, "completed": 0, "failed": 0, "cancelled": 0, "expired": 0}
    queued = {"ready": 0, "delayed": 0, "leased": 0, "waiting": 1}
    expected = {"id": "night-1", "state": "open", "round": 1, **counts, **queued, **Usage().as_dict()}
    assert {name: one[name] for name in expected} == expected
    assert now["workers"] == []
