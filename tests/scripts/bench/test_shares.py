"""Shows for `scripts/bench/shares.py` that the time of all rows, idle time and loading add up to all the time."""

import random
import time
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")

import torch

from scripts.bench.shares import Books, Sort, at_once, closed, ratios
from tests.workers.engines.architectures import Numbers, make
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.device.placement import Placement


def test_the_books_of_an_engine_close_within_a_thousandth() -> None:
    """The separate clock starts before the engine is loaded. How the ratios lie to each other depends on the machine's load."""
    model = wrap_model(make("llama"), Numbers(), Placement(torch.device("cpu"), torch.float32, "cpu"))
    model = replace(model, encoder=replace(model.encoder, tokenizer=Small()))
    loading_ns, began_ns = at_once(time.monotonic_ns)
    engine = build_engine("tiny", model, CausalOptions(cache_bytes=1 << 22), slots=4, began_ns=loading_ns)
    alone, mixed, rows_ns = ratios(engine, Sort(20, 30), Sort(5, 5), 8, random.Random(1))
    books = closed(engine, rows_ns, began_ns)
    assert alone > 0 < mixed
    assert books.rows == engine.stats().busy_ns
    assert abs(books.off) < 0.001
    assert abs(replace(books, rows=books.rows // 2).off) > 0.001, "missing time would be noticed"


def test_missing_time_is_negative() -> None:
    assert Books(rows=40, idle=30, load=20, clock=100).off == pytest.approx(-0.1)


class Small(Numbers):
    """A tokenizer that turns numbers of any size into tokens."""

    def __call__(self, text: str, **_options: object) -> dict[str, list[int]]:
        return {"input_ids": [3 + int(token) % 50 for token in text.split()]}
