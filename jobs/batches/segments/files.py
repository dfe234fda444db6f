"""This module lists and reads the files that hold the segments of a batch, even while other processes compact them.

    segments/<worker>-<incarnation>-<n>-<sha256>.jsonl     one segment
    compacted/compacted-<n>-<sha256>.jsonl                 n segments; the file is deleted only with its batch

Several files are read at once, since reading from an object store is mostly waiting. They are yielded in order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Final, NamedTuple, TypeVar

from jobs.batches.batch import BatchPaths
from jobs.batches.segments.head import HEAD_BYTES, SegmentHead, read_heads
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.name import is_compacted, is_segment
from jobs.batches.segments.segment import Segment, read_outcomes, read_segments
from jobs.errors import StoreUnavailable
from jobs.store.fan_out import each
from jobs.store.store import Store

T = TypeVar("T")

TRIES: Final = 5
"""If others compact files between listing and reading, both are tried this many times. Then StoreUnavailable is raised."""


class Compacted(Exception):
    """A file that was listed is gone. Its segments are in a compacted file that the next listing shows."""


class Listing(NamedTuple):
    """The paths of the files that hold one segment (`alone`) and of those that hold several (`compacted`).

    `foreign` has the paths of files that Nightpress has not written, such as those of an editor or a synchronising program.
    """

    alone: Sequence[str]
    compacted: Sequence[str]
    foreign: Sequence[str]


def list_files(store: Store, paths: BatchPaths) -> Listing:
    """List the files of all segments that are durable by now. A segment may be in several files.

    The segments' own files are listed first, then the compacted files. A segment's own file is deleted only after a compacted
    file holds the segment, and the compacted file is kept. So a segment whose own file is deleted before the first listing is
    found in the second (rule 26 of jobs/PROTOCOL.md).
    """
    alone = store.list(paths.segments)
    compacted = store.list(paths.compacted)
    return Listing(
        [paths.segment(name) for name in alone if is_segment(name)],
        [f"{paths.compacted}/{name}" for name in compacted if is_compacted(name)],
        [paths.segment(name) for name in alone if not is_segment(name)]
        + [f"{paths.compacted}/{name}" for name in compacted if not is_compacted(name)],
    )


def until_read(store: Store, read: Callable[[], T]) -> T:
    """Call `read`, which lists files and reads them, and return its result. If `read` raises Compacted, it is called again.

    Raises StoreUnavailable after `TRIES` calls.
    """
    for _ in range(TRIES):
        with suppress(Compacted):
            return read()
    raise StoreUnavailable(
        f"storage {store.redacted_url}: segments are compacted while they are read. Try again later."
    )


def each_heads(store: Store, files: Sequence[str]) -> Iterator[tuple[str, Sequence[SegmentHead]]]:
    """Yield the path of each file with the heads in it. Raises Compacted if a file is gone."""

    def read(path: str) -> Sequence[SegmentHead]:
        return read_heads(store, path)

    return _each_file(read, dict.fromkeys(files, HEAD_BYTES), store.reads_at_once)


def each_segments(store: Store, files: Mapping[str, int]) -> Iterator[tuple[str, Sequence[Segment]]]:
    """Yield the path of each file with its segments. `files` maps each path to the file's approximate size in bytes.

    Raises Compacted if a file is gone.
    """

    def read(path: str) -> Sequence[Segment]:
        return read_segments(store, path)

    return _each_file(read, files, store.reads_at_once)


def each_outcome(store: Store, paths: BatchPaths) -> Iterator[Outcome]:
    """Yield every outcome of every segment once. Raises KeyError if another process compacts and deletes a file meanwhile."""
    seen: set[str] = set()
    for path in chain(*list_files(store, paths)[:2]):
        for segment in read_segments(store, path):
            if segment.head.name not in seen:
                seen.add(segment.head.name)
                yield from segment.outcomes()


def some_outcomes(store: Store, files: Iterable[str], most: int) -> Iterator[Outcome]:
    """Yield the first `most` outcomes of each of these files. A file that is gone is skipped."""
    for path in files:
        with suppress(KeyError):
            yield from islice(read_outcomes(store, path), most)


def _each_file(read: Callable[[str], T], files: Mapping[str, int], at_once: int) -> Iterator[tuple[str, T]]:
    """Yield each path with what `read` returns for it, in order. Raises Compacted for a file that is missing."""

    def read_or_compacted(path: str) -> T:
        try:
            return read(path)
        except KeyError:
            raise Compacted(path) from None

    paths = list(files)
    return zip(paths, each(read_or_compacted, paths, at_once, bytes_of=files.__getitem__), strict=True)
