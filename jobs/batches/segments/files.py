"""Where the segments of a batch lie: each in a file of its own, and those that were compacted several in one.

Reading them from an object store is waiting for replies, so files are read ahead, and given in their order. Bounded in
files and in bytes.

    segments/<worker>-<life>-<n>-<sha256>.jsonl     one segment
    compacted/compacted-<n>-<sha256>.jsonl          n of them; never changed, nor deleted before its batch
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Final, NamedTuple, TypeVar

from jobs.batches.batch import BatchPaths
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import Segment, SegmentHead, read_heads, read_outcomes, read_segments
from jobs.errors import StoreUnavailable
from jobs.store.fan_out import each
from jobs.store.store import Store

T = TypeVar("T")

HEAD_SIZE: Final = 64 << 10
TRIES: Final = 5


class Compacted(Exception):
    """A file that was listed is gone: its segments are in a compacted one that a further listing shows."""


class Listing(NamedTuple):
    """Paths of files that hold segments: one each, or several."""

    alone: Sequence[str]
    compacted: Sequence[str]


def list_files(store: Store, paths: BatchPaths) -> Listing:
    """The files of all segments that are durable by now. Some segments may lie in several.

    Compacted files are listed last: a segment's own file goes only after a compacted one has it, and that one stays, so a
    segment that the first listing missed is in the second.
    """
    alone = [paths.segment(name) for name in store.list(paths.segments)]
    return Listing(alone, [f"{paths.compacted}/{name}" for name in store.list(paths.compacted)])


def until_read(store: Store, read: Callable[[], T]) -> T:
    """What `read` gives, which lists files first and is asked again while some go before they are read."""
    for _ in range(TRIES):
        with suppress(Compacted):
            return read()
    raise StoreUnavailable(f"storage {store.redacted_url}: segments go while they are read. Try again later.")


def each_heads(store: Store, files: Sequence[str]) -> Iterator[tuple[str, Sequence[SegmentHead]]]:
    """Each file with its heads. Raises Compacted."""

    def read(path: str) -> Sequence[SegmentHead]:
        return read_heads(store, path)

    return _each_file(read, dict.fromkeys(files, HEAD_SIZE), store.reads_at_once)


def each_segments(store: Store, files: Mapping[str, int], batch_id: str) -> Iterator[tuple[str, Sequence[Segment]]]:
    """Each file with its segments, checked by their sha256. `files` says about how large each is. Raises Compacted."""

    def read(path: str) -> Sequence[Segment]:
        return read_segments(store, path, batch_id)

    return _each_file(read, files, store.reads_at_once)


def each_outcome(store: Store, paths: BatchPaths) -> Iterator[Outcome]:
    """Every outcome of every segment, each once, where nobody compacts at this moment."""
    seen: set[str] = set()
    for path in chain(*list_files(store, paths)):
        for segment in read_segments(store, path, paths.batch_id):
            if segment.head.name not in seen:
                seen.add(segment.head.name)
                yield from segment.outcomes()


def some_outcomes(store: Store, files: Iterable[str], most: int) -> Iterator[Outcome]:
    """The first `most` outcomes of each of these files. One that is gone is passed over."""
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
