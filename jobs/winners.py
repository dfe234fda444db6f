"""Winners: of all lines that give a row an outcome, the one that is published.

A completed line before a final failure; ties by lowest fence, then segment name by bytes, then line number. It reads nothing
but lines, so that two publishers who saw the same segments choose the same winners. Lines wait in scratch files by range
of rows, so that memory holds one range at a time.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from jobs.errors import StoreUnavailable
from jobs.segment import HeadRow

BUCKET_BYTES: Final = 64 << 20
"""About how many bytes of lines are held in memory at a time."""


class Candidate(NamedTuple):
    """A line that counts, as it is ordered against the others of its row: the lowest wins.

    `failed` is 0 for a completed line, 1 for a final failure. `segment` is the place of its segment's name among all names
    sorted by bytes.
    """

    failed: int
    fence: int
    segment: int
    line: int


class Winners:
    """Collects the lines that count, then gives the winner of each row, range by range in input order.

    Args:
        rows: The rows of the batch.
        expected_bytes: About how much will be added. What fits into one range stays in memory.
        scratch: An empty folder for the lines of further ranges.
    """

    def __init__(self, rows: int, expected_bytes: int, scratch: Path, bucket_bytes: int = BUCKET_BYTES) -> None:
        buckets = max(1, -(-expected_bytes // bucket_bytes))
        self._rows = rows
        self._range = max(1, -(-rows // buckets))
        self._spills = self._range < rows
        self._bucket_bytes = bucket_bytes
        self._scratch = scratch
        self._waiting: defaultdict[int, list[bytes]] = defaultdict(list)
        self._waiting_bytes = 0

    def add(self, row: HeadRow, segment: int, line: int, raw: bytes) -> None:
        """Take one line that counts."""
        failed = int(row.status != "c")
        self._waiting[row.row // self._range].append(
            b"%d %d %d %d %d " % (row.row, failed, row.fence, segment, line) + raw
        )
        self._waiting_bytes += len(raw)
        if self._spills and self._waiting_bytes >= self._bucket_bytes:
            self._spill()

    def ranges(self) -> Iterator[tuple[range, dict[int, bytes]]]:
        """Each range of rows, and the winning line of those of its rows that have one."""
        if self._spills:
            self._spill()
        for bucket, start in enumerate(range(0, self._rows, self._range)):
            yield range(start, min(start + self._range, self._rows)), self._chosen(bucket)

    def _chosen(self, bucket: int) -> dict[int, bytes]:
        best: dict[int, tuple[Candidate, bytes]] = {}
        for record in self._records(bucket):
            *numbers, raw = record.split(b" ", 5)
            row, failed, fence, segment, line = map(int, numbers)
            candidate = Candidate(failed, fence, segment, line)
            if row not in best or candidate < best[row][0]:
                best[row] = candidate, raw
        return {row: raw for row, (_, raw) in best.items()}

    def _records(self, bucket: int) -> Iterator[bytes]:
        yield from self._waiting.pop(bucket, ())
        path = self._scratch / str(bucket)
        if path.exists():
            with path.open("rb") as file:
                yield from file
            path.unlink()

    def _spill(self) -> None:
        try:
            for bucket, records in self._waiting.items():
                with (self._scratch / str(bucket)).open("ab") as file:
                    file.writelines(records)
        except OSError as error:
            raise StoreUnavailable(
                f"scratch folder {self._scratch}: {error.strerror}. Set TMPDIR to a larger disk."
            ) from error
        self._waiting.clear()
        self._waiting_bytes = 0
