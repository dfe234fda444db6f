"""What the tests of batches of documents share: accepting documents, and answering their rows as a worker would."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.input import lane_input
from jobs.batches.request_row import RowRequest
from jobs.batches.segments.line import Outcome
from jobs.intake.accept import Accepted, IntakeOptions, accept_file
from jobs.settings import Settings
from jobs.store.store import Store
from tests.support.outcomes import completed, failed

SETTINGS = Settings(store_url="unused", model="stub")

Answer = Callable[[RowRequest], str | None]
"""Returns the translation of a row, or None for a row that fails."""


def accept_documents(store: Store, *places: Path | str, to: str = "fr", run_key: str = "k", **options: Any) -> Accepted:
    """Make a batch of documents in English."""
    given = ("source_language=en", f"target_language={to}")
    chosen = IntakeOptions(kind="translation", set=given, **options)
    return accept_file(store, [str(place) for place in places], chosen, SETTINGS, run_key)


def requests_of(store: Store, batch: Batch) -> Sequence[RowRequest]:
    """The accepted rows of a batch."""
    found: list[RowRequest] = []
    for lane in batch.lanes:
        with lane_input(store, batch.batch_id, lane) as file:
            found += map(RowRequest.from_bytes, file)
    return sorted(found, key=lambda one: one.row)


def shouted(request: RowRequest) -> str:
    """The text of a row in capitals, with its marks as they are, and its language behind it."""
    text, position, made = request.request["text"], 0, ""
    for mark in request.request.get("marks", ()):
        made += text[position : mark["start"]].upper() + text[mark["start"] : mark["end"]]
        position = mark["end"]
    return f"{made}{text[position:].upper()}"


def outcomes_of(store: Store, batch: Batch, answer: Answer = shouted) -> Sequence[Outcome]:
    """An outcome of each row."""
    return [_outcome(request, answer(request)) for request in requests_of(store, batch)]


def _outcome(request: RowRequest, text: str | None) -> Outcome:
    fields: Mapping[str, Any] = {
        "kind": request.kind,
        "custom_id": request.custom_id,
        "metadata": request.metadata,
    }
    if text is None:
        return failed(request.row, "placeholders_changed", **fields)
    return completed(request.row, output={"text": text, "source": request.request["text"]}, **fields)


def kept(store: Store, batch: Batch) -> Sequence[str]:
    """The names of what the batch keeps of its documents."""
    return store.list(f"{BatchPaths(batch.batch_id).root}/documents")
