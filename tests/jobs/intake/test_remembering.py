"""Shows jobs/intake/remembering.py: rows go without a memory that cannot be asked, and other kinds are not looked up."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.batches.input import read_rows
from jobs.errors import StoreUnavailable
from jobs.intake.accept import Accepted, IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.memory.entry import Entry
from jobs.memory.files import import_name, write_section
from jobs.settings import MemorySettings, Settings
from jobs.store.local import LocalStore

KINDS = load_kinds()
SAVE = Entry("Save", "Sichern", "en", "de", datetime(2026, 12, 1, tzinfo=UTC), origin="editor")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(str(tmp_path / "store"))
    write_section(made, "default", import_name("0" * 64), [SAVE])
    return made


def taken(
    store: LocalStore, cache: Path, texts: list[str], kinds: Mapping[str, Any] = KINDS, **settings: Any
) -> Accepted:
    asked = {"kind": "translation", "source_language": "en", "target_language": "de"}
    rows = [orjson.dumps({**asked, "text": text}) for text in texts]
    given = Settings(store_url=store.url, cache_dir=cache, **settings)
    return accept(store, rows, IntakeOptions(model="stub"), kinds=kinds, settings=given, run_key="k")


def known(store: LocalStore, found: Accepted) -> list[Any]:
    return [one.known for one in read_rows(store, found.batch.batch_id, "stub")]


def test_known_segments_travel_with_their_row(store: LocalStore, tmp_path: Path) -> None:
    found = taken(store, tmp_path / "cache", ["Save", "Quit", "Save\nQuit"])
    entry = {"target": "Sichern", "by": "editor", "prompt_tokens": 0, "completion_tokens": 0}
    assert known(store, found) == [{"Save": entry}, {}, {"Save": entry}]
    assert found.remarks == {}
    whole, new, half = (one.cost for one in read_rows(store, found.batch.batch_id, "stub"))
    assert (whole, new > whole) == (1, True), "what is known is no work"
    assert half < 2 * new


def test_a_disk_that_takes_no_index_costs_the_memory_and_no_row(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = taken(store, tmp_path / "file", ["Save", "Quit", "Open"])
    assert known(store, found) == [None, None, None]
    ((remark, rows),) = found.remarks.items()
    assert rows == 3
    assert "cache_dir" in remark


def test_a_store_that_is_away_costs_the_memory_and_no_row(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = store.list

    def away(folder: str) -> list[str]:
        if folder.startswith("memory"):
            raise StoreUnavailable("storage: it does not answer")
        return listed(folder)

    monkeypatch.setattr(store, "list", away)
    found = taken(store, tmp_path / "cache", ["Save", "Quit"])
    assert known(store, found) == [None, None]
    assert list(found.remarks.values()) == [2]
    monkeypatch.undo()
    again = taken(store, tmp_path / "cache", ["Save", "Quit"])
    assert (again.batch, again.created) == (found.batch, False)


def test_a_kind_whose_query_fails_loses_the_memory_alone(store: LocalStore, tmp_path: Path) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(KINDS["translation"], name)

        def memory_query(self, request: Any) -> Any:
            raise RuntimeError("a bug")

    found = taken(store, tmp_path / "cache", ["Save"], {**KINDS, "translation": Broken()})
    assert known(store, found) == [None]


def test_a_memory_that_is_switched_off_or_empty_is_not_asked(store: LocalStore, tmp_path: Path) -> None:
    found = taken(store, tmp_path / "cache", ["Save"], memory=MemorySettings(enabled=False))
    assert known(store, found) == [None]
    store.delete("memory")
    assert known(store, taken(store, tmp_path / "cache", ["Save", "Quit"])) == [None, None]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("threshold", [0.4, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        MemorySettings(threshold=threshold)
