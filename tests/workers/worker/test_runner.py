"""Shows workers/worker/runner.py: rows that complete at once, and every way in which a claimed job ends.

The tests use a real queue (on an imitation of Redis), real storage and the stub engine, in this process.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import BaseModel

from jobs.accounts.tallies import tallies
from jobs.batches.published import read_published
from jobs.batches.rounds import close
from jobs.errors import CheckFailed, QueueUnavailable, StoreUnavailable
from jobs.formats.results import openai_lines
from jobs.generation import Completion, GenerationRequest, Prompt
from jobs.kinds.kind import Kind
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Beat, ClaimReply, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.prices import Prices, TokenPrices
from jobs.store.local import LocalStore
from tests.support.engines import Scripted, answer, fault, row_of
from tests.support.night import LANE, chats
from tests.support.worker_night import WorkerNight
from workers.engines.stub.engine import StubEngine, StubOptions


def test_every_row_of_a_batch_is_completed_and_published(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(200)
    night.start(StubEngine())
    output, errors = night.outputs(until)
    assert [row["row"] for row in output] == list(range(200))
    assert errors == []
    assert {row["attempt"] for row in output} == {1}
    assert night.snapshot().batches == {}
    first = output[0]
    assert {"worker", "started_at", "finished_at", "seed", "model_revision", "engine"} <= first.keys()
    assert first["usage"]["charge"] > 0


def test_a_worker_that_has_ended_is_shown_no_more(night: WorkerNight, until: Callable[..., Any]) -> None:
    """The worker had rows in hand, which it released at its end."""
    night.accept(5)
    night.start(StubEngine(StubOptions(step_s=0.5)))
    until(lambda: any(worker.running for worker in night.queue.snapshot(LANE).workers), 20, "a worker with rows")
    night.stop()
    assert night.queue.snapshot(LANE).workers == []
    assert night.queue.snapshot(LANE).ready == 5


def test_requests_and_receipts_say_how_a_prompt_was_rendered(night: WorkerNight, until: Callable[..., Any]) -> None:
    """A request has the time when its batch was accepted, and the receipt the hash that the engine gives."""
    batch = night.accept(2)
    seen: set[Any] = set()

    def rendered(request: GenerationRequest) -> Completion:
        seen.add(request.created_at)
        return replace(answer(request), prompt_sha256="abc")

    night.start(Scripted(rendered))
    output, _ = night.outputs(until)
    assert [row["prompts"] for row in output] == [{"main": "abc"}] * 2
    assert seen == {batch.created_at}


def test_the_bill_is_in_the_currency_of_the_workers(night: WorkerNight, until: Callable[..., Any]) -> None:
    """The publisher has other prices, which are not used."""
    night.change(prices=Prices(version="ours", currency="EUR", device_hour={}, models={}))
    night.accept(2)
    night.start(StubEngine())
    until(lambda: len(night.outcomes()) == 2, 20, "the outcomes")
    done = night.publish(prices=Prices())
    output, _ = night.published()
    usage = next(iter(read_published(night.store, done, night.batch_id, "usage.json")))
    assert [(row["usage"]["prices"], row["usage"]["currency"]) for row in output] == [("ours", "EUR")] * 2
    assert (usage["currency"], usage["price_versions"]) == ("EUR", ["ours"])
    assert "currency" not in output[0]


@pytest.mark.parametrize("kind", ["chat", "completion"])
def test_the_prompt_of_several_answers_is_billed_once(kind: str, night: WorkerNight, until: Callable[..., Any]) -> None:
    """The prompt counts once in the row, its charge, usage.json, the account and the lines in OpenAI's form. The tokens of all
    answers are billed.
    """
    night.change(
        prices=Prices(models={LANE: TokenPrices(prompt=1_000_000, cached_prompt=500_000, completion=3_000_000)})
    )
    night.accept([{"kind": kind, "prompt": "Say it.", "n": 3}])
    places = iter([(100, 0, 2, 1000), (100, 99, 3, 50), (100, 99, 4, 50)])
    night.start(Scripted(lambda request: Completion(request.request_id, "Well said.", "stop", *next(places))))
    done = night.until_published(until)
    (row,), errors = night.published()
    assert (errors, len(row["output"]["choices"])) == ([], 3)
    expected = {"prompt_tokens": 100, "cached_prompt_tokens": 0, "completion_tokens": 9, "device_ns": 1100}
    charge = 100 + 9 * 3
    whole = next(iter(read_published(night.store, done, night.batch_id, "usage.json")))
    account = tallies(night.store, "tenant")["USD"]["default"].usage.as_dict()
    for usage in (row["usage"], whole, account):
        assert {name: usage[name] for name in [*expected, "charge"]} == {**expected, "charge": charge}
    (line,) = openai_lines.lines([row])
    assert json.loads(line)["response"]["body"]["usage"] == {
        "prompt_tokens": 100,
        "completion_tokens": 9,
        "total_tokens": 109,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_thoughts_are_billed_and_published_only_if_asked_for(night: WorkerNight, until: Callable[..., Any]) -> None:
    """A row fails if its own limit cuts its thoughts off. A row that turns thoughts off has none."""
    rows: list[dict[str, Any]] = [
        {"prompt": "Say it."},
        {"prompt": "Say it.", "include_reasoning": True, "n": 2},
        {"prompt": "Say it.", "max_tokens": 5},
        {"prompt": "Say it.", "chat_template_kwargs": {"enable_thinking": False}},
    ]
    night.accept([{"kind": "chat", **row} for row in rows])
    night.start(StubEngine(StubOptions(thoughts=7)))
    night.until_published(until)
    (plain, asked, off), (failed,) = night.published()
    assert (plain["reasoning_tokens"], asked["reasoning_tokens"]) == (9, 18)
    assert "reasoning" not in plain["output"]
    assert [len(one.split()) for one in asked["output"]["reasoning"]] == [7, 7]
    assert plain["usage"]["completion_tokens"] == 9 + len(plain["output"]["text"].split())
    assert "reasoning_tokens" not in off
    assert (failed["row"], failed["error"]["code"]) == (2, "reasoning_incomplete")
    (line,) = openai_lines.lines([asked])
    body = json.loads(line)["response"]["body"]
    assert [one["message"]["reasoning"] for one in body["choices"]] == asked["output"]["reasoning"]
    assert body["usage"]["completion_tokens_details"] == {"reasoning_tokens": 18}


def test_a_row_is_billed_to_its_tenant(night: WorkerNight, until: Callable[..., Any]) -> None:
    tenants = ["acme", "default", "zeta"]
    night.change(rows_may_set=("tenant",))
    night.accept([{**row, "tenant": tenant} for row, tenant in zip(chats(3), tenants, strict=True)])
    night.start(StubEngine())
    night.until_published(until)
    output, _ = night.published()
    assert [row["tenant"] for row in output] == tenants
    assert {name: tally.rows for name, tally in tallies(night.store, "tenant")["USD"].items()} == dict.fromkeys(
        tenants, 1
    )


def test_all_kinds_in_one_lane(night: WorkerNight, until: Callable[..., Any]) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "article", "topic": "Tea", "target_words": 100},
        {"kind": "social_post", "topic": "Tea", "platform": "x"},
        {"kind": "translation", "text": "One.\n\nTwo.", "source_language": "en", "target_language": "fr"},
        *chats(1),
    ]
    night.accept(rows)
    night.start(StubEngine())
    output, errors = night.outputs(until)
    assert {row["kind"] for row in [*output, *errors]} == {"article", "social_post", "translation", "chat"}


def test_a_fault_of_one_row_harms_no_other(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(6)
    bad = fault("prompt_too_long", retryable=False)
    night.start(Scripted(lambda r: bad(r) if row_of(r) == 2 else answer(r)))
    output, errors = night.outputs(until)
    assert [row["row"] for row in output] == [0, 1, 3, 4, 5]
    assert [(row["row"], row["error"]["code"], row["error"]["line"]) for row in errors] == [(2, "prompt_too_long", 3)]


def test_a_retryable_fault_is_tried_again_until_the_attempts_are_spent(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    """Row 0 fails three times, and so for good. Row 1 completes at the second try. Failed attempts are not billed."""
    night.accept(2)
    bad = fault("generation_failed", retryable=True)
    night.start(Scripted(lambda r: answer(r) if row_of(r) == 1 and "#2." in r.request_id else bad(r)))
    done = night.until_published(until)
    output, errors = night.published()
    assert [(row["row"], row["attempt"]) for row in output] == [(1, 2)]
    assert [(row["row"], row["error"]["code"], row["attempt"]) for row in errors] == [(0, "generation_failed", 3)]
    finals = [(line.row, line.attempt, line.final) for line in night.outcomes()]
    assert sorted(finals) == [(0, 1, False), (0, 2, False), (0, 3, True), (1, 1, False), (1, 2, True)]
    usage = next(iter(read_published(night.store, done, night.batch_id, "usage.json")))
    assert (usage["completion_tokens"], usage["wasted"]["completion_tokens"]) == (2, 4)


class Broken:
    """A kind that raises an error of its own on row 1, and returns no output on row 2."""

    def __init__(self, whole: Kind) -> None:
        self.name, self.request_type, self.output_type = "chat", whole.request_type, whole.output_type
        self._whole = whole

    def compose(self, request: Any) -> Any:
        if request.prompt == "Say 1.":
            raise ZeroDivisionError("in the kind")
        if request.prompt == "Say 2.":
            yield []
            return "not an output"
        return (yield from self._whole.compose(request))

    def expected_tokens(self, request: Any) -> int:
        return self._whole.expected_tokens(request)


def test_a_kind_that_raises_harms_no_other_row(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.kinds["chat"] = Broken(night.kinds["chat"])
    night.accept(4)
    night.start(Scripted())
    output, errors = night.outputs(until)
    assert [row["row"] for row in output] == [0, 3]
    assert [(row["row"], row["error"]["code"]) for row in errors] == [(1, "kind_failed"), (2, "kind_failed")]


class Deep(BaseModel):
    """An output that can be nested deeper than a published row may be."""

    text: Any


class Odd:
    """A kind whose receipt, error or output of row 2 cannot be written as JSON, or that raises when it is closed."""

    def __init__(self, whole: Kind, oddity: str) -> None:
        self.name, self.request_type, self.output_type = "chat", whole.request_type, Deep
        self._whole, self._oddity = whole, oddity

    def compose(self, request: Any) -> Any:
        odd = self._oddity if request.prompt == "Say 2." else ""
        label: Any = 7 if odd == "label" else "main"
        try:
            [completion] = yield [Prompt(text=request.prompt, label=label)]
        finally:
            if odd == "clean-up":
                raise OSError("cannot clean up")
        text: Any = completion.text
        if odd == "message":
            raise CheckFailed("empty_output", "\ud800")
        for _ in range(253 if odd == "depth" else 0):
            text = [text]
        return Deep(text=text)

    def expected_tokens(self, request: Any) -> int:
        return 5


@pytest.mark.parametrize("oddity", ["label", "message", "depth", "clean-up"])
def test_a_kind_whose_outcome_is_not_json_or_that_does_not_close_harms_no_other_row(
    night: WorkerNight, until: Callable[..., Any], oddity: str
) -> None:
    night.kinds["chat"] = Odd(night.kinds["chat"], oddity)
    night.accept(4)
    bad = fault("prompt_too_long", retryable=False)
    night.start(Scripted(lambda r: bad(r) if oddity == "clean-up" and row_of(r) == 2 else answer(r)))
    output, errors = night.outputs(until)
    assert [row["row"] for row in output] == [0, 1, 3]
    code = "prompt_too_long" if oddity == "clean-up" else "kind_failed"
    assert [(row["row"], row["error"]["code"], row["attempt"]) for row in errors] == [(2, code, 1)]
    assert errors[0]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda stored: stored.partition(b"=")[0] + b"={torn", id="the request is read from storage"),
        pytest.param(lambda stored: b"={torn", id="the row is fed again"),
    ],
)
def test_damage_on_the_queue_harms_no_row(
    night: WorkerNight, until: Callable[..., Any], fake_client: redis.Redis, damage: Callable[[bytes], bytes]
) -> None:
    night.accept(3)
    night.feed()
    place = (f"np:2:{{-/{LANE}}}:payload", f"{night.batch_id}/1")
    stored: Any = fake_client.hget(*place)
    fake_client.hset(*place, damage(stored))
    night.start(Scripted())
    output, errors = night.outputs(until)
    assert (len(output), errors) == (3, [])


def test_long_requests_are_read_from_the_input(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.change(inline_bytes=10)
    night.accept(5)
    night.start(Scripted(lambda r: Completion(r.request_id, r.prompt.messages[-1].content, "stop", 1, 0, 1, 1)))
    output, _ = night.outputs(until)
    assert [row["output"]["text"] for row in output] == [f"Say {n}." for n in range(5)]


def test_the_rows_of_a_dead_worker_are_done_by_another(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(3)
    assert len(night.claim(3)) == 3
    night.expire_leases()
    night.start(Scripted())
    output, _ = night.outputs(until)
    assert [(row["row"], row["attempt"]) for row in output] == [(0, 1), (1, 1), (2, 1)]
    crashed = [line for line in night.outcomes() if line.status == "crashed"]
    assert sorted((line.row, line.final) for line in crashed) == [(0, False), (1, False), (2, False)]


def test_a_row_that_killed_its_worker_twice_on_its_own_is_buried(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(1)
    for n in range(3):
        assert [job.burial for job in night.claim(1, incarnation=f"{n}")] == [False]
        night.expire_leases()
    engine = Scripted()
    night.start(engine)
    _, errors = night.outputs(until)
    assert [(row["error"]["code"], row["attempt"]) for row in errors] == [("crashed_worker", 1)]
    assert engine.submitted == []


def test_a_row_whose_outcome_was_written_but_not_settled_is_not_run_again(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    """The worker died after its flush, before it could settle."""
    night.accept(1)
    dying = Silent(night.queue, "settle")
    night.start(Scripted(), dying)
    until(night.outcomes, 10, "the outcome")
    night.expire_leases()
    second = Scripted()
    night.start(second)
    output, _ = night.outputs(until)
    dying.away.clear()
    assert len(output) == 1
    assert second.submitted == []


class Silent:
    """A queue that is away for some of its calls."""

    def __init__(self, queue: RedisQueue, *away: str) -> None:
        self._queue = queue
        self.away = set(away)

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise QueueUnavailable("Redis is away")

        return refuse if name in self.away else getattr(self._queue, name)


def test_a_queue_that_takes_no_rows_is_known_until_it_does(night: WorkerNight, until: Callable[..., Any]) -> None:
    """The runner must know the fault until the queue takes rows again. A command shows the runner's fault, because the command
    itself feeds nothing and would not notice.
    """
    night.accept(3)
    queue = Silent(night.queue, "feed")
    runner = night.start(Scripted(), queue)
    until(lambda: runner.queue_fault == "Redis is away", 10, "the fault")
    queue.away.clear()
    night.until_published(until)
    until(lambda: runner.queue_fault == "", 10, "its end")


@pytest.mark.parametrize("away", ["claim", "settle", "snapshot"])
def test_a_queue_that_is_away_is_waited_for(night: WorkerNight, until: Callable[..., Any], away: str) -> None:
    night.accept(3)
    queue = Silent(night.queue, away)
    engine = Scripted()
    night.start(engine, queue)
    if away == "settle":
        until(night.outcomes, 10, "outcomes that wait to be settled")
    queue.away.clear()
    output, _ = night.outputs(until)
    assert len(output) == 3


def test_claimed_jobs_are_done_also_when_the_lane_cannot_be_fed(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(3)
    night.feed()
    night.start(Scripted(), Silent(night.queue, "snapshot"))
    output, _ = night.outputs(until)
    assert len(output) == 3


class Forgetful:
    """A queue that does what it is asked, and loses its first answer to a claim."""

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self.claims: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def claim(
        self, lane: str, claim_id: str, n: int, lease_ms: int, worker: WorkerRecord, **keeping: Any
    ) -> ClaimReply:
        reply = self._queue.claim(lane, claim_id, n, lease_ms, worker, **keeping)
        self.claims.append(claim_id)
        if len(self.claims) == 1:
            raise QueueUnavailable("the answer was lost")
        return reply


def test_a_lost_answer_to_a_claim_costs_no_attempt(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(3)
    night.feed()
    queue = Forgetful(night.queue)
    night.start(Scripted(), queue)
    output, _ = night.outputs(until)
    assert queue.claims[0] == queue.claims[1]
    assert {row["attempt"] for row in output} == {1}


def test_a_kind_that_this_worker_lacks_fails_the_row(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(2)
    del night.kinds["chat"]
    night.start(Scripted())
    _, errors = night.outputs(until)
    assert [row["error"]["code"] for row in errors] == ["unknown_kind", "unknown_kind"]


class Unread(LocalStore):
    """A store whose inputs cannot be read for a while."""

    away = True

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        if self.away and "/input/" in path:
            raise StoreUnavailable("away")
        return super().read_range(path, offset, length)


def test_a_row_whose_request_cannot_be_read_for_a_while_costs_no_attempt(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any], tmp_path: Path
) -> None:
    store = Unread(str(tmp_path / "store"))
    night = make_night(store, inline_bytes=0)
    night.accept(2)
    night.start(Scripted())
    until(lambda: night.snapshot().batches, 10, "the rows on the lane")
    store.away = False
    output, _ = night.outputs(until)
    assert {row["attempt"] for row in output} == {1}


class Full(LocalStore):
    """A store that cannot be written for a while."""

    full = False

    def create(self, path: str, data: bytes) -> bool:
        if self.full and "/segments/" in path:
            raise StoreUnavailable("no space left")
        return super().create(path, data)


def test_a_store_that_is_full_is_waited_for_and_nothing_is_done_twice(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any], tmp_path: Path
) -> None:
    store = Full(str(tmp_path / "store"))
    store.full = True
    night = make_night(store)
    night.accept(3)
    engine = Scripted()
    night.start(engine)
    until(lambda: len(engine.submitted) == 3, 10, "the rows")
    assert night.outcomes() == []
    store.full = False
    output, _ = night.outputs(until)
    assert len(output) == len(engine.submitted) == 3


class Losing:
    """A queue whose beats say that every lease is gone."""

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self.settled: list[Settlement] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        return Beat(frozenset(leases), frozenset())

    def claim(
        self, lane: str, claim_id: str, n: int, lease_ms: int, worker: WorkerRecord, **keeping: Any
    ) -> ClaimReply:
        return self._queue.claim(lane, claim_id, n, lease_ms, worker, **keeping)

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        self.settled += settlements
        return self._queue.settle(lane, settlements)


def test_after_a_lost_lease_nothing_more_is_written(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.change(lease_s=0.5)
    night.accept(2)
    engine = Scripted(lambda r: None)
    queue = Losing(night.queue)
    night.start(engine, queue)
    until(lambda: len(engine.cancelled) >= 2, 10, "the engine to be told to cancel")
    night.stop()
    assert queue.settled == []
    assert [line for line in night.outcomes() if line.status != "crashed"] == []


def test_cancelling_a_batch_stops_its_running_rows(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.change(lease_s=0.5)
    night.accept(4)
    engine = Scripted(lambda r: answer(r) if row_of(r) == 0 else None)
    night.start(engine)
    until(night.outcomes, 10, "the first row")
    close(night.store, night.batch_id, "cancelled")
    night.queue.drop(LANE, night.batch_id, 1, forget=False)
    output, errors = night.outputs(until)
    assert [row["row"] for row in output] == [0]
    assert [(row["row"], row["status"]) for row in errors] == [(1, "cancelled"), (2, "cancelled"), (3, "cancelled")]
    assert len(engine.cancelled) == 3


def test_a_drain_is_not_over_before_its_releases_are(night: WorkerNight, until: Callable[..., Any]) -> None:
    """Redis answers slowly. The worker must wait for the release, because the call would be lost if its process ended."""
    night.accept(3)
    releasing = threading.Event()
    still_there: list[bool] = []

    class Slow:
        def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
            if leases and not releasing.is_set():
                releasing.set()
                ((_, thread),) = night.workers
                if threading.current_thread() is not thread:
                    thread.join(0.5)
                    still_there.append(thread.is_alive())
            return night.queue.release(lane, leases)

        def __getattr__(self, name: str) -> Any:
            return getattr(night.queue, name)

    engine = Scripted(lambda _: None)
    runner = night.start(engine, Slow())
    until(lambda: len(engine.waiting) == 3, 10, "three rows in hand")
    runner.stop(0.0)
    until(releasing.is_set, 10, "their release")
    night.stop()
    assert False not in still_there
    schedule = night.snapshot().batches[night.batch_id]
    assert (schedule.ready, schedule.leased) == (3, 0)


def test_a_drain_lets_running_rows_finish_and_releases_the_rest(night: WorkerNight, until: Callable[..., Any]) -> None:
    """A release costs no attempt."""
    night.accept(3)
    finish = threading.Event()
    engine = Scripted(lambda r: answer(r) if row_of(r) == 0 and finish.is_set() else None)
    runner = night.start(engine)
    until(lambda: len(engine.waiting) == 3, 10, "three rows in hand")
    runner.stop(60.0)
    finish.set()
    until(night.outcomes, 10, "the row that finishes")
    night.stop()
    assert [(line.row, line.status) for line in night.outcomes()] == [(0, "completed")]
    schedule = night.snapshot().batches[night.batch_id]
    assert (schedule.ready, schedule.leased) == (2, 0)
    assert [job.attempt for job in night.claim(5)] == [1, 1]


def test_a_queue_that_forgot_everything_is_filled_again(
    night: WorkerNight, until: Callable[..., Any], fake_client: redis.Redis
) -> None:
    night.accept(40)
    engine = Scripted(slots=2)
    night.start(engine)
    until(lambda: len(night.outcomes()) >= 5, 10, "some outcomes")
    fake_client.flushall()
    output, _ = night.outputs(until)
    assert [row["row"] for row in output] == list(range(40))


def test_a_batch_that_expires_without_a_worker_is_published(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(2)
    close(night.store, night.batch_id, "expired")
    night.publish()
    _, errors = night.published()
    assert {row["status"] for row in errors} == {"expired"}


def test_a_batch_ends_although_many_attempts_fail(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(100)
    night.start(StubEngine(StubOptions(failure_rate=0.3, seed=4)))
    done = night.until_published(until)
    night.published()
    assert done.counts["completed"] > 80
