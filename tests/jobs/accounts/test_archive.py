"""Shows jobs/accounts/archive.py: many files are merged, and each summary is still read once."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.accounts import archive
from jobs.accounts import summaries as module
from jobs.accounts.archive import FOLDER
from jobs.accounts.summaries import catch_up, summaries
from jobs.batches.batch import BatchPaths
from jobs.errors import StoreDamaged
from jobs.store.checksum import with_checksum, without_checksum
from tests.support.accounts import damage_file, publish_batches, rows_by_round

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_many_summaries_are_archived_and_each_is_read_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ARCHIVED", 3)
    monkeypatch.setattr(archive, "ARCHIVES", 2)
    wanted: dict[tuple[str, int], int] = {}
    for first in range(0, 16, 4):
        wanted |= publish_batches(shelf, *range(first, first + 4))
        again = list(summaries(shelf.store))
        assert (rows_by_round(again), len(again)) == (wanted, first + 4)
    names = shelf.store.list(FOLDER)
    assert all(name.startswith("archive-") for name in names), "archived files are deleted"
    assert len(names) <= 3
    for n in range(16):
        shelf.store.delete(BatchPaths(f"b-{n}").root)
    assert rows_by_round(list(summaries(shelf.store))) == wanted, "the archives hold them"


def test_a_summary_that_is_archived_while_it_is_read_is_read_once(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = publish_batches(shelf, *range(4))
    catch_up(shelf.store)
    monkeypatch.setattr(archive, "ARCHIVED", 1)
    listed = archive.list_files

    def meanwhile(store: Any) -> Any:
        names = listed(store)
        monkeypatch.setattr(archive, "list_files", listed)
        catch_up(shelf.store)
        return names

    monkeypatch.setattr(module, "catch_up", lambda store: None)
    monkeypatch.setattr(archive, "list_files", meanwhile)
    again = list(summaries(shelf.store))
    assert (rows_by_round(again), len(again)) == (wanted, 4)


def test_a_damaged_summary_is_named_and_not_archived(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The damage is noticed even if the summary is still valid JSON."""
    monkeypatch.setattr(archive, "ARCHIVED", 2)
    wanted = publish_batches(shelf, 1, 2)
    catch_up(shelf.store)
    restore = damage_file(shelf.store, f"{FOLDER}/b-1.1.*.json", b'"rows":1', b'"rows":7')
    publish_batches(shelf, 3, 4)
    wanted[("b-3", 1)] = wanted[("b-4", 1)] = 1
    faults: list[StoreDamaged] = []
    assert rows_by_round(list(summaries(shelf.store, faults))) == {batch: 1 for batch in wanted if batch != ("b-1", 1)}
    (left,) = [name for name in shelf.store.list(FOLDER) if name.endswith(".json")]
    assert left.startswith("b-1.1.")
    assert [f"{FOLDER}/{left} is damaged" in str(fault) for fault in faults] == [True]
    restore()
    assert rows_by_round(list(summaries(shelf.store))) == wanted


@pytest.mark.parametrize("archived", [False, True], ids=["single", "archived"])
def test_a_summary_of_a_newer_release_is_named_and_not_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, archived: bool
) -> None:
    """The summary is not archived, so that no line is lost."""
    publish_batches(shelf, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "ARCHIVED", 0 if archived else 9)
        catch_up(shelf.store)
    (path, *_) = sorted(Path(shelf.store.url, FOLDER).iterdir())
    first, *rest = path.read_bytes().splitlines()
    values = {**orjson.loads(without_checksum(first)), "format": 99}
    path.write_bytes(b"\n".join([with_checksum(orjson.dumps(values)), *rest]) + b"\n")
    monkeypatch.setattr(archive, "ARCHIVED", 0)
    monkeypatch.setattr(archive, "ARCHIVES", 0)
    for _ in range(2):
        faults: list[StoreDamaged] = []
        assert rows_by_round(list(summaries(shelf.store, faults))) == {("b-2", 1): 1}
        assert [path.name in str(fault) and "newer release, in format 99" in str(fault) for fault in faults] == [True]
    assert path.exists()


def test_a_damaged_archive_is_named_and_stays(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ARCHIVED", 1)
    monkeypatch.setattr(archive, "ARCHIVES", 1)
    wanted = publish_batches(shelf, 1, 2)
    catch_up(shelf.store)
    restore = damage_file(shelf.store, f"{FOLDER}/archive-*.jsonl", b'"batch_id":"b-1"', b'"batch_id":"c-1"')
    for more in ((3, 4), (5, 6), (7, 8)):
        wanted |= publish_batches(shelf, *more)
        faults: list[StoreDamaged] = []
        assert rows_by_round(list(summaries(shelf.store, faults))) == {b: 1 for b in wanted if b != ("b-1", 1)}
        assert ["archive-" in str(fault) for fault in faults] == [True]
    restore()
    assert rows_by_round(list(summaries(shelf.store))) == wanted


def test_a_foreign_file_among_the_summaries_is_passed_over_and_named(shelf: Shelf) -> None:
    wanted = publish_batches(shelf, 1, 2)
    names = ["notes.json", "b-1.1.json", "archive-old.jsonl", "archive-.json", "x"]
    for name in names:
        shelf.store.create(f"{FOLDER}/{name}", b"something else")
    with capture_logs() as logs:
        assert rows_by_round(list(summaries(shelf.store))) == wanted
    assert {log["path"] for log in logs if log["event"] == "store.foreign_file"} == {f"{FOLDER}/{n}" for n in names}
    assert set(names) <= set(shelf.store.list(FOLDER))
