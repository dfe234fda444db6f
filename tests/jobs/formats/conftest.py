"""A fixture for tests of formats: it makes a batch of the bytes of a file."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.request_row import RowRequest
from jobs.intake.accept import Accepted, IntakeOptions, accept
from jobs.intake.refusals import AllRefused
from jobs.intake.row_faults import RowFault
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.store.opening import open_store

KINDS = load_kinds()
SETTINGS = Settings(tenant="house", model="stub")


class NoRows(NamedTuple):
    """The counts of a file whose rows were all refused."""

    rows: int
    refused: int


class NoBatch(NamedTuple):
    """Stands for the batch if every row was refused."""

    batch: NoRows
    faults: Sequence[RowFault]


class Taken(NamedTuple):
    """The batch that was made of a file."""

    accepted: Accepted | NoBatch
    rows: list[RowRequest]

    @property
    def faults(self) -> list[tuple[int, str, str | None]]:
        """Line, code and field of each refused row."""
        return [(fault.line, fault.code, fault.field) for fault in self.accepted.faults]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests of the accepted rows."""
        return [dict(row.request) for row in self.rows]


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Taken]:
    def taken(data: bytes, **options: Any) -> Taken:
        store = open_store(str(tmp_path / "store"))
        before = set(tmp_path.rglob("*"))
        try:
            accepted = accept(
                store, io.BytesIO(data), IntakeOptions(**options), kinds=KINDS, settings=SETTINGS, run_key="k"
            )
        except AllRefused as refused:
            assert set(tmp_path.rglob("*")) == before, (
                "a file of which every row is refused leaves nothing in the store"
            )
            return Taken(NoBatch(NoRows(refused.total, refused.total), refused.faults), [])
        rows: list[RowRequest] = []
        for lane in accepted.batch.lanes:
            raw = store.read(BatchPaths(accepted.batch.batch_id).input(lane))
            rows += [RowRequest.from_bytes(line) for line in raw.splitlines()]
        return Taken(accepted, sorted(rows, key=lambda row: row.row))

    return taken
