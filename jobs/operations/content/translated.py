"""Writes the translated documents of a batch to a folder or URL, from the rows that are published or done so far."""

import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from jobs.documents.batches.answers import Answers
from jobs.documents.batches.writing import Report, write_documents
from jobs.errors import RequestError, StoreUnavailable
from jobs.findings import Verdict
from jobs.operations.results import SCRATCH, results
from jobs.store.destinations import file_in, write_destination
from jobs.store.store import Store


def write_translations(
    store: Store,
    batch_id: str,
    place: str,
    options_for: Callable[[str], Mapping[str, str]],
    verdicts: Collection[Verdict] | None = None,
) -> Report:
    """Write the translated documents of a batch into a folder, each as a whole and in place of a file of its name.

    Args:
        store: The store of the batch.
        batch_id: A batch of documents.
        place: The folder: a path, which is made if it is missing, or a URL.
        options_for: Returns the options of the file system for a URL.
        verdicts: The verdicts of the rows whose texts are written; None for all completed rows.

    Raises:
        RequestError: The batch has no documents.
        OSError: A file cannot be written on this machine.
        StoreUnavailable: The store or the URL failed, or the scratch folder.
    """
    completed = results(store, batch_id)
    batch = completed.batch
    if batch.documents is None:
        raise RequestError(f"{batch_id} has no documents: its rows came as rows, so give another format")

    @contextmanager
    def opened(name: str) -> Iterator[BinaryIO]:
        with write_destination(file_in(place, name), options_for(place), with_folders=True) as target:
            yield target

    with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
        try:
            with closing(Answers(Path(scratch, "answers.sqlite"))) as answers:
                answers.fill(completed, verdicts)
                answers.fill(results(store, batch_id, errors=True))
                return write_documents(store, batch, answers, opened, Path(scratch))
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"cannot keep rows under {tempfile.gettempdir()}: {error}. Check that disk, or set TMPDIR."
            ) from error
