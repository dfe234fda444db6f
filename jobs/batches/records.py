"""This module reads the records of a batch: its acceptance, and its markers.

A record with a value that no release could have written is damaged, and the error names its file and its field. A missing
record is damage too, unless another process has deleted the whole batch. A deletion deletes the acceptance before any other
file (rule 40 of jobs/PROTOCOL.md). So if the acceptance is missing, the batch was deleted.
"""

import re
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from jobs.batches.batch import FORMAT, BatchPaths
from jobs.errors import NoBatch, StoreDamaged
from jobs.store.damage import check_format, damaged_file, missing_file
from jobs.store.store import Store

Record = TypeVar("Record", bound=BaseModel)

LONGEST_ID: Final = 255
"""No batch id has more characters, since no file system takes a longer name."""

MARKER: Final = re.compile(
    r"(closed|done|reopen|paused|resumed|given-up|delivered|budget|drawn|quoted|agreed)-([1-9][0-9]{0,6})\.json"
)
"""The name of a marker: its decision, and the round; or `budget`, and the number of the entry in the log of budgets; or `drawn`,
and the number of the draw of a sample.
"""

_NUMBERED: Final = {"budget": "number", "drawn": "draw"}
"""The field that holds the number of a marker whose number is not that of a round."""


def is_id(text: str) -> bool:
    """Whether a batch may have this id. A text that no batch may have as its id is not looked up, so nothing outside the
    folders of batches is read.
    """
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and "/" not in text and not text.startswith(".")


def no_batch(batch_id: str) -> NoBatch:
    """Make the error for a batch that was never made, or that was deleted."""
    return NoBatch(f"no batch {batch_id}: `nightpress status --all` lists all batches.")


def missing(store: Store, path: str) -> StoreDamaged | NoBatch:
    """Make the error for a missing file of a batch: damage if the batch is there, NoBatch if it was deleted meanwhile."""
    batch_id = path.split("/")[1]
    if not store.exists(BatchPaths(batch_id).acceptance):
        return no_batch(batch_id)
    return missing_file(store, path)


def read_record(store: Store, path: str, record: type[Record]) -> Record | None:
    """Read a record. Returns None if it is missing. Raises StoreDamaged, and StoreTooNew if a newer release wrote it."""
    try:
        data = store.read(path)
    except KeyError:
        return None
    found = parse_record(store, path, data, record)
    for name, expected in _named_by(path).items():
        if getattr(found, name) != expected:
            raise damaged_file(store, path, f"{name}: it is not {expected}")
    return found


def parse_record(store: Store, path: str, data: bytes, record: type[Record]) -> Record:
    """Check `data`, the content of a file, and return it as a record. Raises StoreDamaged, which names the field, or
    StoreTooNew.
    """
    try:
        values = orjson.loads(data)
        check_format(values, FORMAT, f"storage {store.redacted_url}: {path}")
        return record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field, fault = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise damaged_file(store, path, f"{field}: {fault}" if field else fault) from error
    except ValueError as error:
        raise damaged_file(store, path) from error


def _named_by(path: str) -> dict[str, object]:
    """Return the fields of a record that its path names too."""
    _, batch_id, name = path.split("/")
    match = MARKER.fullmatch(name)
    if match is None:
        return {"batch_id": batch_id}
    return {_NUMBERED.get(match[1], "round"): int(match[2])}
