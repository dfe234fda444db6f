"""The searches: each takes a batch of rows through CTranslate2, and notes in each row what was written and how it ended.

`greedy` takes the likeliest token each time. `beams` keeps several translations side by side, until as many as there are
beams have ended, and takes the best one by its log probability per token (as `generate` with `early_stopping=True`).
`drafts` is for all that CTranslate2 cannot do, or not so that a text is the same in every batch: sampling, penalties,
biases, log probabilities. CTranslate2 writes a draft of some tokens, and gives the logits at each position; our sampler
chooses from these logits. As long as it chooses the token of the draft, the next logits are right too; at the first other
token a new draft begins. So each token comes from the logits after the tokens before it, as if they had been computed one by
one (compare speculative decoding, arXiv 2211.17192).

CTranslate2 drops a callback on a thread of its own, some time after the batch. So no callback may lead to the translator:
its thread would end the translator, and wait for itself for ever.

A search runs on a thread of its own, and the engine's thread reads its rows only after it has ended. A token is asked about
as soon as it is written, but not with beams: a row stops at its own limit, or when it was cancelled.
"""

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from workers.engines.causal.sampler import SamplingState, sample
from workers.engines.text.endings import Ending, ending_of, further_texts
from workers.engines.translate.model import TranslateModel
from workers.engines.translate.rows import Row

DRAFT_TOKENS: Final = 16
"""A draft is at most this long. Longer ones are thrown away more often, and their logits need more memory."""

LOGIT_BYTES: Final = 1 << 28
"""The most memory for the logits of a batch of drafts, in bytes. One row may need more."""

_NO_PENALTY: Final = 1e-9
"""Without a length penalty CTranslate2 would end a search as soon as the best translation so far has ended."""


@dataclass(slots=True)
class Progress:
    """The time when CTranslate2 last began a batch or wrote a token, by `clock_ns`, in nanoseconds."""

    clock_ns: Callable[[], int]
    at_ns: int = 0

    def note(self) -> None:
        """Note that there is progress now."""
        self.at_ns = self.clock_ns()


@dataclass(frozen=True, slots=True)
class Endings:
    """Finds how rows end.

    Args:
        eos: The token that ends a translation.
        decode: Turns tokens into text.
        cancelled: The ids of cancelled requests. Other threads may add ids.
    """

    eos: tuple[int, ...]
    decode: Callable[[list[int]], str]
    cancelled: Container[str]

    def at(self, row: Row, tokens: list[int]) -> Ending | None:
        """Return how a row ends with the last of these tokens; None if it does not end there."""
        params, cancelled = row.source.request.prompt.params, row.name in self.cancelled
        return ending_of(tokens, params, eos=self.eos, decode=self.decode, cancelled=cancelled)


class Searches:
    """The searches of one model.

    Args:
        model: The model.
        beams: How many translations a search with beams keeps.
        length_penalty: The exponent of a translation's length, by which its log probability is divided.
        cancelled: The ids of cancelled requests. Other threads may add ids.
        clock_ns: Returns monotonic nanoseconds.
    """

    def __init__(
        self,
        model: TranslateModel,
        *,
        beams: int,
        length_penalty: float,
        cancelled: Container[str],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._model = model
        self._beams = beams
        self._length_penalty = length_penalty or _NO_PENALTY
        self._endings = Endings((model.codec.eos,), model.codec.decode, cancelled)
        self.progress = Progress(clock_ns, clock_ns())

    def run(self, batch: Sequence[Row]) -> None:
        """Take a batch of rows with equal keys one search further. All rows have ended then, but for those of drafts, and
        those that may search again since they have a lower limit than others of the batch.

        Raises whatever CTranslate2 raises. The rows are then as they were.
        """
        self.progress.note()
        {"greedy": self._greedy, "beams": self._beamed, "drafts": self._draft}[batch[0].search](batch)

    def most_rows(self, row: Row) -> int:
        """Return how many rows like this one may share a batch, by the memory for their logits."""
        if row.search != "drafts":
            return 1 << 20
        positions = len(row.source.forced) + len(row.tokens) + DRAFT_TOKENS
        return max(1, LOGIT_BYTES // (4 * self._model.codec.limits.vocabulary * positions))

    def _greedy(self, batch: Sequence[Row]) -> None:
        progress, watches = self.progress, [_Watch(row, self._endings) for row in batch]

        def stop(step: Any) -> bool:
            progress.note()
            return watches[int(step.batch_id)].stops(int(step.step), int(step.token_id))

        results = self._translate(
            batch,
            beam_size=1,
            return_end_token=True,
            callback=stop,
            **_lengths(batch),
        )
        early = []
        for row, watch, result in zip(batch, watches, results, strict=True):
            tokens = _tokens(result.hypotheses[0], row)
            if tokens[-1] in self._endings.eos and len(tokens) <= _min_tokens(row):
                early.append(row)
                continue
            row.tokens, row.ended = tokens, watch.ended or self._whole(row, tokens)
        self._apart(early)

    def _beamed(self, batch: Sequence[Row]) -> None:
        results = self._translate(
            batch,
            beam_size=self._beams,
            num_hypotheses=self._beams,
            length_penalty=self._length_penalty,
            **_lengths(batch),
        )
        limit, others = max(map(_max_tokens, batch)), []
        for row, result in zip(batch, results, strict=True):
            found = [_tokens(one, row) for one in result.hypotheses]
            sizes = [len(one) for one in found]
            last = max(sizes) + 1  # an end token follows; at its own limit, a row would also have those without one
            is_late = _max_tokens(row) < limit and last >= _max_tokens(row)
            is_early = any(size < _min_tokens(row) for size in sizes)
            if is_late or is_early:
                others.append(row)
                continue
            row.tokens = found[0] if sizes[0] == limit else [*found[0], *self._endings.eos]
            ended = self._whole(row, row.tokens)
            whole = [tokens for tokens in found[1:] if len(tokens) < limit]
            row.ended = replace(
                ended, alternatives=further_texts(ended.text, whole, row.source.request, self._model.codec.decode)
            )
        self._apart(others)

    def _apart(self, rows: Sequence[Row]) -> None:
        """Search again for rows that their own limits would have stopped, or kept from ending, by equal limits."""
        limits = {(_min_tokens(row), _max_tokens(row)) for row in rows}
        for own in sorted(limits):
            self.run([row for row in rows if (_min_tokens(row), _max_tokens(row)) == own])

    def _draft(self, batch: Sequence[Row]) -> None:
        progress = self.progress
        ends = [len(row.source.forced) + min(_max_tokens(row), len(row.tokens) + DRAFT_TOKENS) for row in batch]

        def stop(step: Any) -> bool:
            progress.note()
            return bool(step.step + 1 >= ends[step.batch_id])

        results = self._translate(
            batch,
            beam_size=1,
            max_decoding_length=max(ends),
            min_decoding_length=0,
            return_end_token=True,
            return_logits_vocab=True,
            callback=stop,
        )
        for row, result in zip(batch, results, strict=True):
            self._choose(row, _tokens(result.hypotheses[0], row), result.logits[0][len(row.source.forced) :])

    def _choose(self, row: Row, draft: list[int], logits: Sequence[Any]) -> None:
        """Choose the tokens of a row from the logits of its draft, as far as the draft is what was chosen."""
        params, tokens, ended = row.source.request.prompt.params, list(row.tokens), None
        state = SamplingState.of(params, (row.source.start, *row.source.forced), tokens)
        while ended is None and len(tokens) < len(logits) and tokens == draft[: len(tokens)]:
            tokens.append(int(sample(_tensor(logits[len(tokens)])[None], [state], self._endings.eos)[0]))
            state.append(tokens[-1])
            ended = self._endings.at(row, tokens)
        row.tokens, row.logprobs, row.ended = tokens, [*row.logprobs, *state.logprobs], ended

    def _whole(self, row: Row, tokens: list[int]) -> Ending:
        """Return how a row ends that CTranslate2 has written to its end, perhaps beyond a stop text."""
        params = row.source.request.prompt.params
        if params.stop or params.stop_token_ids:
            for size in range(1, len(tokens)):
                if ending := self._endings.at(row, tokens[:size]):
                    row.tokens = tokens[:size]
                    return ending
        ended = self._endings.at(row, tokens)
        return ended or Ending("length", self._model.codec.decode(tokens), len(tokens))

    def _translate(self, batch: Sequence[Row], **options: Any) -> Any:
        return self._model.translator.translate_batch(
            [_texts(row.source.tokens) for row in batch],
            [_texts([row.source.start, *row.source.forced, *row.tokens]) for row in batch],
            max_input_length=0,
            suppress_sequences=[[str(token)] for token in self._model.suppressed] or None,
            **options,
        )


class _Watch:
    """Follows the tokens of one row of a greedy search, and says when it stops."""

    def __init__(self, row: Row, endings: Endings) -> None:
        params = row.source.request.prompt.params
        self._row = row
        self._endings = endings
        self._forced = len(row.source.forced)
        self._limit = self._forced + params.max_tokens
        self._tokens: list[int] | None = [] if params.stop or params.stop_token_ids else None
        self.ended: Ending | None = None

    def stops(self, step: int, token: int) -> bool:
        """Whether the row stops with the token that was written at a step. Forced tokens are steps too."""
        if step < self._forced:
            return False
        if self._tokens is not None:
            self._tokens.append(token)
            self.ended = self._endings.at(self._row, self._tokens)
            return self.ended is not None
        return step + 1 >= self._limit or self._row.name in self._endings.cancelled


def _max_tokens(row: Row) -> int:
    return row.source.request.prompt.params.max_tokens


def _min_tokens(row: Row) -> int:
    return row.source.request.prompt.params.min_tokens


def _lengths(batch: Sequence[Row]) -> dict[str, int]:
    """Return the lengths for a batch, forced tokens included: the least and the most that any row may have."""
    forced = len(batch[0].source.forced)
    return {
        "min_decoding_length": forced + min(map(_min_tokens, batch)),
        "max_decoding_length": forced + max(map(_max_tokens, batch)),
    }


def _texts(tokens: Sequence[int]) -> list[str]:
    return [str(token) for token in tokens]


def _tokens(texts: Sequence[str], row: Row) -> list[int]:
    """Return the tokens of a translation, without the forced ones at its beginning."""
    return [int(text) for text in texts[len(row.source.forced) :]]


def _tensor(logits: Any) -> torch.Tensor:
    """Return a copy of the logits [vocabulary] of CTranslate2, in float32 on the CPU."""
    import ctranslate2
    import numpy as np

    if logits.dtype != ctranslate2.DataType.float32:
        logits = logits.to(ctranslate2.DataType.float32)
    if logits.device == "cuda":
        return torch.as_tensor(logits, device="cuda").cpu()
    return torch.from_numpy(np.array(logits))
