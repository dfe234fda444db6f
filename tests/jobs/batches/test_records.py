"""Shows jobs/batches/records.py: a record that was edited by hand is damage, and the message names its file and field.

Nothing outside the folders of the store is read, even if a record names such a path.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from jobs.accounts.tallies import tallies
from jobs.batches.batch import BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import verify
from jobs.batches.rounds import close, load_batch, pause, reopen, require_batch
from jobs.errors import NightpressError, StoreDamaged, StoreTooNew
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.listing import listing
from jobs.operations.results import results
from jobs.operations.row_history import row_history
from jobs.operations.status_reader import StatusReader
from jobs.prices import Prices
from jobs.publishing.auditing import Auditor
from jobs.publishing.delivery import Deliverer
from jobs.publishing.retention import delete_leftovers, find_old_batches
from jobs.publishing.sweeper import Sweeper
from jobs.store.local import LocalStore
from jobs.store.store import Store

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

BATCH = "night-1"
HOSTILE: tuple[Any, ...] = (
    -1,
    0,
    10**12,
    10**40,
    "",
    "x",
    "../../../etc/passwd",
    "/etc/passwd",
    "\0",
    None,
    [],
    {},
    True,
    1.5,
    [[]],
    "9999",
)
"""Values that are put in place of each field of each record."""

NOT_RECORDS = (
    b"",
    b"\xff\xfe\x00\x01",
    b"null",
    b"[]",
    b"1",
    b"NaN",
    b'{"format":1}',
    b'{"format":NaN}',
    b"[" * 100_000,
    b'{"format":1,"x":' * 5_000,
    b'{"format":1,"round":1e400}',
    b'{"format":1',
)


class Watched(LocalStore):
    """A store that fails the test if it is asked for a path outside the folders of a store."""

    reads_at_once = 1
    FOLDERS = ("batches", "open", "undelivered", "unsummed", "unaudited", "usage", "check")

    def _faults(self, verb: str, path: str) -> Any:
        inside = Path(path).resolve() if path.startswith("/") else (self._root / path).resolve()
        assert inside.relative_to(self._root.resolve()).parts[0] in self.FOLDERS, path
        assert ".." not in path.split("/")
        return super()._faults(verb, path)


@pytest.fixture
def edited(shelf: Shelf) -> Shelf:
    """A published batch that was reopened and then paused. Its second round has outcomes."""
    shelf.store = Watched(shelf.store.url)
    shelf.accept(rows=3, output_url=f"{shelf.store.url}-out/")
    shelf.write(BATCH, [shelf.completed(0), shelf.failed(1), shelf.failed(2)])
    shelf.publish()
    reopen(shelf.store, BATCH, [0], clock=shelf.clock)
    pause(shelf.store, require_batch(shelf.store, BATCH), "by the test", clock=shelf.clock)
    shelf.write(BATCH, [shelf.completed(0, round_=2), shelf.completed(1, round_=2)])
    return shelf


def use(shelf: Shelf, queue: RedisQueue) -> list[NightpressError]:
    """Let every reader of batches read the batch. Returns the errors that are a NightpressError; any other error fails the
    test.
    """
    store, found = shelf.store, list[NightpressError]()
    deliverer = Deliverer(store, lambda _: {}, load_kinds(), shelf.clock)
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.0), Prices(), shelf.clock, compact_segments=1)
    parties: tuple[Callable[[], object], ...] = (
        lambda: StatusReader(store, None, clock=shelf.clock, counts_late=True).read(listing(store).ids),
        lambda: list(results(store, BATCH)),
        lambda: list(results(store, BATCH, errors=True)),
        lambda: row_history(store, BATCH, 0, load_kinds()),
        lambda: verify(store, BATCH),
        lambda: tallies(store, "batch"),
        deliverer.deliver,
        Auditor(store, load_kinds()).audit,
        sweeper.sweep,
        lambda: list(find_old_batches(store, timedelta(0), clock=shelf.clock)),
        lambda: delete_leftovers(store, timedelta(0)),
        lambda: load_batch(store, BATCH),
    )
    for party in parties:
        try:
            party()
        except NightpressError as error:
            found.append(error)
    return found


def fields_of(values: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all fields of a record, including fields within other fields."""
    if isinstance(values, dict):
        return [one for name, value in values.items() for one in ((*place, name), *fields_of(value, (*place, name)))]
    return []


def with_field(values: Mapping[str, Any], place: tuple[Any, ...], value: Any) -> bytes:
    """The record with another value in one place. A whole number may have any number of digits."""
    changed = orjson.loads(orjson.dumps(values))
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "@@"
    written = str(value).encode() if type(value) is int else orjson.dumps(value)
    return orjson.dumps(changed).replace(b'"@@"', written)


RECORDS = ["batch.json", "done-1.json", "reopen-2.json", "paused-2.json", "closed-2.json", "done-2.json"]


def files_of(shelf: Shelf, name: str) -> Path:
    """Return the path of a record. If the record belongs to the end of the second round, first close and publish that round."""
    if name in ("closed-2.json", "done-2.json"):
        close(shelf.store, BATCH, "cancelled", clock=shelf.clock)
    if name == "done-2.json":
        shelf.publish()
    return Path(shelf.store.url) / BatchPaths(BATCH).root / name


@pytest.mark.parametrize("name", RECORDS)
def test_no_field_that_was_edited_by_hand_ends_in_anything_but_damage(
    edited: Shelf, name: str, fake_queue: RedisQueue
) -> None:
    path = files_of(edited, name)
    before = path.read_bytes()
    refused = tried = 0
    for place in fields_of(orjson.loads(before)):
        for value in HOSTILE:
            path.write_bytes(with_field(orjson.loads(before), place, value))
            faults: list[StoreDamaged] = []
            listing(edited.store, faults=faults)
            with suppress(NightpressError):
                list(results(edited.store, BATCH))
            tried, refused = tried + 1, refused + bool(faults)
            for fault in faults:
                assert path.name in str(fault)
                assert isinstance(fault, StoreTooNew) or "Restore it from a backup" in str(fault)
    assert (refused > tried // 2, tried > 20) == (True, True)
    path.write_bytes(with_field(orjson.loads(before), ("format",), 1))
    assert not any(isinstance(error, StoreDamaged) for error in use(edited, fake_queue))


@pytest.mark.parametrize("content", NOT_RECORDS, ids=range(len(NOT_RECORDS)))
@pytest.mark.parametrize("name", ["batch.json", "done-1.json", "reopen-2.json"])
def test_a_file_that_is_no_record_is_named(edited: Shelf, name: str, content: bytes, fake_queue: RedisQueue) -> None:
    files_of(edited, name).write_bytes(content)
    errors = use(edited, fake_queue)
    assert errors
    assert all(name in str(error) and "is damaged" in str(error) for error in errors if isinstance(error, StoreDamaged))


@pytest.mark.parametrize(
    ("name", "place", "value", "field"),
    [
        pytest.param("batch.json", ("rows",), -1, "rows: ", id="rows below 0"),
        pytest.param("batch.json", ("rows",), 10**12, "rows: ", id="more rows than fit into memory"),
        pytest.param("batch.json", ("rows",), 50_000_000, "rows: ", id="more rows than lanes hold"),
        pytest.param("batch.json", ("refused",), 3, "rows: ", id="more refused rows"),
        pytest.param("batch.json", ("batch_id",), "night-2", "batch_id: it is not night-1", id="another id"),
        pytest.param("batch.json", ("batch_id",), "../night-1", "batch_id: ", id="an id outside"),
        pytest.param("batch.json", ("lanes",), {"../../x": {}}, "lanes.../../x", id="a lane outside"),
        pytest.param(
            "batch.json", ("created_at",), "0001-01-01T00:00:00+14:00", "created_at: ", id="no such time in UTC"
        ),
        pytest.param("batch.json", ("created_at",), "2026-11-30T00:00:00", "created_at: ", id="a time without offset"),
        pytest.param("batch.json", ("output_form",), "exe", "output_form: ", id="an unknown form"),
        pytest.param("batch.json", ("priority",), 10, "priority: ", id="an unknown priority"),
        pytest.param("batch.json", ("tenant",), "a{b}\n", "tenant: ", id="a tenant that Redis could not keep apart"),
        pytest.param("done-1.json", ("round",), 2, "folder: ", id="another round"),
        pytest.param("done-1.json", ("folder",), "../other/published/1-a", "folder: ", id="a folder outside"),
        pytest.param("done-1.json", ("folder",), "published/1-a/../..", "folder: ", id="a folder above"),
        pytest.param("done-1.json", ("counts",), {"completed": 3}, "counts: ", id="other counts"),
        pytest.param("done-1.json", ("files",), {}, "files: ", id="no files"),
        pytest.param(
            "done-1.json", ("files", "output.jsonl", "sha256"), "x", "files.output.jsonl.sha256: ", id="no hash"
        ),
        pytest.param("reopen-2.json", ("round",), 3, "round: it is not 2", id="a round of another marker"),
        pytest.param("reopen-2.json", ("rows",), [3], "rows: the batch has no such row", id="a row beyond the last"),
        pytest.param("reopen-2.json", ("rows",), [-1], "rows.0: ", id="a row below 0"),
        pytest.param("closed-2.json", ("reason",), "bored", "reason: ", id="an unknown reason"),
    ],
)
def test_the_message_names_the_field(
    edited: Shelf, name: str, place: tuple[str, ...], value: object, field: str, fake_queue: RedisQueue
) -> None:
    path = files_of(edited, name)
    path.write_bytes(with_field(orjson.loads(path.read_bytes()), place, value))
    errors = [error for error in use(edited, fake_queue) if isinstance(error, StoreDamaged)]
    assert errors
    assert all(f"{name} is damaged ({field}" in str(error) for error in errors), errors


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_published_sums_that_were_edited_together_with_their_hash_are_damage(
    edited: Shelf, value: object, fake_queue: RedisQueue
) -> None:
    """Somebody has edited `usage.json`, and also its hash in `done-1.json`."""
    done = files_of(edited, "done-1.json")
    marker = orjson.loads(done.read_bytes())
    usage = done.parent / marker["folder"] / "usage.json"
    before = orjson.loads(usage.read_bytes())
    for place in fields_of(before):
        usage.write_bytes(with_field(before, place, value))
        marker["files"]["usage.json"]["sha256"] = hashlib.sha256(usage.read_bytes()).hexdigest()
        done.write_bytes(orjson.dumps(marker))
        edited.store.delete("usage")
        edited.store.create(BatchPaths(BATCH).unsummed(1), b"")
        with suppress(StoreDamaged):
            tallies(edited.store, "batch")
        with suppress(StoreDamaged):
            StatusReader(edited.store, None, clock=edited.clock, counts_late=True).read(listing(edited.store).ids)


@pytest.mark.parametrize(
    "place", ["rows", "lines", "accounts", "usage", "wasted", "bytes", "currency", "format", "spent"]
)
def test_the_head_of_a_segment_that_was_edited_is_damage(shelf: Shelf, place: str, fake_queue: RedisQueue) -> None:
    shelf.accept(rows=3)
    name = shelf.write(BATCH, [shelf.completed(0), shelf.failed(1)])
    path = Path(shelf.store.url) / BatchPaths(BATCH).segment(name)
    head, _, body = path.read_bytes().partition(b"\n")
    rows = [[[row, "c", 1, 1, 1]] * 2 for row in (-1, 3, 10**12, "x", None, 1.5)] if place == "rows" else []
    for value in (*HOSTILE, *rows):
        path.write_bytes(with_field(orjson.loads(head), (place,), value) + b"\n" + body)
        assert all(isinstance(error, StoreDamaged) for error in use(shelf, fake_queue))


@pytest.mark.parametrize("batch_id", ["", ".", "..", "../night-1", "/etc", "a/b", "a\0b", "a\nb", "x" * 300, ".hidden"])
def test_no_other_text_is_looked_up_as_a_batch(batch_id: str, tmp_path: Path) -> None:
    class Untouched(LocalStore):
        def read(self, path: str) -> bytes:
            raise AssertionError(path)

    store: Store = Untouched(str(tmp_path))
    assert load_batch(store, batch_id) is None
