"""Compaction puts many small segments of an open batch together in a few files, which are read with fewer requests.

A compacted file holds whole segments, each with its head and the name of its own file. Rule 26 of jobs/PROTOCOL.md gives the
order of steps. With that order, no segment is ever missed or counted twice, even if several processes compact at once or one
dies. A worker that got no reply may write a segment again after the segment was compacted. The new file is then a copy: no
reader counts it, and the next compaction deletes it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from jobs.batches.batch import FORMAT
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.records import missing, no_batch
from jobs.batches.segments.files import Compacted, each_segments
from jobs.batches.segments.head import damaged
from jobs.batches.segments.segment import read_segments
from jobs.logs import logger
from jobs.store.store import Store

SMALL_BYTES: Final = 1 << 20
"""A segment with this many bytes of lines, or more, stays in its own file."""
COMPACTED_BYTES: Final = 16 << 20
"""A compacted file gets about this many bytes of lines."""


def compact(store: Store, index: OutcomeIndex) -> int:
    """Put the small segments of a batch together. Returns how many files were deleted. Raises StoreUnavailable."""
    index.refresh()
    names = store.list(index.paths.segments)
    deleted = _delete_copies(store, index, [name for name in names if name in index.compacted])
    try:
        for group in _groups(index, [name for name in names if name not in index.compacted]):
            if not store.can_delete:  # here a compacted file would only be one more file to read
                break
            _put_together(store, index, group)
            deleted += _delete(store, index, group)
    except Compacted:
        pass  # another process compacts the same segments
    if deleted:
        logger().info("segments.compacted", batch=index.batch.batch_id, segments=deleted)
    return deleted


def _delete_copies(store: Store, index: OutcomeIndex, copies: Sequence[str]) -> int:
    """Delete files whose segments are in a compacted file. A compaction that died left such files, or a worker that wrote a
    segment again.
    """
    for path in sorted({index.compacted[name] for name in copies}):
        try:
            read_segments(store, path)
            if not store.create(path, store.read(path)):  # `create` makes the file durable, if it is not yet
                raise damaged(path)
        except KeyError:
            raise missing(store, path) from None
    return _delete(store, index, copies)


def _delete(store: Store, index: OutcomeIndex, names: Sequence[str]) -> int:
    return len(names) if names and store.discard(*map(index.paths.segment, names)) else 0


def _groups(index: OutcomeIndex, names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield groups of at least two small segments. Each group is to be put together in one file."""
    group: list[str] = []
    size = 0
    for name in names:
        bytes_ = index.files.get(index.paths.segment(name), SMALL_BYTES)
        if bytes_ >= SMALL_BYTES:
            continue
        if size + bytes_ > COMPACTED_BYTES and len(group) > 1:
            yield group
            group, size = [], 0
        group.append(name)
        size += bytes_
    if len(group) > 1:
        yield group


def _put_together(store: Store, index: OutcomeIndex, names: Sequence[str]) -> None:
    """Make one durable file that holds these segments whole."""
    files = {path: index.files[path] for path in map(index.paths.segment, names)}
    segments = [segment for _, read in each_segments(store, files) for segment in read]
    head = {"format": FORMAT, "segments": [segment.values for segment in segments]}
    data = b"".join((orjson.dumps(head), b"\n", *(segment.body for segment in segments)))
    path = f"{index.paths.compacted}/compacted-{len(segments)}-{hashlib.sha256(data).hexdigest()}.jsonl"
    if not store.create(path, data):
        raise damaged(path)
    if not store.exists(index.paths.acceptance):  # the batch was deleted meanwhile
        store.discard(path)
        raise no_batch(index.batch.batch_id)
