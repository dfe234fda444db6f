"""Makes the batch of `scripts/bench/scale.py`, through the real intake or directly, and its segments."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import orjson

from jobs.batches.batch import Batch, BatchPaths, LaneInput
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import list_batches, to_bytes
from jobs.batches.segments import segment
from jobs.batches.segments.line import Outcome
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.usage import Usage

LANE: Final = "stub"
SHUFFLED: Final = 4096
"""Rows are shuffled within windows of this many rows, because a lane mixes rows in a similar way."""
WORDS: Final = "Sow basil in the warm, thin it at four leaves, and water the soil, never the leaf. "
WHEN: Final = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


def text_of(size: int) -> str:
    """Return an English text of `size` bytes."""
    return (WORDS * (size // len(WORDS) + 1))[:size]


def intake(store: Store, rows: int, size: int) -> None:
    """Accept `rows` rows through the real intake. The prompt of each has a little more than `size` bytes."""
    text = text_of(size)
    lines = (orjson.dumps({"kind": "chat", "model": LANE, "prompt": f"{row} {text}"}) for row in range(rows))
    accept(store, lines, IntakeOptions(name="scale"), kinds=load_kinds(None), settings=Settings(), run_key="scale")


def accept_by_hand(store: Store, rows: int) -> None:
    """Write the input and the acceptance of a batch of short requests. A run that only publishes needs no real intake."""
    paths = BatchPaths("scale")
    digest, size = hashlib.sha256(), 0
    with store.writer(paths.input(LANE)) as file:
        for row in range(rows):
            line = RowRequest(row=row, line=row + 1, kind="chat", model=LANE, request={"prompt": "x"}).to_line()
            file.write(line)
            digest.update(line)
            size += len(line)
    lane = LaneInput(model=LANE, rows=rows, bytes=size, sha256=digest.hexdigest())
    batch = Batch(
        batch_id="scale",
        name="scale",
        tenant="default",
        priority=4,
        run_key="scale",
        rows=rows,
        refused=0,
        lanes={LANE: lane},
        full_sha256="0" * 64,
        created_at=WHEN,
    )
    store.create(paths.acceptance, to_bytes(batch))


def write_segments(store: Store, rows: int, segments: int, size: int) -> None:
    """Write a completed outcome of `size` bytes for every row, in `segments` segments of equal size.

    The rows are shuffled within windows (SHUFFLED).
    """
    paths, rows_each = BatchPaths(only_batch(store)), -(-rows // segments)

    def write(numbered: tuple[int, Sequence[int]]) -> None:
        n, part = numbered
        segment.write(store, paths, [completed(row, size) for row in part], f"w{n % 8}", "1", n)

    order = _shuffled(rows)
    parts = iter(lambda: list(islice(order, rows_each)), [])
    numbered = enumerate(parts)
    with ThreadPoolExecutor(store.reads_at_once) as threads:
        while some := list(islice(numbered, 64)):
            list(threads.map(write, some))


def _shuffled(rows: int) -> Iterator[int]:
    chance = random.Random(1)
    for start in range(0, rows, SHUFFLED):
        window = list(range(start, min(start + SHUFFLED, rows)))
        chance.shuffle(window)
        yield from window


def completed(row: int, size: int, **values: Any) -> Outcome:
    """Return the outcome of a completed row as a worker writes it, with a text of `size` bytes. `values` are further fields."""
    receipt = {
        "model_revision": "1",
        "engine": "stub",
        "device": "cpu",
        "finish_reason": "stop",
        "seed": row,
        "worker": "w",
        "started_at": WHEN.isoformat(),
        "finished_at": WHEN.isoformat(),
        "prices": "example-2026-11",
        "currency": "USD",
    }
    usage = Usage(500, 0, 500, 1_000_000 + row, 14, 1_000 + row)
    line: dict[str, Any] = {"round": 1, "fence": 1, "claim_id": "w-1-1", "custom_id": f"c{row}"} | values
    return Outcome(
        row=row, status="completed", final=True, kind="chat", output={"text": f"{row} {text_of(size)}"[:size]}, usage=usage,
        model=LANE, tenant="default", receipt=receipt, **line,
    )  # fmt: skip


def only_batch(store: Store) -> str:
    """Return the id of the only batch in the store, which an earlier phase made."""
    (batch_id,) = list_batches(store)
    return batch_id
