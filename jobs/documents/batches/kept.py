"""What a batch keeps of its documents: `documents/list.jsonl` names them, and `documents/<n>` has the bytes of each.

Intake writes both before `batch.json`, which holds the sha256 of the list (rule 3 of jobs/PROTOCOL.md). The list holds that of
each document. So an accepted batch has its documents, and damage to one is found when it is read.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, Final

import orjson
from pydantic import ValidationError

from jobs.batches.batch import Batch, BatchPaths, KeptDocument
from jobs.batches.records import missing
from jobs.documents.batches.names import fault_of_name, name_in
from jobs.documents.document import DocumentFormat, Segment
from jobs.documents.source import Columns, Options
from jobs.store.damage import damaged_file
from jobs.store.store import CHUNK_BYTES, Store

Reading = tuple[str | None, Options]
"""One reading of a document: its target language, or None for all of them at once, and what the format is told."""

TABLE_FIELDS: Final = ("source", "key", "context", "max_length")
"""What the columns of a string table hold, beside the languages."""


def readings(
    form: DocumentFormat, source_language: str, languages: Sequence[str], columns: Mapping[str, str]
) -> Sequence[Reading]:
    """Return how often, and with which options, a document is read: once for each language, or once for all of them.

    `columns` are the columns of a string table, as DocumentSet has them.
    """
    if form.holds_languages:
        chosen = Columns(
            source=columns.get("source"),
            targets=tuple((one, columns[one]) for one in languages if one in columns),
            key=columns.get("key"),
            context=columns.get("context"),
            most=columns.get("max_length"),
            appends=True,
        )
        whole = Options(source_language=source_language, target_languages=tuple(languages), columns=chosen)
        return [(None, whole)]
    return [(language, Options(source_language=source_language, target_language=language)) for language in languages]


def language_of(segment: Segment, reading: Reading) -> str:
    """Return the language into which a segment of a reading is translated."""
    return reading[0] or segment.language


def outputs(
    document: KeptDocument, form: DocumentFormat, source_language: str, columns: Mapping[str, str]
) -> Sequence[tuple[str, Reading]]:
    """Return the name of each translated file of a document, and the reading that it comes from."""
    if form.holds_languages:
        return [(document.name, reading) for reading in readings(form, source_language, document.languages, columns)]
    return [
        (name_in(document.name, document.form, source_language, str(reading[0])), reading)
        for reading in readings(form, source_language, document.languages, columns)
    ]


def list_bytes(documents: Sequence[KeptDocument]) -> bytes:
    """Return the content of `documents/list.jsonl`."""
    return b"".join(orjson.dumps(one.model_dump(mode="json", exclude_none=True)) + b"\n" for one in documents)


def read_list(store: Store, batch: Batch) -> Sequence[KeptDocument]:
    """Return the documents of a batch in their order; none if it has no documents. Raises StoreDamaged, NoBatch."""
    if batch.documents is None:
        return ()
    path = BatchPaths(batch.batch_id).document_list
    try:
        data = store.read(path)
    except KeyError as error:
        raise missing(store, path) from error
    if hashlib.sha256(data).hexdigest() != batch.documents.list_sha256:
        raise damaged_file(store, path)
    try:
        found = [KeptDocument.model_validate_json(line) for line in data.splitlines()]
    except ValidationError as error:
        raise damaged_file(store, path) from error
    for one in found:
        if (fault := fault_of_name(one.name)) is not None:
            raise damaged_file(store, path, fault)
    return found


def copy_source(store: Store, batch_id: str, number: int, document: KeptDocument, target: BinaryIO) -> None:
    """Copy the bytes of a kept document. `number` is its place in the list. Raises StoreDamaged, NoBatch."""
    path = BatchPaths(batch_id).document(number)
    digest = hashlib.sha256()
    try:
        with store.reader(path) as file:
            for piece in pieces(file):
                digest.update(piece)
                target.write(piece)
    except KeyError as error:
        raise missing(store, path) from error
    if digest.hexdigest() != document.sha256:
        raise damaged_file(store, path)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a file, at most CHUNK_BYTES at a time."""
    while piece := file.read(CHUNK_BYTES):
        yield piece
