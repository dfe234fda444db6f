"""Answers the workload with our engine, through the protocol that workers use.

The engine knows the token limit of each request, and takes the requests in the order of the workload. The optional argv[3] is an
end token. It is banned from all texts, so that no text ends early. Rows of a batch can ban a token in the same way, by
`logit_bias`.
"""

import sys

from scripts.bench.engine_peers.clock import Clock
from scripts.bench.engine_peers.workload import Workload

clock = Clock()

from pathlib import Path  # noqa: E402 - the clock begins before heavy imports
from typing import Any  # noqa: E402

from jobs.catalog import ModelCard  # noqa: E402
from jobs.generation import GenerationRequest, Prompt, SamplingParams  # noqa: E402
from workers.engines.registry import make_engine  # noqa: E402


def length(size: int) -> dict[str, Any]:
    """Return the sampling parameter that keeps a text from ending before `size` tokens: `logit_bias` if argv[3] is given, else
    `min_tokens`.
    """
    return {"logit_bias": {int(sys.argv[3]): -100.0}} if len(sys.argv) > 3 else {"min_tokens": size}


def main() -> None:
    """Answer the workload in the file argv[1], and write the report to argv[2]."""
    work = Workload.read(sys.argv[1])
    card = ModelCard.model_validate(
        {"source": work.folder, "dtype": work.dtype, "slots": work.slots, "device": work.device}
    )
    engine = make_engine("bench", card, Path())
    clock.loaded()
    for n, request in enumerate(work.requests):
        size = request.new_tokens
        params = SamplingParams(temperature=0.0, seed=1, max_tokens=size, **length(size))
        engine.submit(GenerationRequest(str(n), Prompt(text=request.prompt, params=params)))
    tokens = done = 0
    while done < len(work.requests):
        for completion in engine.step():
            done += 1
            tokens += completion.completion_tokens
    clock.done(tokens)


main()
