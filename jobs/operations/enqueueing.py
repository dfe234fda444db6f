"""Enqueueing: makes a batch of rows that a program holds, or of a file."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO, cast

import orjson

from jobs.errors import RequestError
from jobs.intake.accept import IntakeOptions, accept
from jobs.intake.documents.opening import Input, open_input
from jobs.intake.row_faults import RowFault
from jobs.kinds.kind import Kind
from jobs.settings import Settings
from jobs.store.store import Store

Place = str | os.PathLike[str]
"""The path or URL of a file, or the path of a folder of documents."""

Source = Iterable[Mapping[str, Any] | Place] | Place | BinaryIO
"""Rows, each a mapping of its fields; a file in any format that intake reads: its path, its URL, or an open binary file; or the
places of documents to translate.
"""


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """A batch that was written to storage. Workers find it there, even if Redis does not answer at the moment.

    Attributes:
        id: The batch's id.
        rows: The number of rows of the input.
        refused: How many of these rows could not be accepted. A refused row counts as failed at once.
        faults: The faults of the refused rows, at most the first 10,000.
        models: The aliases of the models of the accepted rows.
        remarks: Remarks of kinds on accepted rows that are probably a mistake, each with the number of these rows.
        documents: How many documents the rows are the segments of; 0 if the rows came as rows.
        languages: The languages that these documents are translated into.
        is_quoted: Whether a sample of the batch is drawn to quote it before the other rows run.
        is_new: False if the same rows, options and run key made this batch before.
    """

    id: str
    rows: int
    refused: int
    faults: Sequence[RowFault]
    is_new: bool
    models: Sequence[str]
    remarks: Mapping[str, int]
    documents: int = 0
    languages: Sequence[str] = ()
    is_quoted: bool = False


def enqueue(
    store: Store,
    source: Source,
    options: IntakeOptions,
    *,
    run_key: str | None,
    kinds: Mapping[str, Kind],
    settings: Settings,
    clock: Callable[[], datetime],
) -> AcceptedBatch:
    """Make a batch. If `run_key` is None, the batch gets a new key, so it is always new. Raises the errors of `accept`."""
    with opened(source, options, settings) as (lines, name):
        accepted = accept(
            store,
            lines,
            replace(options, name=options.name or name),
            kinds=kinds,
            settings=settings,
            run_key=uuid.uuid4().hex if run_key is None else run_key,
            clock=clock,
        )
    batch = accepted.batch
    return AcceptedBatch(
        id=batch.batch_id,
        rows=batch.rows,
        refused=batch.refused,
        faults=accepted.faults,
        is_new=accepted.created,
        models=sorted({lane.model for lane in batch.lanes.values()}),
        remarks=accepted.remarks,
        documents=batch.documents.files if batch.documents else 0,
        languages=batch.documents.languages if batch.documents else (),
        is_quoted=batch.quote is not None,
    )


@contextmanager
def opened(source: Source, options: IntakeOptions, settings: Settings) -> Iterator[tuple[Input, str | None]]:
    """Open a source. Yields what intake reads, and the name of the file or folder; None if it has no name.

    Raises RequestError if the file cannot be opened.
    """
    if (places := _places(source)) is not None:
        with open_input(places, options, settings) as given:
            yield given
    elif options.document is not None:
        raise RequestError(
            f"a document ({options.document}) is named by its path: rows and open files have other formats"
        )
    elif not hasattr(source, "read"):
        yield _lines(cast("Iterable[Mapping[str, Any]]", source)), None
    elif hasattr(source, "encoding"):
        raise TypeError("the file is open as text: open it with mode 'rb'")
    else:
        yield cast("BinaryIO", source), None


def _places(source: Source) -> Sequence[str] | None:
    """Return the paths or URLs that a source consists of; None if it consists of rows, or is an open file."""
    if isinstance(source, str | os.PathLike):
        return [os.fspath(source)]
    if isinstance(source, list | tuple) and source and all(isinstance(one, str | os.PathLike) for one in source):
        return [os.fspath(one) for one in source]
    return None


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield each row as a line of JSON. Raises RequestError for a row that JSON cannot hold."""
    for number, row in enumerate(rows):
        try:
            yield orjson.dumps(row if isinstance(row, dict) else dict(row), option=orjson.OPT_SERIALIZE_NUMPY)
        except (TypeError, ValueError) as error:
            raise RequestError(f"row {number} cannot be written as JSON: {error}; nothing was accepted") from error
