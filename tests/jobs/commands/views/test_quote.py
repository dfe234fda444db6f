"""Shows `enqueue --quote` and `quote`: what a person reads, what a program gets, and how the other rows come to run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from jobs.batches.batch import QuoteTerms
from jobs.batches.rounds import read_round, require_batch
from jobs.client import Client
from jobs.commands.views.quote import heading, notes, strata_table, table
from jobs.errors import BatchPaused, BatchUnfinished, RequestError
from jobs.lanes.job import Lease
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import Usage
from tests.support.command_line import Ran
from tests.support.night import Night, chats, settings_of
from tests.support.outcomes import completed, failed


class Fleet:
    """A worker and a sweeper, which take a turn whenever a command waits."""

    def __init__(self, folder: Path) -> None:
        self.night = Night(open_store(str(folder / "store")), fakeredis.FakeRedis(), settings_of(batch_scan_s=1e-9))
        self.rows: list[int] = []

    def turn(self, _: float = 0.0) -> None:
        def outcome(of: Lease) -> Any:
            usage = Usage(20, 0, 30, 3_600_000_000, 50_000, 1_400)
            return failed(of, "length") if of.key.row % 10 == 9 else completed(of, usage=usage)

        for _ in range(2):
            if jobs := self.night.claim(500):
                self.night.finish(jobs, outcome)
                self.rows += [job.key.row for job in jobs]
        self.night.sweep()


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "night.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chats(500)) + "no JSON\n")
    return str(path)


def test_enqueue_waits_for_the_quote_and_says_how_to_answer(
    nightpress: Callable[..., Ran], fleet: Fleet, file: str
) -> None:
    fleet.turn()  # a worker is at work
    ran = nightpress("enqueue", file, "--model", "stub", "--quote", given_queue=fleet.night.queue, sleep=fleet.turn)
    assert ran.status == 0, ran.err
    batch_id = ran.out.strip()
    assert len(fleet.rows) >= 64
    for part in (
        "501 rows, 1 refused",
        f"nightpress quote {batch_id}",
        "of 500 rows, which are done and are not paid twice",
        "sampled rows failed (",
        f"to run the other rows: nightpress resume {batch_id}; to give them up: nightpress cancel {batch_id}",
    ):
        assert part in ran.err
    before = list(fleet.rows)
    fleet.turn()
    assert fleet.rows == before
    assert nightpress("resume", batch_id, given_queue=fleet.night.queue).err == f"{batch_id} goes on\n"
    for _ in range(4):
        fleet.turn()
    assert sorted(fleet.rows) == list(range(500))
    assert (
        "the batch is published: it took 22,500 tokens, and is charged 0.000630 USD"
        in nightpress("quote", batch_id).out
    )


def test_yes_runs_the_other_rows_at_once(nightpress: Callable[..., Ran], fleet: Fleet, file: str) -> None:
    fleet.turn()
    args = ("enqueue", file, "--model", "stub", "--quote", "--yes", "--json")
    ran = nightpress(*args, given_queue=fleet.night.queue, sleep=fleet.turn)
    assert ran.status == 0, ran.err
    found = json.loads(ran.out)
    assert found["rows"] == 500
    assert found["tokens"]["low"] <= found["tokens"]["expected"] <= found["tokens"]["high"] <= found["tokens"]["most"]
    assert found["currency"] == "USD"
    assert "goes on" in ran.err
    for _ in range(4):
        fleet.turn()
    assert sorted(fleet.rows) == list(range(500))


def test_without_a_worker_the_command_does_not_wait(nightpress: Callable[..., Ran], fleet: Fleet, file: str) -> None:
    ran = nightpress("enqueue", file, "--model", "stub", "--quote", given_queue=fleet.night.queue)
    assert ran.status == 4
    batch_id = ran.out.strip()
    assert "no worker is at work on its models" in ran.err
    ran = nightpress("quote", batch_id)
    assert ran.status == 4
    assert "0 of 64 drawn rows have an outcome" in ran.err
    assert "64 rows drawn into the sample" in nightpress("status", batch_id).out
    ran = nightpress("quote", batch_id, "--wait", given_queue=fleet.night.queue, sleep=fleet.turn)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"{batch_id}: from ")
    assert f"nightpress resume {batch_id}" in ran.out
    status = nightpress("status", batch_id, given_queue=fleet.night.queue).out
    assert status.startswith(f"{batch_id}  quoted\n  quote: ")
    (one,) = nightpress("status", batch_id, "--json").json()["batches"]
    assert (one["state"], one["quote"]["rows"]) == ("quoted", 500)
    assert f"{batch_id} waits for the answer to its quote" in nightpress("status", given_queue=fleet.night.queue).out
    ran = nightpress("wait", batch_id)
    assert ran.status == 4
    assert "waits for an answer; to go on: nightpress resume" in ran.err


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--yes",), "--yes answers a quote: give --quote too"),
        (("--quote", "--dry-run"), "--dry-run runs nothing, and --quote runs a sample: give one of them"),
        (("--json",), "--json belongs to --dry-run and --quote"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    nightpress: Callable[..., Ran], file: str, args: tuple[str, ...], why: str
) -> None:
    ran = nightpress("enqueue", file, "--model", "stub", *args)
    assert (ran.status, ran.out) == (2, "")
    assert why in ran.err


def test_a_batch_that_was_enqueued_without_a_quote_has_none(nightpress: Callable[..., Ran], file: str) -> None:
    batch_id = nightpress("enqueue", file, "--model", "stub", "--run-key", "k").out.strip()
    ran = nightpress("quote", batch_id)
    assert ran.status == 2
    assert "was enqueued without --quote" in ran.err
    ran = nightpress("enqueue", file, "--model", "stub", "--run-key", "k", "--quote")
    assert (ran.status, ran.out.strip()) == (2, batch_id)
    assert f"{batch_id} exists already, and was enqueued without --quote: --again makes another" in ran.err


def test_a_batch_that_ended_before_its_quote_has_none(nightpress: Callable[..., Ran], fleet: Fleet, file: str) -> None:
    batch_id = nightpress("enqueue", file, "--model", "stub", "--quote").out.strip()
    assert nightpress("cancel", batch_id).status == 0
    ran = nightpress("quote", batch_id, "--wait")
    assert ran.status == 2
    assert f"{batch_id} is cancelling, and was not quoted before" in ran.err


def test_a_client_quotes_a_batch(tmp_path: Path, fleet: Fleet) -> None:
    settings = Settings(store_url=str(tmp_path / "store"))
    with Client(settings, queue=fleet.night.queue, sleep=fleet.turn) as client:
        batch = client.enqueue(chats(300), model="stub", quote=True)
        assert batch.is_quoted
        with pytest.raises(BatchUnfinished, match="0 of 64 drawn rows have an outcome"):
            client.quote(batch)
        found = client.quote(batch, timeout_s=None)
        assert (found.rows, found.sampled) == (300, len(fleet.rows))
        with pytest.raises(BatchPaused, match="waits for an answer"):
            client.wait(batch)
        client.resume(batch)
        status = client.wait(batch)
        assert status.state == "published"
        assert found.charge.low <= status.usage.charge <= found.charge.high
        assert client.quote(batch) == found
        other = client.enqueue(chats(5), model="stub")
        with pytest.raises(RequestError, match="without --quote"):
            client.quote(other)


def test_a_resumed_batch_that_was_not_quoted_yet_has_no_quote(tmp_path: Path, fleet: Fleet) -> None:
    batch = fleet.night.accept(100, quote=QuoteTerms())
    with Client(Settings(store_url=str(tmp_path / "store"))) as client:
        client.resume(batch.batch_id)
        assert read_round(fleet.night.store, require_batch(fleet.night.store, batch.batch_id)).quoting is None
        with pytest.raises(RequestError, match="was not quoted before"):
            client.quote(batch.batch_id, timeout_s=None)


def test_what_a_person_must_know_is_said(fleet: Fleet) -> None:
    batch = fleet.night.accept(500, quote=QuoteTerms())
    for _ in range(6):
        fleet.turn()
    with Client(fleet.night.settings.model_copy(update={"store_url": fleet.night.store.redacted_url})) as client:
        found = client.quote(batch.batch_id)
    said = "\n".join(notes(found))
    assert "`at most` holds whatever a sample has missed" in said
    wide = found.model_copy(update={"reached": False, "at_most_rows": True, "largest_share": 0.3})
    said = "\n".join(notes(wide))
    assert "wider than the 10% that was aimed at: the sample has as many rows as it may have" in said
    assert "one row has 30% of the sample's tokens" in said
    spent = wide.model_copy(update={"ended_by_budget": True})
    assert "a budget paid for no further row of the sample" in "\n".join(notes(spent))
    unbounded = found.model_copy(update={"tokens": found.tokens.model_copy(update={"most": None})})
    assert "no bound is known" in "\n".join(notes(unbounded))
    whole = found.model_copy(update={"rows": found.sampled})
    assert "sums and no estimates" in heading(whole)
    assert strata_table(found) is None
    assert [row[0] for row in table(found).rows] == ["tokens", "charge USD", "device h"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "openai.jsonl", "messages.po"])
def test_every_format_is_quoted(nightpress: Callable[..., Ran], fleet: Fleet, tmp_path: Path, name: str) -> None:
    path, more = tmp_path / name, list[str]()
    if name == "rows.csv":
        path.write_text("kind,prompt\n" + "".join(f"chat,Say {n}.\n" for n in range(200)))
    elif name == "rows.parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        pa = pytest.importorskip("pyarrow")
        pq.write_table(pa.table({"kind": ["chat"] * 200, "prompt": [f"Say {n}." for n in range(200)]}), path)
    elif name == "openai.jsonl":
        turns = [{"role": "user", "content": "Say it."}]
        body = {"model": "stub", "messages": turns, "max_tokens": 30}
        one = {"method": "POST", "url": "/v1/chat/completions", "body": body}
        path.write_text("".join(json.dumps({"custom_id": f"r{n}", **one}) + "\n" for n in range(200)))
    else:
        path.write_text("".join(f'msgid "Say {n}"\nmsgstr ""\n\n' for n in range(200)))
        more = ["--kind", "translation", "--set", "source_language=en", "--set", "target_language=de"]
    fleet.turn()
    args = ("enqueue", str(path), "--model", "stub", "--quote", "--yes", *more)
    ran = nightpress(*args, given_queue=fleet.night.queue, sleep=fleet.turn)
    assert ran.status == 0, ran.err
    assert "of 200 rows, which are done" in ran.err
    for _ in range(4):
        fleet.turn()
    assert sorted(fleet.rows) == list(range(200))
