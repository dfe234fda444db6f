"""An engine with a small random model of a family, the tokens that its network reads, and what it writes."""

from typing import Any

import torch

from jobs.generation import Completion, GenerationRequest, Prompt, SamplingParams
from tests.workers.engines.chat_families import network_of, tokenizer_of
from workers.engines.causal.loading import CausalOptions, build_engine, wrap_model
from workers.engines.device.placement import Placement


class Reader:
    """An engine that reads prompts.

    Args:
        family: A name of `families.FAMILIES`.
        padded: Whether it is the padded engine.
        eos: The model's option `eos`.
    """

    def __init__(self, family: str, *, padded: bool, eos: tuple[int | str, ...] = ()) -> None:
        network = network_of(family)
        placement = Placement(torch.device("cpu"), torch.float32, "cpu")
        options = CausalOptions(padded=padded, cache_bytes=1 << 24, step_tokens=4096, prefix_sharing=False, eos=eos)
        self.engine = build_engine("tiny", wrap_model(network, tokenizer_of(family), placement), options, slots=2)
        self._seen: list[int] = []
        network.get_input_embeddings().register_forward_pre_hook(self._see)

    def read(self, **prompt: Any) -> list[int]:
        """Return the tokens of a prompt that the network reads. Only one token is asked for, so no text is written."""
        self._seen.clear()
        params = SamplingParams(max_tokens=1, temperature=0.0, seed=1)
        self.engine.submit(GenerationRequest("r", Prompt(params=params, **prompt)))
        (done,) = self.engine.step()
        assert done.fault is None
        assert len(self._seen) == done.prompt_tokens
        return list(self._seen)

    def write(self, **params: Any) -> Completion:
        """Return a greedy completion under these sampling params."""
        prompt = Prompt(text="Write a text.", params=SamplingParams(temperature=0.0, seed=1, **params))
        self.engine.submit(GenerationRequest("r", prompt))
        done: list[Completion] = []
        while not done:
            done += self.engine.step()
        return done[0]

    def _see(self, _module: object, inputs: tuple[torch.Tensor, ...]) -> None:
        self._seen += inputs[0].flatten().tolist()
