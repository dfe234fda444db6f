"""Shows jobs/intake/staging.py: rows are kept on disk, and each custom_id is taken once."""

import hashlib
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from jobs.batches.request_row import RowRequest
from jobs.formats.record import Record
from jobs.intake.row_reader import RowFault, RowReader
from jobs.intake.staging import SHOWN_FAULTS, Staging
from jobs.settings import Settings

SETTINGS = Settings(model="stub")


class Reader(RowReader):
    """Takes a line as the custom_id of a row. A line that begins with `!` is refused, with `words` as the message. (Another
    release may have other words.)
    """

    def __init__(self, words: str = "bad") -> None:
        self._words = words
        self.remark = None

    def read(self, record: Record, row: int) -> RowRequest | RowFault:
        if record.raw.startswith(b"!"):
            return RowFault(row, record.line, "not_json", self._words)
        return RowRequest(row, record.line, "chat", "stub", {}, custom_id=record.raw.decode())


def filled(folder: Path, lines: list[bytes], reader: RowReader | None = None, in_memory: int = 10) -> Staging:
    folder.mkdir(exist_ok=True)
    staging = Staging(folder, SETTINGS, in_memory)
    staging.fill((Record(n, raw, {}) for n, raw in enumerate(lines, 1)), reader or Reader(), None)
    staging.close()
    return staging


@pytest.mark.parametrize("in_memory", [0, 1, 3, 100])
def test_each_custom_id_is_taken_once_in_memory_or_on_disk(tmp_path: Path, in_memory: int) -> None:
    names = [b"a", b"b", b"c", b"d", b"A", "\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), b"e\0f", b"e\0g"]
    staging = filled(tmp_path, [*names, *names], in_memory=in_memory)
    assert (staging.rows, staging.refused) == (16, 8)
    assert [(fault.row, fault.line, fault.code) for fault in staging.faults] == [
        (8 + n, 9 + n, "duplicate_custom_id") for n in range(8)
    ]
    assert [fault.message.partition(" has")[0] for fault in staging.faults] == [f"line {n}" for n in range(1, 9)]
    assert (tmp_path / "names.sqlite").exists() == (in_memory < 8)


def test_the_hash_does_not_depend_on_the_words_of_messages(tmp_path: Path) -> None:
    hashes = {
        name: filled(tmp_path / name, lines, Reader(words)).sha256("x")
        for name, lines, words in (
            ("first", [b"a", b"!b"], "bad"),
            ("same", [b"a", b"!b"], "expressed anew"),
            ("refused", [b"a", b"!c"], "bad"),
            ("kept", [b"b", b"!b"], "bad"),
            ("order", [b"!b", b"a"], "bad"),
        )
    }
    assert hashes["same"] == hashes["first"]
    assert len(set(hashes.values())) == 4


def test_the_first_faults_are_in_memory_and_all_are_on_disk(tmp_path: Path) -> None:
    staging = filled(tmp_path, [b"!"] * (SHOWN_FAULTS + 5))
    assert (len(staging.faults), staging.refused) == (SHOWN_FAULTS, SHOWN_FAULTS + 5)
    outcomes = list(staging.refused_outcomes())
    assert [outcome.row for outcome in outcomes] == list(range(SHOWN_FAULTS + 5))
    assert replace(outcomes[-1], row=0) == replace(outcomes[0], error=outcomes[-1].error)


def test_a_lane_file_has_the_rows_and_bytes_that_its_input_states(tmp_path: Path) -> None:
    staging = filled(tmp_path, [b"a", b"b"])
    (lane,) = staging.lanes().values()
    data = staging.lane_path("stub").read_bytes()
    assert (lane.model, lane.rows, lane.bytes) == ("stub", 2, len(data))
    assert [RowRequest.from_bytes(line).custom_id for line in data.splitlines()] == ["a", "b"]


def test_the_hash_does_not_depend_on_checksums(tmp_path: Path) -> None:
    """The hash is made of the rows without their checksums."""
    rows = [RowRequest(n, n + 1, "chat", "stub", {}, custom_id=name) for n, name in enumerate("ab")]
    expected = hashlib.sha256(b"".join(row.to_bytes() + b"\n" for row in rows))
    expected.update(orjson.dumps(["x"]))
    assert filled(tmp_path, [b"a", b"b"]).sha256("x") == expected.hexdigest()
