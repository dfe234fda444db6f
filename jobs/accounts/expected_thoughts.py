"""Expected thoughts: how many tokens of thoughts a model writes before an answer, as its latest published rows show."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any, Final

from jobs.accounts.summary import Summary
from jobs.batches.published import OUTPUT, read_published
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import latest_done
from jobs.errors import NoBatch, StoreDamaged
from jobs.generation import Prompt
from jobs.store.store import Store

BATCHES: Final = 5
"""The mean is taken over rows of at most this many batches of a model: the latest ones."""
ROWS: Final = 200
"""At most this many rows at the beginning of each of these batches are read."""


class LatestBatches:
    """Keeps the latest `BATCHES` batches of each model, from the summaries that are added."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, datetime]] = {}

    def add(self, summary: Summary) -> None:
        """Add the batch of a summary. If a model then has too many batches, its oldest one is dropped."""
        for model in {model for groups in summary.added.values() for _, model, _, _ in groups}:
            found = self._of.setdefault(model, {})
            found[summary.batch_id] = max(summary.at, found.get(summary.batch_id, summary.at))
            if len(found) > BATCHES:
                del found[min(found, key=lambda batch_id: found[batch_id])]

    def thoughts_of(self, store: Store, model: str) -> float:
        """Return the mean number of tokens of thoughts for each prompt of the model's latest rows; 0 if it has no such rows."""
        prompts = thoughts = 0
        batches = self._of.get(model, {})
        for batch_id in sorted(batches, key=lambda one: batches[one], reverse=True):
            for row in _rows(store, batch_id, model):
                prompts += max(1, len(row.get("params") or ()))
                thoughts += int(row.get("reasoning_tokens") or 0)
        return thoughts / prompts if prompts else 0.0


def thinking_prompts(request: RowRequest, prompts: Iterable[Prompt]) -> int:
    """Return how many of a row's prompts may have thoughts beyond the tokens that the kind expects.

    There are none beyond a row's own `max_tokens`, which includes thoughts. Prompts that are raw texts, that only score
    continuations, or that turn thoughts off have no thoughts.
    """
    if request.max_tokens is not None:
        return 0
    return sum(
        bool(prompt.messages)
        and not prompt.continuations
        and prompt.chat_template_kwargs.get("enable_thinking") is not False
        for prompt in prompts
    )


def _rows(store: Store, batch_id: str, model: str) -> Iterator[dict[str, Any]]:
    """Yield the model's rows that could have thoughts, among a batch's first; none if the batch is damaged or deleted."""
    with suppress(NoBatch, StoreDamaged):
        done = latest_done(store, batch_id)
        rows = () if done is None else islice(read_published(store, done, batch_id, OUTPUT), ROWS)
        yield from (row for row in rows if row.get("model") == model and row.get("kind") != "completion")
