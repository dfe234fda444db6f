"""Time shares: a step's time is split over its sequences in proportion to the work that each caused."""

from collections.abc import Sequence
from typing import Final

from workers.engines.causal.runtime.runtime import StepTime
from workers.engines.causal.sequences import Span

NOTHING_MEASURED: Final = StepTime(0, 1, 0)
"""The `StepTime` of a step that failed. With it, the step's time is split equally over the sequences."""


def time_weights(spans: Sequence[Span], step_time: StepTime) -> list[int]:
    """Return a weight for each span (one sequence's tokens in the step): about the nanoseconds that the span took.

    The time of attention is split by the number of tokens to which the span's tokens attend. The time of the other layers is
    split by the number of computed tokens, and the time of sampling by the number of sampled tokens.
    """
    reads = [span.size * span.start + span.size * (span.size + 1) // 2 for span in spans]
    read, tokens, samples = sum(reads), sum(span.size for span in spans), sum(span.samples for span in spans)
    return [
        1
        + step_time.attention_ns * reads[n] // read
        + step_time.layers_ns * span.size // tokens
        + (step_time.sampling_ns * span.samples // samples if span.samples else 0)
        for n, span in enumerate(spans)
    ]
