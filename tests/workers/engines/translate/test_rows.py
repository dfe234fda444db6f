"""Shows workers/engines/translate/rows.py: the rows of a batch are alike, near in length, and bounded."""

import random
from typing import Any

import pytest

from tests.workers.engines.translate.small_engines import request_of
from workers.engines.families.family import TranslationInput
from workers.engines.translate.engine import search_of
from workers.engines.translate.rows import Row, Search, next_batch


def row(name: str, size: int, search: Search = "greedy", forced: tuple[int, ...] = (), min_tokens: int = 0) -> Row:
    request = request_of(name, min_tokens=min_tokens)
    return Row(TranslationInput(request, [5] * size, 0, forced, "sha"), search)


def sizes(batch: list[Row]) -> list[int]:
    return [len(one.source.tokens) for one in batch]


@pytest.mark.parametrize(
    ("waiting", "rows", "tokens", "wanted"),
    [
        pytest.param([5, 90, 7, 6, 80], 3, 1_000, [5, 6], id="the shortest are left"),
        pytest.param([50, 10, 51, 49, 90], 3, 1_000, [50, 51, 90], id="from the longest down"),
        pytest.param([50, 10, 51, 49, 90], 2, 1_000, [49, 50], id="in the middle"),
        pytest.param([5, 6, 7, 8], 64, 18, [5, 6], id="padded tokens count"),
        pytest.param([500, 6, 7], 64, 100, [500], id="a long one alone"),
        pytest.param([9, 9, 9], 64, 27, [9, 9, 9], id="exactly full"),
        pytest.param([9, 9, 9], 64, 26, [9, 9], id="one too many"),
        pytest.param([30, 3, 2, 1], 64, 60, [3, 30], id="shorter ones, as long as the longest"),
    ],
)
def test_a_batch_has_the_oldest_and_its_neighbours(
    waiting: list[int], rows: int, tokens: int, wanted: list[int]
) -> None:
    given = [row(str(n), size) for n, size in enumerate(waiting)]
    batch = next_batch(given, rows, tokens)
    assert sizes(batch) == wanted
    assert given[0] in batch


def test_every_row_comes_soon() -> None:
    """The oldest row is in each batch, so no row waits for more batches than there were rows before it."""
    rng = random.Random(3)
    waiting = [row(str(n), rng.randint(1, 400)) for n in range(200)]
    seen = 0
    while waiting:
        batch = next_batch(waiting, 16, 2_000)
        assert waiting[0] in batch
        assert len(batch) <= 16
        assert len(batch) == 1 or len(batch) * max(sizes(batch)) <= 2_000
        waiting = [one for one in waiting if one not in batch]
        seen += len(batch)
    assert seen == 200


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(row("b", 5, "beams"), id="search"),
        pytest.param(row("b", 5, forced=(7,)), id="forced tokens"),
    ],
)
def test_rows_that_ctranslate2_would_run_differently_do_not_share_a_batch(other: Row) -> None:
    assert next_batch([row("a", 5), other], 8, 100) == [row("a", 5)]


@pytest.mark.parametrize("search", ["greedy", "beams", "drafts"])
def test_rows_of_a_batch_have_limits_of_their_own(search: Search) -> None:
    waiting = [row("a", 5, search), row("b", 5, search, min_tokens=3)]
    assert next_batch(waiting, 8, 100) == waiting


@pytest.mark.parametrize(
    ("params", "beams", "search"),
    [
        pytest.param({}, 1, "greedy", id="greedy"),
        pytest.param({}, 4, "beams", id="beams"),
        pytest.param({"temperature": 0.5}, 4, "drafts", id="sampling"),
        pytest.param({"repetition_penalty": 1.2}, 1, "drafts", id="repetition penalty"),
        pytest.param({"presence_penalty": 0.5}, 4, "drafts", id="presence penalty"),
        pytest.param({"frequency_penalty": -0.5}, 1, "drafts", id="frequency penalty"),
        pytest.param({"logit_bias": {3: 1.0}}, 1, "drafts", id="bias"),
        pytest.param({"logprobs": 0}, 1, "drafts", id="log probabilities"),
        pytest.param({"top_k": 5, "stop": ("x",), "min_tokens": 2}, 1, "greedy", id="what greedy search can do"),
    ],
)
def test_the_search_follows_from_the_params(params: dict[str, Any], beams: int, search: str) -> None:
    assert search_of(request_of("r", **params).prompt.params, beams) == search
