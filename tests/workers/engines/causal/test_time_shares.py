"""Shows workers/engines/causal/time_shares.py: how a step's time is split over its sequences."""

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from jobs.generation import GenerationRequest, Prompt
from workers.engines.causal.runtime.runtime import StepTime
from workers.engines.causal.sequences import Span, TokenSequence
from workers.engines.causal.time_shares import NOTHING_MEASURED, time_weights


def span(start: int, size: int, *, samples: int = 1) -> Span:
    return Span(TokenSequence(GenerationRequest("r", Prompt(text="x")), [1] * (start + size)), start, size, samples)


@pytest.mark.parametrize(
    ("step_time", "expected"),
    [
        pytest.param(StepTime(1000, 0, 0), [101, 900, 2], id="attention by the tokens attended to"),
        pytest.param(StepTime(0, 400, 0), [101, 201, 101], id="layers by the tokens computed"),
        pytest.param(StepTime(0, 0, 600), [301, 1, 301], id="sampling by the tokens sampled"),
        pytest.param(NOTHING_MEASURED, [1, 1, 1], id="nothing measured"),
    ],
)
def test_each_part_of_a_step_is_split_by_the_work_that_caused_it(step_time: StepTime, expected: list[int]) -> None:
    """The spans are a decode after 99 tokens, a chunk of two tokens after 448, and a prompt of one token. They attend to 100,
    899 and 1 tokens.
    """
    spans = [span(99, 1), span(448, 2, samples=0), span(0, 1)]
    assert time_weights(spans, step_time) == expected
