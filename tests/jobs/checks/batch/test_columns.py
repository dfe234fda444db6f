"""Columns in temporary files: rows with the same key, whatever slices they are sorted in."""

from pathlib import Path

import pytest

from jobs.checks.batch import columns
from jobs.checks.batch.columns import KeyColumn, TextColumn


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_rows_with_the_same_key_are_groups(bits: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "SLICE", size)
    monkeypatch.setattr(columns, "_CHUNK", 2)
    with KeyColumn(bits=bits) as column:
        keys = [7, 0, 5, 7, 0, 6, 5, 7, 2**bits - 1, 1, 2**bits - 1]
        for key in keys:
            column.add(key)
        assert sorted(column.groups()) == [[0, 3, 7], [2, 6], [8, 10]]
        assert [column.key(row) for row in range(len(keys))] == keys


def test_texts_are_kept(tmp_path: Path) -> None:
    with TextColumn(tmp_path) as column:
        rows = [("a", "béta"), ("", ""), ("番", "\0")]
        for one, other in rows:
            column.add(one, other)
        assert [column.at(row) for row in range(3)] == [("a", "béta"), ("", ""), ("番", " ")]
    assert list(tmp_path.iterdir()) == []
