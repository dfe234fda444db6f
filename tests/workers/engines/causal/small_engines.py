"""Slot engines of small random models, prompts for them, and ways to run them."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.architectures import VOCABULARY, Numbers, make
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.cuda_graphs import Recorder
from workers.engines.causal.slot_engine import SlotEngine
from workers.engines.device.placement import Placement
from workers.engines.protocol import Engine

GREEDY = SamplingParams(max_tokens=12, temperature=0.0, seed=1)
SAMPLED = SamplingParams(max_tokens=12, temperature=1.0, seed=1)


def random_model(name: str = "llama", dtype: torch.dtype = torch.float32, device: str = "cpu") -> CausalModel:
    """A small random model of an architecture. Its tokenizer reads and writes numbers."""
    return wrap_model(make(name).to(device, dtype), Numbers(), Placement(torch.device(device), dtype, device))


def slot_engine(model: CausalModel, slots: int = 4, *, recorder: Recorder | None = None, **options: Any) -> SlotEngine:
    """An engine with a small cache. Without a `recorder` it records no steps, not even on a GPU."""
    given = CausalOptions(**{"cache_bytes": 1 << 22, "graphs": False, **options})
    engine = build_engine("tiny", model, given, slots=slots, recorder=recorder)
    assert isinstance(engine, SlotEngine)
    return engine


def request_of(name: str, tokens: Sequence[int], params: SamplingParams = GREEDY) -> GenerationRequest:
    """A request whose prompt has these tokens."""
    return GenerationRequest(name, Prompt(text=" ".join(map(str, tokens)), params=params))


def completions(engine: Engine, *requests: GenerationRequest) -> dict[str, Completion]:
    """Submit the requests, step until all have ended, and return their completions by id."""
    for request in requests:
        engine.submit(request)
    done: list[Completion] = []
    while len(done) < len(requests):
        done += engine.step()
    return {one.request_id: one for one in done}


def prompts(n: int, seed: int = 0) -> list[list[int]]:
    """Prompts of many lengths, about 60 % of which have a common prefix of 15 tokens."""
    chance = random.Random(seed)
    prefix = [chance.randrange(3, VOCABULARY) for _ in range(15)]
    return [
        [
            *(prefix if chance.random() < 0.6 else []),
            *(chance.randrange(3, VOCABULARY) for _ in range(chance.randrange(1, 30))),
        ]
        for _ in range(n)
    ]


def generate_alone(network: Any, request: GenerationRequest) -> str:
    """The text that `generate` of transformers gives to a request alone, greedily."""
    ids = torch.tensor([[int(token) for token in request.prompt.text.split()]])
    limit = request.prompt.params.max_tokens
    out = network.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=limit, eos_token_id=2, pad_token_id=0
    )
    return " ".join(map(str, out[0, ids.shape[1] :].tolist()))


@contextmanager
def before_each_step(model: CausalModel, call: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """The network calls `call` with the tokens of each step before it computes them."""
    hook = model.network.get_input_embeddings().register_forward_pre_hook(lambda _module, inputs: call(inputs[0]))
    try:
        yield
    finally:
        hook.remove()
