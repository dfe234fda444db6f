"""Compaction: many small segments of an open batch are put together in few files, which are read with fewer requests.

Nothing about a line changes: a compacted file holds whole segments, each with its head and under the name that it had, which
is what ties are broken by. Readers count a segment once, in however many files it lies. So all that could go wrong is that
a segment is in no file, or that a listing misses it; and neither happens:

1. A segment's own file is deleted only after whoever deletes it has made a compacted file durable that holds it.
2. A compacted file is never changed, never compacted again, and deleted only with its batch.
3. Readers list the segments first, and the compacted files after that: of what was deleted during the first listing, the
   second shows where it is. A file that goes between the listing and the reading is looked for in a further listing.

So any number may compact at once, each may be killed at any point, and a worker that writes a segment again, since it heard
no reply, makes a file that nobody counts and that the next compaction deletes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.files import Compacted, each_segments
from jobs.batches.segments.head import SEGMENT_FORMAT, damaged
from jobs.batches.segments.segment import read_segments
from jobs.logs import logger
from jobs.store.store import Store

SMALL_BYTES: Final = 1 << 20
"""A segment whose lines are so large stays in its own file."""
COMPACTED_BYTES: Final = 16 << 20
"""About how large a compacted file becomes."""


def compact(store: Store, index: OutcomeIndex) -> int:
    """Put the small segments of a batch together. Returns how many files of their own went. Raises StoreUnavailable."""
    index.refresh()
    names = store.list(index.paths.segments)
    deleted = _delete_copies(store, index, [name for name in names if name in index.compacted])
    try:
        for group in _groups(index, [name for name in names if name not in index.compacted]):
            if not store.can_delete:  # another file that holds the same makes it no better
                break
            _put_together(store, index, group)
            deleted += _delete(store, index, group)
    except Compacted:
        pass  # another one is at work, and does the same
    if deleted:
        logger().info("segments.compacted", batch=index.batch.batch_id, segments=deleted)
    return deleted


def _delete_copies(store: Store, index: OutcomeIndex, copies: Sequence[str]) -> int:
    """Delete what a compacted file holds already: whoever made that was killed, or a worker wrote a segment again."""
    for path in sorted({index.compacted[name] for name in copies}):
        read_segments(store, path, index.batch.batch_id)
        if not store.create(path, store.read(path)):  # what is seen may not be durable yet: this makes it so
            raise damaged(path)
    return _delete(store, index, copies)


def _delete(store: Store, index: OutcomeIndex, names: Sequence[str]) -> int:
    return len(names) if names and store.discard(*map(index.paths.segment, names)) else 0


def _groups(index: OutcomeIndex, names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Small segments that make up one file, two at least."""
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
    """Make one file of whole segments, durably."""
    files = {path: index.files[path] for path in map(index.paths.segment, names)}
    segments = [segment for _, read in each_segments(store, files, index.batch.batch_id) for segment in read]
    head = {"format": SEGMENT_FORMAT, "segments": [segment.values for segment in segments]}
    data = b"".join((orjson.dumps(head), b"\n", *(segment.body for segment in segments)))
    path = f"{index.paths.compacted}/compacted-{len(segments)}-{hashlib.sha256(data).hexdigest()}.jsonl"
    if not store.create(path, data):
        raise damaged(path)
