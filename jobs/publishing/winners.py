"""The winner of a row is the line that is published, among all lines that give the row an outcome (rule 18 of jobs/PROTOCOL.md).

A completed line wins over a final failure. In a batch with a budget the completed line with the lowest charge wins, so that an
attempt that was believed lost never makes a row dearer (rule 48). Ties go to the lowest fence, then to the first segment name by
bytes, then to the lowest line number. Nothing else plays a part, so publishers that saw the same segments choose the same
winners. The lines of each range of rows wait in a scratch file of their own, so that memory holds one range at a time.
"""

import mmap
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jobs.batches.segments.head import HeadRow
from jobs.errors import StoreUnavailable
from jobs.usage import NAMES, REMEMBERED

BUCKET_BYTES: Final = 16 << 20
"""A range of rows has about this many bytes of lines. Memory holds one range at a time."""

NO_ENTRY: Final = (0,) * (1 + len(NAMES) + len(REMEMBERED))
"""An empty entry, for lines that are not added up."""

_CHARGE: Final = 1 + NAMES.index("charge")
"""The place of the charge in an entry."""

_RECORD: Final = struct.Struct(f"<{7 + len(NO_ENTRY)}q")
"""A record precedes each line that waits. It holds the line's row, the five numbers that order the lines of a row, the line's
length, and its entry for the ledger."""


class Winner(NamedTuple):
    """The line that wins, as it is published, and its entry for the ledger: an account's number, six counts of the usage, and
    four of the translation memory.
    """

    text: memoryview
    entry: Sequence[int]


class Winners:
    """Takes all candidates first. After that it gives the winner of each row, one range of rows after another in input order.

    Args:
        rows: The number of rows of the batch.
        expected_bytes: About how many bytes of lines will be added. If one range is enough for them, they stay in memory.
        scratch: An empty folder for the scratch files.
        bucket_bytes: About how many bytes of lines a range of rows has.

    `cheapest` tells whether the completed line with the lowest charge wins. It is False; set it before lines are added.
    """

    def __init__(self, rows: int, expected_bytes: int, scratch: Path, bucket_bytes: int = BUCKET_BYTES) -> None:
        self.cheapest = False
        buckets = max(1, -(-expected_bytes // bucket_bytes))
        self._rows = rows
        self._range = max(1, -(-rows // buckets))
        self._spills = self._range < rows
        self._bucket_bytes = bucket_bytes
        self._scratch = scratch
        self._waiting: defaultdict[int, list[bytes]] = defaultdict(list)
        self._waiting_bytes = 0

    def add(self, row: HeadRow, segment: int, line: int, text: bytes, entry: Sequence[int] = NO_ENTRY) -> None:
        """Add one candidate. `segment` is the position of its segment's name among all segment names, sorted by bytes. The last
        numbers of an entry may be missing, and are 0 then.

        Raises StoreUnavailable if the scratch files cannot be written, such as on a full disk.
        """
        failed = int(row.status != "c")
        numbers = (*entry, *NO_ENTRY[len(entry) :])
        charge = numbers[_CHARGE] if self.cheapest else 0
        record = _RECORD.pack(row.row, failed, charge, row.fence, segment, line, len(text), *numbers)
        self._waiting[row.row // self._range] += (record, text)
        self._waiting_bytes += len(text)
        if self._spills and self._waiting_bytes >= self._bucket_bytes:
            self._spill()

    def ranges(self) -> Iterator[tuple[range, dict[int, Winner]]]:
        """Yield each range of rows, and the winners in this range by row. A row without a candidate has no winner."""
        if self._spills:
            self._spill()
        for bucket, start in enumerate(range(0, self._rows, self._range)):
            yield range(start, min(start + self._range, self._rows)), self._chosen(self._taken(bucket))

    def _chosen(self, records: bytes | mmap.mmap) -> dict[int, Winner]:
        best: dict[int, tuple[tuple[int, ...], int]] = {}
        start, end = 0, len(records)
        while start < end:
            record = _RECORD.unpack_from(records, start)
            start += _RECORD.size
            other = best.get(record[0])
            if other is None or record[1:6] < other[0][1:6]:
                best[record[0]] = record, start
            start += record[6]
        view = memoryview(records)
        return {row: Winner(view[at : at + record[6]], record[7:]) for row, (record, at) in best.items()}

    def _taken(self, bucket: int) -> bytes | mmap.mmap:
        path = self._scratch / str(bucket)
        if not path.exists():
            return b"".join(self._waiting.pop(bucket, ()))
        with path.open("rb") as file:
            records = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        path.unlink()
        return records

    def _spill(self) -> None:
        try:
            for bucket, records in self._waiting.items():
                with (self._scratch / str(bucket)).open("ab", buffering=1 << 20) as file:
                    file.writelines(records)
        except OSError as error:
            raise StoreUnavailable(
                f"scratch folder {self._scratch}: {error.strerror}. Set TMPDIR to a larger disk."
            ) from error
        self._waiting.clear()
        self._waiting_bytes = 0
