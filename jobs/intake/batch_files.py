"""Writes the files of a new batch into the store. The batch is accepted when `batch.json` is written.

The order is: the id of the store if it has none yet (rule 42 of jobs/PROTOCOL.md), the inputs, the sample if the batch is quoted
(rule 49), the documents whose segments are the rows, the refused rows as they came, their final failures, `batch.json`, the open
hint. The open hint is an empty file that lets fleets find an open batch sooner. A folder without `batch.json` is not a batch
(rules 3 and 4).
"""

import hashlib
import shutil
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from jobs.batches.batch import Batch, BatchPaths, LaneInput
from jobs.batches.input import lane_input, read_row, read_rows
from jobs.batches.quotes.sample import Sample
from jobs.batches.rounds import is_left_over, is_open, load_batch, to_bytes
from jobs.batches.segments import segment
from jobs.batches.segments.line import Outcome
from jobs.errors import ConflictError, StoreUnavailable
from jobs.intake.staging import Staging
from jobs.logs import logger
from jobs.printable import shell_word
from jobs.store.identity import make_id
from jobs.store.store import Store

SEGMENT_ROWS: Final = 4_096
"""A segment holds at most this many refused rows."""


def write_batch(store: Store, batch: Batch, staging: Staging) -> tuple[Batch, bool]:
    """Write the files of a batch in the order of this module, unless the same batch is there already.

    Returns two values: the batch that has the id now, and whether this call has made that batch.

    Raises:
        ConflictError: Another batch has the id, or some files of a deleted batch of this id are left.
        StoreUnavailable: The storage failed; the message says whether the batch may have been accepted.
    """
    paths = BatchPaths(batch.batch_id)
    standing = load_batch(store, batch.batch_id)
    created = False
    if is_left_over(store, batch.batch_id):
        raise ConflictError(
            f"a batch {batch.batch_id} was deleted, and some of its files are left: give nightpress delete {batch.batch_id}, "
            "then the same command again"
        )
    if standing is None:
        make_id(store)
        for lane in batch.lanes:
            with store.writer(paths.input(lane)) as target, staging.lane_path(lane).open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
        batch = _as_stored(store, batch, staging.lanes_with_memory)
        _keep_sample(store, batch, staging)
        _keep_documents(store, paths, staging)
        if batch.refused:
            with store.writer(paths.refused) as target, staging.as_they_came.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
        for n, outcomes in enumerate(_chunks(staging.refused_outcomes()), start=1):
            segment.write(store, paths, outcomes, "intake", batch.full_sha256[:12], n)
        created = _create(store, batch)
        standing = batch if created else load_batch(store, batch.batch_id)
    if standing is None or standing.full_sha256 != batch.full_sha256:
        raise ConflictError(f"another batch has the id {batch.batch_id}: give this one a --name or a --run-key")
    try:
        if created or is_open(store, batch.batch_id):
            store.create(paths.open_hint, b"")
    # the batch is accepted already: if the caller got an error here, the caller might make a second batch
    except StoreUnavailable as error:
        logger().warning("batch.hint_failed", batch=batch.batch_id, error=str(error))
    return standing, created


def _as_stored(store: Store, batch: Batch, lanes: Collection[str]) -> Batch:
    """Return the batch with its inputs in these lanes as they lie in the store.

    An input stays as it was written first. If another intake of the same rows has written it, the translation memory may have
    known other segments then. The requests are the same, and `batch.json` describes the file that is there.
    """
    stored = {lane: _stored_lane(store, batch, lane) for lane in lanes}
    return batch.model_copy(update={"lanes": {**batch.lanes, **stored}}) if stored else batch


def _stored_lane(store: Store, batch: Batch, lane: str) -> LaneInput:
    digest, size = hashlib.sha256(), 0
    with lane_input(store, batch.batch_id, lane) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    ours = batch.lanes[lane]
    if digest.hexdigest() == ours.sha256:
        return ours
    cost = sum(request.cost for request in read_rows(store, batch.batch_id, lane))
    return ours.model_copy(update={"bytes": size, "sha256": digest.hexdigest(), "cost": cost})


def _keep_sample(store: Store, batch: Batch, staging: Staging) -> None:
    """Write the rows by which the batch may be quoted. Their places are those of the inputs as they lie in the store."""
    if staging.sampler is None:
        return
    sample = staging.sampler.sample(batch.batch_id)
    ours = staging.lanes()
    for lane in batch.lanes:
        if batch.lanes[lane].sha256 != ours[lane].sha256:
            sample = _placed_anew(store, sample, lane)
    store.create(BatchPaths(batch.batch_id).sample, to_bytes(sample))


def _placed_anew(store: Store, sample: Sample, lane: str) -> Sample:
    """Return the sample with the places of a lane's rows as they are in the stored input."""
    rows = {one.row for one in sample.rows_of([len(one.drawn) for one in sample.strata], lane)}
    places: dict[int, tuple[int, int, int]] = {}
    with lane_input(store, sample.batch_id, lane) as file:
        offset = 0
        for line in file:
            if (request := read_row(line.rstrip(b"\n"))) is not None and request.row in rows:
                places[request.row] = (request.row, offset, len(line))
            offset += len(line)
    strata = [
        one.model_copy(update={"drawn": tuple(places.get(row[0], row) for row in one.drawn)})
        if one.lane == lane
        else one
        for one in sample.strata
    ]
    return sample.model_copy(update={"strata": tuple(strata)})


def _keep_documents(store: Store, paths: BatchPaths, staging: Staging) -> None:
    """Write the documents whose segments are the rows, and the list of them. A document that could not be read is only listed."""
    if (documents := staging.documents) is None:
        return
    for number, document in enumerate(documents.documents):
        if document.fault is None:
            with store.writer(paths.document(number)) as target, documents.path(number).open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
    with store.writer(paths.document_list) as target:
        target.write(documents.list_bytes)


def _create(store: Store, batch: Batch) -> bool:
    """Create `batch.json`. Returns False if it was there already.

    Raises StoreUnavailable if the storage fails. The batch may be accepted all the same, so the message says how to try again.
    """
    try:
        return store.create(BatchPaths(batch.batch_id).acceptance, to_bytes(batch))
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"{error} {batch.batch_id} may be accepted all the same. Give the same command again, with its run key, so that "
            f"it makes no second batch (enqueue --run-key {shell_word(batch.run_key)})"
        ) from error


def _chunks(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    while chunk := list(islice(outcomes, SEGMENT_ROWS)):
        yield chunk
