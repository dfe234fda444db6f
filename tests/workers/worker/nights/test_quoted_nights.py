"""Nights that are quoted: real workers with the stub engine run a sample, then the rest, and the ledger has each row once."""

import random
from collections.abc import Callable
from typing import Any

from jobs.batches.batch import QuoteTerms
from jobs.batches.published import USAGE, read_published
from jobs.batches.quotes.quoted import Quoted, read_quoted
from jobs.batches.rounds import require_batch, resume
from tests.support.worker_night import WorkerNight
from workers.engines.stub.engine import StubEngine


def mixed(count: int) -> list[dict[str, Any]]:
    """Rows of four kinds: of one prompt, of several answers, and of several steps."""
    chance = random.Random(1)
    rows: list[dict[str, Any]] = []
    for n in range(count):
        rows.append({"kind": "chat", "prompt": f"Say {n}.", "max_tokens": chance.choice((20, 60)), "n": 1 + n % 2})
        if n % 2:
            rows.append({"kind": "social_post", "topic": f"Tea {n}", "platform": "mastodon"})
            rows.append({"kind": "article", "topic": f"Tea {n}", "target_words": 120})
        else:
            translated = {"source_language": "en", "target_language": "de"}
            rows.append({"kind": "translation", "text": f"Pour the tea {n}.\nDrink it.", **translated})
    return rows


def swept_until(night: WorkerNight, until: Callable[..., Any]) -> Quoted:
    sweeper = night.sweeper()
    batch = require_batch(night.store, night.batch_id)

    def quoted() -> Quoted | None:
        sweeper.sweep()
        return read_quoted(night.store, batch)

    found = until(quoted, 60, "the batch to be quoted")
    assert isinstance(found, Quoted)
    return found


def test_rows_of_a_quoted_night_are_published_once_and_the_ledger_has_them(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any]
) -> None:
    night = make_night(max_regenerations=0)
    rows = mixed(160)
    batch = night.accept([*rows, b"no JSON"], quote=QuoteTerms())
    night.start(StubEngine())
    found = swept_until(night, until)
    assert found.sampled < len(rows)
    assert {one.kind for one in found.strata} == {"chat", "social_post", "article", "translation"}
    resume(night.store, batch)
    output, errors = night.outputs(until)
    assert sorted(row["row"] for row in (*output, *errors)) == list(range(len(rows) + 1))
    assert len(errors) == 1
    ran = [line.row for line in night.outcomes() if line.status == "completed"]
    assert len(ran) == len(set(ran)), "a row ran twice"
    (usage,) = read_published(night.store, night.done(), night.batch_id, USAGE)
    tokens = usage["prompt_tokens"] + usage["completion_tokens"]
    assert tokens == sum(row["usage"]["prompt_tokens"] + row["usage"]["completion_tokens"] for row in output)
    assert found.tokens.low <= tokens <= found.tokens.high
    assert found.charge.low <= usage["charge"] <= found.charge.high
    assert found.tokens.most is not None
    assert found.charge.most is not None
    assert tokens <= found.tokens.most
    assert usage["charge"] <= found.charge.most


def test_a_worker_that_dies_within_the_sample_costs_no_row(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any]
) -> None:
    night = make_night(max_regenerations=0)
    batch = night.accept(mixed(60), quote=QuoteTerms(goes_on=True))
    runner = night.start(StubEngine())
    runner.stop(0.0)
    night.client.flushall()  # and Redis forgets what was at work
    night.start(StubEngine())
    output, errors = night.outputs(until)
    assert (len(output), errors) == (batch.rows, [])
    assert read_quoted(night.store, batch) is not None
