"""The rows of the translate engine: requests with their tokens, what was written of them so far, and the batches they run in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from jobs.generation import Completion, Fault
from workers.engines.batching import batch_of_oldest
from workers.engines.families.family import TranslationInput
from workers.engines.text.encoding import SampledLogprob
from workers.engines.text.endings import Ending

Search = Literal["greedy", "beams", "drafts"]
"""How the tokens of a row are chosen: CTranslate2 takes the likeliest one after the other, or searches with beams, or our sampler
chooses among what CTranslate2 computed for a draft."""

DECODE_WEIGHT: Final = 3
"""When the time of a batch is split over its rows, a token of a translation counts as this many tokens of a text. Measured with a
Marian of 6 + 6 layers on one core: 2.5 in float32 and 3.6 in int8."""


@dataclass(slots=True)
class Row:
    """A request that the engine has in hand.

    Args:
        source: The request and the tokens that the model reads.
        search: How its tokens are chosen.
        tokens: The tokens written so far, without start and forced ones.
        logprobs: Their log probabilities, if the request asks for them.
        spent_ns: The device time that it took so far.
        begun_ns: When its first batch began; 0 before that.
        ended: How it ended; None if it has not.
    """

    source: TranslationInput
    search: Search
    tokens: list[int] = field(default_factory=list)
    logprobs: list[SampledLogprob] = field(default_factory=list)
    spent_ns: int = 0
    begun_ns: int = 0
    ended: Ending | Fault | None = None

    @property
    def name(self) -> str:
        """The id of the request."""
        return self.source.request.request_id

    @property
    def key(self) -> tuple[object, ...]:
        """Rows with equal keys may share a batch."""
        return self.search, len(self.source.forced)

    @property
    def weight(self) -> int:
        """The share of the row in the time of its batch."""
        return len(self.source.tokens) + DECODE_WEIGHT * len(self.tokens)

    def completion(self) -> Completion:
        """Return the completion of a row that has ended."""
        request, ended = self.source.request, self.ended
        size = len(self.source.tokens)
        if isinstance(ended, Fault):
            return Completion(
                self.name, "", "error", size, device_ns=self.spent_ns, fault=ended, begun_ns=self.begun_ns
            )
        assert ended is not None  # noqa: S101 - the engine completes only rows that ended
        return Completion(
            self.name,
            ended.text,
            ended.reason,
            size,
            0,
            ended.tokens,
            self.spent_ns,
            logprobs=ended.logprobs,
            prompt_sha256=self.source.prompt_sha256,
            constraint=None if request.prompt.schema is None else "none",
            alternatives=ended.alternatives,
            begun_ns=self.begun_ns,
        )


def next_batch(waiting: Sequence[Row], rows: int, tokens: int) -> list[Row]:
    """Return the next batch of rows with the key of the one that has waited longest. See `batch_of_oldest`."""
    return batch_of_oldest([row for row in waiting if row.key == waiting[0].key], _length, rows, tokens)


def _length(row: Row) -> int:
    return len(row.source.tokens)
