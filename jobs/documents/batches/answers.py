"""Answers: the translations of a batch by the keys of their segments, in a table on local disk, so that any number fit.

A row that intake refused has no metadata, so it is found by its custom_id: that of the first segment with its key.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobs.batches.output_rows import code_of
from jobs.documents.batches.keys import KEY, custom_id_of, key_of
from jobs.documents.document import Segment
from jobs.findings import Verdict

UNSENT: Final = "unsent"
"""The code of a segment that no row holds: the batch was limited, or another release reads the document otherwise."""

_ROWS_AT_ONCE: Final = 1_000


class Answer(NamedTuple):
    """The translation of a segment; or None, and the code of the reason why there is none."""

    text: str | None
    code: str = ""


class Answers:
    """The answers of one batch. Call `close` at the end.

    Args:
        path: The file of the table, which is made anew.
    """

    def __init__(self, path: Path) -> None:
        self._table = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16384"):
            self._table.execute(f"PRAGMA {pragma}")
        self._table.execute("CREATE TABLE answers (key BLOB PRIMARY KEY, text TEXT, code TEXT) WITHOUT ROWID")

    def close(self) -> None:
        """Close the table. Its file stays."""
        self._table.close()

    def fill(self, rows: Iterable[Mapping[str, Any]], verdicts: Collection[Verdict] | None = None) -> None:
        """Take in published rows: completed ones with their text, others with the code of their error.

        If `verdicts` is given, a completed row with another verdict counts as a row without a text.
        """
        rest = iter(rows)
        while chunk := [_entry(row, verdicts) for row in islice(rest, _ROWS_AT_ONCE)]:
            self._table.execute("BEGIN")
            self._table.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", chunk)
            self._table.execute("COMMIT")

    def answer(self, segment: Segment, language: str, name: str) -> Answer:
        """Return the answer for a segment of the document `name`. The first segment with its key must be asked for first."""
        key = key_of(segment, language)
        if (found := self._found(key)) is not None:
            return found
        refused = self._found(_by_name(custom_id_of(name, language, segment.id)))
        answer = Answer(None, refused.code or UNSENT) if refused else Answer(None, UNSENT)
        self._table.execute("INSERT INTO answers VALUES (?, ?, ?)", (key, None, answer.code))
        return answer

    def _found(self, key: bytes) -> Answer | None:
        with closing(self._table.execute("SELECT text, code FROM answers WHERE key = ?", (key,))) as cursor:
            row = cursor.fetchone()
        return None if row is None else Answer(row[0], row[1])


def _entry(row: Mapping[str, Any], verdicts: Collection[Verdict] | None) -> tuple[bytes, str | None, str]:
    metadata = row.get("metadata")
    given = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    key = bytes.fromhex(given) if isinstance(given, str) else _by_name(str(row.get("custom_id")))
    if row["status"] != "completed":
        return key, None, code_of(row.get("error")) or str(row["status"])
    verdict = row.get("verdict")
    if verdicts is not None and verdict not in verdicts:
        return key, None, str(verdict or "unchecked")
    return key, row["output"]["text"], ""


def _by_name(custom_id: str) -> bytes:
    return b"name" + blake2b(custom_id.encode(errors="replace"), digest_size=16).digest()
