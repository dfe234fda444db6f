"""Shows jobs/client.py, from the rows of a batch to its bill.

Also shows the modules that the client calls: enqueue_options.py, enqueueing.py, results.py, row_history.py and waiting.py of
jobs/operations.
"""

import gzip
import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import fakeredis
import orjson
import pytest
import redis

import jobs
from jobs import Client
from jobs.batches.batch import Done
from jobs.batches.rounds import pause, require_batch
from jobs.errors import BatchPaused, BatchUnfinished, NoBatch, RequestError, StoreDamaged
from jobs.intake.refusals import AllRefused, StrictRefused
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.enqueueing import AcceptedBatch
from jobs.operations.status import BatchStatus, Status
from jobs.publishing.publish import Incomplete
from jobs.settings import Settings
from jobs.store.opening import open_store

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

ROOT = Path(__file__).parents[2]
ROW = {"kind": "chat", "prompt": "Name a herb."}


@pytest.fixture
def client(shelf: Shelf, tmp_path: Path) -> Iterator[Client]:
    """A client on the shelf's store and clock. When it waits, it moves that clock. It has no queue."""
    settings = Settings(store_url=str(tmp_path / "store"), model="stub")
    with Client(settings, clock=shelf.clock, sleep=shelf.pass_s) as made:
        yield made


def test_rows_become_a_batch(client: Client) -> None:
    rows = ({**ROW, "custom_id": f"c{n}"} if n else {"kind": "chat"} for n in range(3))
    accepted = client.enqueue(rows, name="herbs", tenant="shop", priority=7, fields={"max_tokens": 5})
    assert_type(accepted, AcceptedBatch)
    assert accepted.id.startswith("herbs-")
    assert (accepted.rows, accepted.refused, accepted.is_new) == (3, 1, True)
    assert [(fault.row, fault.code) for fault in accepted.faults] == [(0, "missing_field")]
    one = client.status(accepted)
    assert_type(one, BatchStatus)
    assert (one.id, one.tenant, one.state, one.waiting, one.failed) == (accepted.id, "shop", "open", 2, 1)
    request = client.row(accepted, 2).request
    assert request is not None
    assert (request["custom_id"], request["max_tokens"], request["priority"]) == ("c2", 5, 7)


LINES = b"".join(orjson.dumps(ROW) + b"\n" for _ in range(2))
CSV = b"kind,prompt\nchat,Name a herb.\nchat,Name a tree.\n"


@pytest.mark.parametrize("data", [pytest.param(LINES, id="lines"), pytest.param(gzip.compress(CSV), id="csv.gz")])
@pytest.mark.parametrize("how", ["path", "text", "bytes", "file", "temporary"])
def test_a_file_becomes_a_batch(client: Client, tmp_path: Path, data: bytes, how: str) -> None:
    path = tmp_path / "herbs.data"
    path.write_bytes(data)
    if how in ("path", "text"):
        accepted = client.enqueue(path if how == "path" else str(path))
        assert accepted.id.startswith("herbs-")
    elif how == "bytes":
        accepted = client.enqueue(io.BytesIO(data))
    elif how == "file":
        with path.open("rb") as file:
            accepted = client.enqueue(file)
    else:
        with tempfile.NamedTemporaryFile() as temporary:
            temporary.write(data)
            temporary.seek(0)
            accepted = client.enqueue(temporary)
    assert (accepted.rows, accepted.refused) == (2, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"deadline": timedelta(hours=-1)}, "is past", id="a deadline that is past"),
        pytest.param({"deadline": "soon"}, "'soon' is not a time", id="a deadline that is none"),
        pytest.param({"deadline": "+1h", "publish_at": "+2h"}, "is not before", id="a late soft deadline"),
        pytest.param(
            {"output_url": "a/", "output_format": "xml"}, "no output format 'xml'", id="no such output format"
        ),
        pytest.param({"output_url": "a/", "output_format": "markdown"}, "markdown", id="a format that is many files"),
        pytest.param({"format": "xml"}, "no format 'xml'", id="no such format"),
        pytest.param({"fields": {"topic": Decimal(1)}}, "field topic cannot be written", id="a field JSON cannot hold"),
        pytest.param({"fields": ["topic"]}, "FIELD=VALUE", id="a field without a value"),
        pytest.param({"kind": "poem"}, "known kinds", id="a kind that is not there"),
        pytest.param({"priority": 10}, "priority", id="a priority out of range"),
    ],
)
def test_a_wrong_option_accepts_nothing(client: Client, options: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        client.enqueue([ROW], **options)
    assert client.batches() == []


def test_an_option_that_does_not_exist_is_an_error_of_the_program(client: Client) -> None:
    wrong: Any = {"modle": "stub"}
    with pytest.raises(TypeError, match="no option 'modle'"):
        client.enqueue([ROW], **wrong)


def test_a_row_that_json_cannot_hold_accepts_nothing(client: Client) -> None:
    with pytest.raises(RequestError, match="row 1 cannot be written as JSON"):
        client.enqueue([ROW, {**ROW, "max_tokens": Decimal(5)}])
    assert client.batches() == []


def test_a_text_file_is_an_error_of_the_program(client: Client) -> None:
    text: Any = io.TextIOWrapper(io.BytesIO(LINES))
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        client.enqueue(text)


def test_strict_names_every_bad_row(client: Client) -> None:
    with pytest.raises(StrictRefused) as refused:
        client.enqueue([ROW, {"kind": "chat"}], strict=True)
    assert [fault.row for fault in refused.value.faults] == [1]
    assert client.batches() == []


def test_a_source_of_which_every_row_is_bad_makes_no_batch(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("topic,Notes\nTea,x\nMug,y\n")
    for call in (client.enqueue, client.estimate):
        with pytest.raises(AllRefused) as refused:
            call(file, kind="article", model="stub")
        (group,) = refused.value.groups
        assert (refused.value.total, group.code, group.field, group.count) == (2, "unknown_field", "Notes", 2)
        assert (refused.value.exit_status, group.lines) == (2, [2, 3])
    with pytest.raises(AllRefused):
        client.enqueue([{"kind": "chat"}])
    assert client.batches() == []
    assert not list(Path(client.store.url).glob("**/*.json*"))


def test_columns_are_chosen_from_a_program_too(client: Client, shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Tea,t1,new\nMug,m1,old\n")
    choice: Any = {
        "header": ["Title", "SKU", "Notes"],
        "map": {"topic": "Title", "custom_id": "SKU"},
        "extra": ["Notes"],
    }
    batch = client.enqueue(file, kind="article", model="stub", **choice)
    assert (batch.rows, batch.refused) == (2, 0)
    request: Any = client.row(batch, 1).request
    assert (request["request"], request["metadata"]) == ({"topic": "Mug"}, {"Notes": "old"})
    rows = [{"name": {"full": "Tea"}, "n": 1}]
    nested = client.enqueue(rows, kind="article", model="stub", map=["topic=name.full"], extra="metadata")
    request = client.row(nested, 0).request
    assert (request["request"], request["metadata"]) == ({"topic": "Tea"}, {"n": 1})
    with pytest.raises(RequestError, match="--map topik=x: no kind has a field"):
        client.enqueue(rows, map={"topik": "x"})
    shelf.write(batch.id, [shelf.completed(n, metadata={"Notes": "new"}) for n in (0, 1)])


def test_a_call_with_a_run_key_may_be_repeated_also_after_its_deadline(client: Client, shelf: Shelf) -> None:
    first = client.enqueue([ROW], run_key="monday", deadline=timedelta(hours=1))
    shelf.pass_s(60)
    again = client.enqueue([ROW], run_key="monday", deadline=timedelta(hours=1))
    assert (again.id, again.is_new) == (first.id, False)
    at = shelf.now + timedelta(hours=1)
    dated = client.enqueue([ROW], run_key="monday", deadline=at)
    shelf.pass_s(7200)
    assert client.enqueue([ROW], run_key="monday", deadline=at).id == dated.id != first.id
    assert client.enqueue([ROW]).id != client.enqueue([ROW]).id


def test_an_estimate_stores_nothing(client: Client) -> None:
    found = client.estimate([ROW, ROW, {"kind": "chat"}])
    assert (found.rows, found.refused, found.faults) == (3, 1, {"missing_field": 1})
    assert client.batches() == []


def test_the_status_of_all_batches(client: Client, shelf: Shelf) -> None:
    for n in range(7):
        shelf.accept(f"night-{n}", 1)
        shelf.pass_s(60)
        if n:
            shelf.write(f"night-{n}", [shelf.completed(0)])
            shelf.publish(f"night-{n}")
    now = client.status()
    assert_type(now, Status)
    assert [one.id for one in now.batches] == ["night-0", *(f"night-{n}" for n in (6, 5, 4, 3, 2))]
    assert client.batches(published=1) == ["night-0", "night-6"]
    assert len(client.batches()) == 7


def test_a_damaged_batch_is_raised_or_collected(client: Client, shelf: Shelf) -> None:
    shelf.accept("night-1", 1)
    shelf.accept("night-2", 1)
    Path(shelf.store.url, "batches/night-1/batch.json").write_bytes(b"{")
    with pytest.raises(StoreDamaged, match="night-1"):
        client.status()
    faults: list[StoreDamaged] = []
    assert [one.id for one in client.status(faults=faults).batches] == ["night-2"]
    assert "night-1" in str(faults[0])


def test_waiting_publishes_what_is_done(client: Client, shelf: Shelf) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.completed(0)])
    one = client.wait("night-1", timeout_s=5)
    assert (one.state, one.completed) == ("published", 1)


def test_waiting_has_an_end(client: Client, shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0)])
    began = shelf.now
    with pytest.raises(BatchUnfinished, match="night-1 is not published yet: 2 rows: 1 completed; it goes on") as over:
        client.wait("night-1", timeout_s=30, interval_s=10)
    assert isinstance(over.value, TimeoutError)
    assert shelf.now == began + timedelta(seconds=30)


def test_waiting_ends_when_the_batch_pauses_itself(client: Client, shelf: Shelf) -> None:
    batch = shelf.accept(rows=2)
    pause(shelf.store, batch, "its first 50 rows all failed", clock=shelf.clock)
    with pytest.raises(BatchPaused, match="its first 50 rows all failed"):
        client.wait("night-1")
    client.resume("night-1")
    assert client.status("night-1").state == "open"
    with pytest.raises(RequestError, match="is not paused"):
        client.resume("night-1")


def test_results_of_an_unfinished_batch_are_marked_so(client: Client, shelf: Shelf) -> None:
    shelf.accept(rows=3, refused=[2])
    shelf.write("night-1", [shelf.completed(1)])
    found = client.results("night-1")
    assert (found.round, found.is_finished) == (None, False)
    assert [(row["row"], row["output"]) for row in found] == [(1, {"text": "Text 1"})]
    assert list(map(orjson.loads, found.lines())) == list(found), "as often as one likes"
    assert [row["error"]["code"] for row in client.results("night-1", errors=True)] == ["not_json"]
    shelf.write("night-1", [shelf.completed(0)])
    done = shelf.publish()
    finished = client.results("night-1")
    assert (finished.round, finished.is_finished) == (1, True)
    assert [row["row"] for row in finished] == [0, 1]
    assert b"".join(finished.lines()) == shelf.store.read(f"batches/night-1/{done.folder}/output.jsonl")
    assert client.retry("night-1", rows=["c0"]) == 2
    reopened = client.results("night-1")
    assert (reopened.round, reopened.is_finished, len(list(reopened))) == (1, False, 2)


def test_a_damaged_file_of_results_is_an_error(client: Client, shelf: Shelf) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.completed(0)])
    done = shelf.publish()
    path = Path(shelf.store.url, "batches/night-1", done.folder, "output.jsonl")
    path.write_bytes(path.read_bytes().replace(b"Text 0", b"Text 1"))
    with pytest.raises(StoreDamaged):
        list(client.results("night-1"))


def test_a_batch_from_its_rows_to_its_end(client: Client, shelf: Shelf, tmp_path: Path) -> None:
    """The batch is cancelled halfway, published, delivered, tried again, charged and deleted."""
    accepted = client.enqueue([ROW, ROW], output_url=f"{tmp_path}/out/", deadline="+8h")
    early = client.publish(accepted)
    assert isinstance(early, Incomplete)
    assert (early.missing, early.rows) == (2, (0, 1))
    shelf.write(accepted.id, [shelf.completed(0)])
    cancelled = client.cancel(accepted)
    assert (cancelled.reason, cancelled.dropped, cancelled.queue_fault) == ("cancelled", None, None)
    done = client.publish(accepted)
    assert isinstance(done, Done)
    assert dict(done.counts) == {"completed": 1, "failed": 0, "cancelled": 1, "expired": 0}
    assert (tmp_path / "out" / "output.jsonl").read_bytes() == b"".join(client.results(accepted).lines())
    with pytest.raises(RequestError, match="is published already"):
        client.cancel(accepted)
    with pytest.raises(RequestError, match="is past"):
        client.retry(accepted, deadline=timedelta(hours=-1))
    assert client.retry(accepted, rows=[0], deadline="+8h") == 2
    shelf.write(accepted.id, [shelf.completed(row, round_=2) for row in range(2)])
    assert client.wait(accepted).round == 2
    history = client.row(accepted, 0)
    assert [(attempt["round"], attempt["status"]) for attempt in history.attempts] == [
        (1, "completed"),
        (2, "completed"),
    ]
    assert history.outcome is not None
    assert history.outcome["status"] == "completed"
    with pytest.raises(RequestError, match="its rows are 0 to 1"):
        client.row(accepted, 2)
    bill = client.usage("tenant")
    assert {currency: {key: tally.rows for key, tally in sums.items()} for currency, sums in bill.items()} == {
        "USD": {"default": 2}
    }
    assert not any(client.usage(until=timedelta(hours=-1)).values())
    client.delete(accepted)
    with pytest.raises(NoBatch):
        client.status(accepted)
    assert client.usage("tenant") == bill


@pytest.mark.parametrize("method", ["status", "wait", "results", "cancel", "retry", "resume", "publish", "delete"])
def test_a_batch_that_is_not_there(client: Client, method: str) -> None:
    with pytest.raises(NoBatch):
        getattr(client, method)("nothing")


def test_threads_share_a_client(tmp_path: Path, redis_url: str) -> None:
    """The threads share one queue. Each thread makes its own batches, and takes their results."""
    settings = Settings(store_url=str(tmp_path / "store"), redis_url=redis_url, model="stub")
    together = threading.Barrier(6)
    with Client(settings) as shared:

        def work(n: int) -> tuple[object, str, int]:
            together.wait(20)
            accepted = shared.enqueue([{**ROW, "custom_id": f"{n}"}])
            queue = shared.queue
            assert shared.status(accepted).state == "queued"
            shared.cancel(accepted)
            shared.publish(accepted)
            assert shared.wait(accepted, 5).cancelled == 1
            return queue, accepted.id, len(list(shared.results(accepted, errors=True)))

        with ThreadPoolExecutor(6) as threads:
            found = list(threads.map(work, range(6)))
    assert len({id(queue) for queue, _, _ in found}) == 1
    assert len({batch_id for _, batch_id, _ in found}) == 6
    assert [count for _, _, count in found] == [1] * 6


def test_close_closes_the_connections_and_a_later_call_opens_new_ones(
    tmp_path: Path, redis_url: str, until: Callable[..., Any]
) -> None:
    settings = Settings(store_url=str(tmp_path / "store"), redis_url=redis_url)
    with redis.Redis.from_url(redis_url) as server:
        before = len(server.client_list())
        client = Client(settings)
        for _ in range(2):
            assert client.status().queue_fault is None
            assert len(server.client_list()) > before
            client.close()
            until(lambda: len(server.client_list()) == before, 20, "the connections to be closed")


def test_a_queue_that_was_given_stays_open(tmp_path: Path) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    with Client(Settings(store_url=str(tmp_path)), queue=queue) as client:
        assert client.queue is queue
    assert queue.lanes() == []


SILENT = """
from jobs import Client
with Client() as client:
    batch = client.enqueue([{"kind": "chat", "prompt": "Hi"}, {"kind": "chat"}])
    client.cancel(batch)
    client.publish(batch)
    assert client.wait(batch).failed == 1
    client.retry(batch)
"""


def test_a_client_takes_its_settings_from_the_environment_and_prints_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SILENT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NIGHTPRESS_STORE_URL": "here", "NIGHTPRESS_MODEL": "stub"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "here" / "batches").is_dir()


def test_wrong_settings_are_a_wrong_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTPRESS_LEASE_S", "never")
    with pytest.raises(RequestError, match="lease_s"):
        Client()


def test_the_package_has_one_public_name() -> None:
    assert jobs.__all__ == ["Client"]
    missing: Callable[[], Any] = lambda: jobs.Clinet  # noqa: E731
    with pytest.raises(AttributeError, match="has no attribute 'Clinet'"):
        missing()


def test_rows_may_be_any_mapping_and_hold_what_orjson_writes(client: Client) -> None:
    class Row(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            return ROW[name]

        def __iter__(self) -> Iterator[str]:
            return iter(ROW)

        def __len__(self) -> int:
            return len(ROW)

    assert client.enqueue([Row()]).refused == 0


@pytest.mark.parametrize("published", [False, True])
def test_results_of_one_verdict(client: Client, shelf: Shelf, *, published: bool) -> None:
    shelf.accept(rows=4)
    shelf.write("night-1", [shelf.completed(0, verdict="fit"), shelf.completed(1, verdict="review")])
    shelf.write("night-1", [shelf.failed(2), shelf.completed(3)])
    if published:
        shelf.publish()
    for only, rows in (("fit", [0]), ("review", [1]), ("failed", [2]), (None, [0, 1, 3])):
        found = client.results("night-1", only=only)  # type: ignore[arg-type]  # a variable of text
        assert [row["row"] for row in found] == rows
        assert [orjson.loads(line)["row"] for line in found.lines()] == rows
        assert (found.only, found.errors) == (only, only == "failed")
    with pytest.raises(RequestError, match="rows with the verdict fit completed: leave out errors"):
        client.results("night-1", errors=True, only="fit")
    assert client.status("night-1").verdicts == {"fit": 1, "review": 1}


def test_a_batch_is_announced_to_the_workers_of_its_lane(
    shelf: Shelf, tmp_path: Path, fake_client: redis.Redis
) -> None:
    """It is announced when it is accepted, resumed and sent back."""
    settings = Settings(store_url=str(tmp_path / "store"), model="stub")
    queue = RedisQueue(fake_client, store=open_store(settings.store_url))
    with Client(settings, queue=queue, clock=shelf.clock) as client:
        batch = client.enqueue([ROW])
        (lane,) = require_batch(client.store, batch.id).lanes

        def is_announced() -> bool:
            woken = queue.wait_for_rows(lane, 0.02)
            while queue.wait_for_rows(lane, 0.02):
                pass
            return woken

        assert is_announced()
        pause(client.store, require_batch(client.store, batch.id), "only failures")
        client.resume(batch)
        assert is_announced()
        client.cancel(batch)
        client.publish(batch)
        is_announced()
        client.retry(batch)
        assert is_announced()
