"""Shows jobs/publishing/delivery.py: the outputs of a published round are written to the batch's output URL, once. If that
fails, it is tried again.
"""

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import fakeredis
import orjson
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from structlog.testing import capture_logs

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.rounds import latest_done, reopen
from jobs.errors import RequestError, StoreDamaged, StoreUnavailable
from jobs.formats.results.form import ResultForm
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.operations.status_reader import StatusReader
from jobs.prices import Prices
from jobs.publishing.delivery import Deliverer, check_output_url, is_delivered, undelivered_url
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.settings import Settings
from tests.support.documents.batches import accept_documents, outcomes_of, shouted


@dataclass
class Desk:
    """A shelf whose batches have an output URL, and a deliverer whose time the test moves."""

    shelf: Any
    monotonic_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    deliverer: Deliverer = field(init=False)

    def __post_init__(self) -> None:
        self.deliverer = Deliverer(
            self.shelf.store, self.options_for, load_kinds(), clock=self.shelf.clock, monotonic=lambda: self.monotonic_s
        )

    def options_for(self, url: str) -> Mapping[str, str]:
        self.asked.append(url)
        return {}

    def accept(self, url: str, form: str = "jsonl", rows: int = 2) -> Batch:
        options = IntakeOptions(name="night", output_url=url, output_form=form)
        lines = [orjson.dumps({"kind": "chat", "model": "stub", "prompt": f"{n}?"}) for n in range(rows)]
        settings = Settings(store_url="unused", model="stub")
        return accept(self.shelf.store, lines, options, kinds=load_kinds(), settings=settings, run_key="k").batch

    def publish(self, batch: Batch) -> None:
        publish(self.shelf.store, batch.batch_id, prices=Prices(), clock=self.shelf.clock)

    def is_delivered(self, batch: Batch) -> bool:
        done = latest_done(self.shelf.store, batch.batch_id)
        return done is not None and is_delivered(self.shelf.store, batch, done)


@pytest.fixture
def desk(shelf: Any) -> Desk:
    return Desk(shelf)


def test_outputs_are_written_to_a_folder_once_they_are_published(desk: Desk, tmp_path: Path) -> None:
    batch = desk.accept(f"{tmp_path}/out/")
    desk.deliverer.deliver()
    assert not (tmp_path / "out").exists(), "nothing is published"
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.failed(1)])
    desk.publish(batch)
    assert StatusReader(desk.shelf.store).batch(batch.batch_id).delivered is False
    with capture_logs() as logs:
        desk.deliverer.deliver()
        desk.deliverer.deliver()
    assert [log["event"] for log in logs if log["event"].startswith("batch.")] == ["batch.delivered"]
    assert [orjson.loads(line)["row"] for line in (tmp_path / "out/output.jsonl").read_bytes().splitlines()] == [0]
    assert [orjson.loads(line)["row"] for line in (tmp_path / "out/errors.jsonl").read_bytes().splitlines()] == [1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("errors.jsonl", "manifest.json", "output.jsonl", "usage.json")
    ]
    assert desk.shelf.store.list("undelivered") == []
    assert StatusReader(desk.shelf.store).batch(batch.batch_id).delivered is True


def test_a_batch_that_a_sweep_publishes_is_delivered_after_it(desk: Desk, tmp_path: Path) -> None:
    from jobs.batches.open_batches import OpenBatches
    from jobs.lanes.redis_queue import RedisQueue
    from jobs.publishing.sweeper import Sweeper

    batch = desk.accept(str(tmp_path / "out.jsonl"))
    queue = RedisQueue(fakeredis.FakeRedis())
    sweeper = Sweeper(
        desk.shelf.store,
        queue,
        OpenBatches(desk.shelf.store, batch_scan_s=0.0),
        Prices(),
        after_sweep=lambda _: desk.deliverer.deliver(),
    )
    sweeper.sweep()
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    assert sweeper.sweep() == 0
    assert desk.is_delivered(batch)


def test_a_file_in_another_form(desk: Desk, tmp_path: Path) -> None:
    batch = desk.accept(str(tmp_path / "tonight.csv"), "csv")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    desk.deliverer.deliver()
    with (tmp_path / "tonight.csv").open(newline="", encoding="utf-8-sig") as file:
        assert [row["row"] for row in csv.DictReader(file)] == ["0", "1"]


def test_a_url_of_any_file_system(desk: Desk) -> None:
    import fsspec

    batch = desk.accept("memory://delivery/tonight.jsonl")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    desk.deliverer.deliver()
    with fsspec.open("memory://delivery/tonight.jsonl") as file:
        assert [orjson.loads(line)["row"] for line in file] == [0, 1]
    assert desk.asked == ["memory://delivery/tonight.jsonl"], "it gets the options for its URL"


def test_a_delivery_that_fails_is_logged_and_tried_later(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    batch = desk.accept(f"{tmp_path}/file/out.jsonl")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    with capture_logs() as logs:
        for _ in range(3):
            desk.deliverer.deliver()
    failed = [log for log in logs if log["event"] == "batch.undelivered"]
    assert len(failed) == 1, "it is not tried at each sweep"
    assert "cannot write" in failed[0]["error"]
    assert not desk.is_delivered(batch)
    (tmp_path / "file").unlink()
    desk.deliverer.deliver()
    assert not desk.is_delivered(batch)
    assert desk.deliverer.owed == 1, "also while it is not due"
    desk.monotonic_s += 31
    desk.deliverer.deliver()
    assert desk.is_delivered(batch)
    assert desk.deliverer.owed == 0
    assert len((tmp_path / "file/out.jsonl").read_bytes().splitlines()) == 2


def test_any_error_of_a_file_system_is_logged_and_tried_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = desk.accept("memory://delivery/strange.jsonl")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(MemoryFileSystem, "_open", refuse)
        desk.deliverer.deliver()
    assert [log["error"] for log in logs] == ["cannot write memory://delivery/strange.jsonl: NotImplementedError"]
    desk.monotonic_s += 31
    desk.deliverer.deliver()
    assert desk.is_delivered(batch)


def test_a_stored_url_that_cannot_be_written_is_logged(desk: Desk) -> None:
    batch = desk.accept("https://bucket/out/")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    with capture_logs() as logs:
        desk.deliverer.deliver()
    assert [log["event"] for log in logs] == ["batch.undelivered"]
    assert "such URLs are read-only" in logs[0]["error"]


def test_a_later_round_replaces_the_earlier_one(desk: Desk, tmp_path: Path) -> None:
    batch = desk.accept(str(tmp_path / "out.jsonl"))
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.failed(1)])
    desk.publish(batch)
    desk.deliverer.deliver()
    reopen(desk.shelf.store, batch.batch_id)
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(1, round_=2)])
    desk.publish(batch)
    desk.deliverer.deliver()
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 2
    store, paths = desk.shelf.store, BatchPaths(batch.batch_id)
    assert [store.exists(paths.delivered(n)) for n in (1, 2)] == [True, True]


def test_a_round_that_is_published_during_a_delivery_is_written_last(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = desk.accept(str(tmp_path / "out.jsonl"))
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.failed(1)])
    desk.publish(batch)
    write, rounds = desk.deliverer._write, []

    def meanwhile(of: Batch, done: Any) -> None:
        rounds.append(done.round)
        write(of, done)
        if len(rounds) == 1:
            reopen(desk.shelf.store, batch.batch_id)
            desk.shelf.write(batch.batch_id, [desk.shelf.completed(1, round_=2)])
            desk.publish(batch)

    monkeypatch.setattr(desk.deliverer, "_write", meanwhile)
    desk.deliverer.deliver()
    assert rounds == [1, 2]
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 2


def test_the_newest_round_is_written_last_even_if_another_process_delivered_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest round is written again even if the first try fails. No other process knows that an older round was written
    last.
    """
    out = tmp_path / "out" / "tonight.jsonl"
    batch = desk.accept(str(out))
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.failed(1)])
    desk.publish(batch)
    write, other, rounds = desk.deliverer._write, Desk(desk.shelf), []

    def meanwhile(of: Batch, done: Any) -> None:
        rounds.append(done.round)
        if len(rounds) == 1:
            reopen(desk.shelf.store, batch.batch_id)
            desk.shelf.write(batch.batch_id, [desk.shelf.completed(1, round_=2)])
            desk.publish(batch)
            other.deliverer.deliver()
            assert len(out.read_bytes().splitlines()) == 2
        if len(rounds) == 2:
            raise StoreUnavailable("the place is away")
        write(of, done)

    monkeypatch.setattr(desk.deliverer, "_write", meanwhile)
    desk.deliverer.deliver()
    assert len(out.read_bytes().splitlines()) == 1
    desk.monotonic_s += 31
    for _ in range(2):
        desk.deliverer.deliver()
    assert rounds == [1, 2, 2]
    assert len(out.read_bytes().splitlines()) == 2
    assert desk.shelf.store.list("undelivered") == []


def test_a_batch_that_was_deleted_owes_nothing(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    batch = desk.accept(f"{tmp_path}/file/out.jsonl")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    delete_batch(desk.shelf.store, batch.batch_id, clock=lambda: desk.shelf.now + timedelta(days=1))
    desk.deliverer.deliver()
    assert desk.shelf.store.list("undelivered") == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_batch_that_is_deleted_while_it_is_delivered_owes_nothing(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    batch = desk.accept(f"{tmp_path}/out.jsonl")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    write, store = desk.deliverer._write, desk.shelf.store

    def meanwhile(of: Batch, done: Any) -> None:
        if when == "after":
            write(of, done)
        delete_batch(store, batch.batch_id, clock=desk.shelf.clock)
        if when == "before":
            write(of, done)

    monkeypatch.setattr(desk.deliverer, "_write", meanwhile)
    with capture_logs() as logs:
        desk.deliverer.deliver()
    assert [log["event"] for log in logs] == ["batch.deleted"], "no damage is reported"
    assert (store.list("undelivered"), store.list("batches")) == ([], [])


def test_the_url_of_a_batch_that_owes_outputs(desk: Desk, tmp_path: Path) -> None:
    batch = desk.accept(f"{tmp_path}/out.jsonl")
    store = desk.shelf.store
    assert undelivered_url(store, batch.batch_id) is None, "nothing is published"
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    assert undelivered_url(store, batch.batch_id) == f"{tmp_path}/out.jsonl"
    desk.deliverer.deliver()
    assert undelivered_url(store, batch.batch_id) is None
    assert undelivered_url(store, "no-batch") is None


@pytest.mark.parametrize("step", range(5))
def test_outputs_are_delivered_although_their_publisher_died(
    desk: Desk, tmp_path: Path, step: int, dying: Callable[..., Any], killed: type[BaseException]
) -> None:
    """The publisher died after it created `done`, either before or after it noted that outputs are owed."""
    from jobs.batches.open_batches import OpenBatches

    batch = desk.accept(str(tmp_path / "out.jsonl"))
    whole = desk.shelf.store
    batches = OpenBatches(whole, batch_scan_s=0.0)
    batches.scan()
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    try:
        publish(dying(whole, step), batch.batch_id, prices=Prices(), clock=desk.shelf.clock)
    except killed:
        desk.publish(batch)
    for index in batches:
        index.refresh()
    batches.scan()
    desk.deliverer.deliver()
    assert desk.is_delivered(batch)


@pytest.mark.parametrize(
    ("url", "form", "kept"),
    [
        pytest.param("s3://bucket/out/", ResultForm.JSONL, "s3://bucket/out/", id="a URL as it is"),
        pytest.param("file:///data/out/", ResultForm.CSV, "/data/out/", id="a URL of this machine"),
        pytest.param("/out/x.csv", ResultForm.CSV, "/out/x.csv", id="an absolute path"),
        pytest.param("out/", ResultForm.JSONL, f"{Path.cwd()}/out/", id="a folder from here"),
    ],
)
def test_how_an_output_url_is_stored(url: str, form: ResultForm, kept: str) -> None:
    assert check_output_url(url, form) == kept


@pytest.mark.parametrize(
    ("url", "form", "message"),
    [
        pytest.param("out/", ResultForm.MARKDOWN, "takes jsonl, csv, openai, parquet", id="a file a row"),
        pytest.param(" ", ResultForm.JSONL, "--output-url is empty", id="empty"),
        pytest.param("~no-such-user/a", ResultForm.JSONL, "--output-url: the home folder in", id="no home"),
        pytest.param("zzz://a", ResultForm.JSONL, r"zzz://a: such URLs are read-only .* s3://", id="unknown"),
        pytest.param("https://b/out?key=1", ResultForm.JSONL, r"https://b/out\?\*\*\*: such URLs are", id="presigned"),
        pytest.param("http://b/out/", ResultForm.CSV, "such URLs are read-only", id="read only"),
        pytest.param("dir://out/", ResultForm.JSONL, "such URLs are read-only", id="a file system around another"),
        pytest.param("zip://a::s3://b/c.zip", ResultForm.JSONL, "such URLs are read-only", id="in an archive"),
    ],
)
def test_a_url_that_cannot_be_an_output_url_is_refused(url: str, form: ResultForm, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_output_url(url, form)


def test_a_damaged_batch_holds_up_no_other_delivery(desk: Desk, tmp_path: Path) -> None:
    batches = [desk.accept(f"{tmp_path}/{n}.jsonl", rows=n) for n in (1, 2, 3)]
    for n, batch in enumerate(batches, 1):
        desk.shelf.write(batch.batch_id, [desk.shelf.completed(row) for row in range(n)])
        desk.publish(batch)
    first = min(batches, key=lambda batch: batch.batch_id)
    path = Path(desk.shelf.store.url) / BatchPaths(first.batch_id).acceptance
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(StoreDamaged, match=first.batch_id):
        desk.deliverer.deliver()
    assert [desk.is_delivered(batch) for batch in batches if batch is not first] == [True, True]
    path.write_bytes(whole)
    desk.deliverer.deliver()
    assert desk.is_delivered(first)


@pytest.mark.parametrize(
    "url", ["s3://key:s3cret@bucket/out/", "memory://a/b?token=s3cret", "sftp://bob:s3cret@host/x"]
)
def test_a_password_in_an_output_url_is_refused_and_never_shown(url: str) -> None:
    with pytest.raises(RequestError, match="NIGHTPRESS_STORE_OPTIONS") as refused:
        check_output_url(url, ResultForm.JSONL)
    assert "s3cret" not in str(refused.value)


def test_the_marker_of_a_delivery_holds_no_password(desk: Desk) -> None:
    batch = desk.accept("memory://ann:s3cret@delivery/out.jsonl")  # as if an editor had put it into batch.json
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.completed(1)])
    desk.publish(batch)
    with capture_logs() as logs:
        desk.deliverer.deliver()
    assert desk.is_delivered(batch)
    assert b"s3cret" not in desk.shelf.store.read(BatchPaths(batch.batch_id).delivered(1))
    assert "s3cret" not in str(logs)


@pytest.mark.parametrize("form", ["jsonl", "csv", "openai", "parquet"])
@pytest.mark.parametrize("place", ["file", "memory"])
def test_a_manifest_describes_each_file_of_a_folder(desk: Desk, tmp_path: Path, form: str, place: str) -> None:
    import fsspec

    url = f"{tmp_path}/out/" if place == "file" else f"memory://manifest-{form}/"
    batch = desk.accept(url, form)
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.failed(1)])
    desk.publish(batch)
    desk.deliverer.deliver()
    with fsspec.open(f"{url}manifest.json") as file:
        manifest = orjson.loads(file.read())
    assert (manifest["batch_id"], manifest["round"], manifest["counts"]["completed"]) == (batch.batch_id, 1, 1)
    assert list(manifest["files"])[1:] == ["errors.jsonl", "usage.json"]
    for name, described in manifest["files"].items():
        with fsspec.open(f"{url}{name}") as file:
            data = file.read()
        assert described == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}, name
    with fsspec.open(f"{url}usage.json") as file:
        assert orjson.loads(file.read())["rows"] == 1


def test_the_manifest_is_written_last(desk: Desk, tmp_path: Path) -> None:
    """If a delivery dies or fails on its way, there is no manifest that describes files which are not there."""
    batch = desk.accept(f"{tmp_path}/out/")
    desk.shelf.write(batch.batch_id, [desk.shelf.completed(0), desk.shelf.failed(1)])
    desk.publish(batch)
    (tmp_path / "out/usage.json/a").mkdir(parents=True)  # a folder stands in place of this file
    desk.deliverer.deliver()
    assert not (tmp_path / "out/manifest.json").exists()
    assert not desk.is_delivered(batch)


def test_documents_are_delivered_in_each_language_with_a_manifest(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "in/guide").mkdir(parents=True)
    (tmp_path / "in/guide/a.md").write_text("# Open it\n\nClose it.\n")
    (tmp_path / "in/b.json").write_text('{"a": "Save it"}')
    out = tmp_path / "out"
    batch = accept_documents(
        desk.shelf.store,
        *(tmp_path / "in/guide", tmp_path / "in/b.json"),
        to="fr,de",
        output_url=f"{out}/",
        output_form="document",
    ).batch
    rows = outcomes_of(desk.shelf.store, batch, lambda one: None if one.row == 1 else shouted(one))
    desk.shelf.write(batch.batch_id, rows)
    desk.publish(batch)
    desk.deliverer.deliver()
    assert desk.is_delivered(batch)
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found["fr/guide/a.md"] == b"# OPEN IT\n\nCLOSE IT.\n"
    assert found["de/b.json"] == b'{"a": "Save it"}'
    manifest = orjson.loads(found.pop("manifest.json"))
    assert manifest["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in found.items()
    }
    assert sorted(found) == [
        *("de/b.json", "de/guide/a.md", "errors.jsonl", "fr/b.json", "fr/guide/a.md", "usage.json")
    ]
    assert manifest["untranslated"] == {"de/b.json": 1}
