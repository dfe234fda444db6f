"""The probe finds out whether a model can run in slots: from its config, and then by a trial.

The trial computes two short prompts in slots, one of them in two chunks and beginning with a copied prefix, then decodes a
token after each, and compares the logits with those of the model's own forward. A model that fails runs slower, in padded
batches: a slow text is better than a wrong one.
"""

from typing import Final

import torch

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.attention import ATTENTION_NAME
from workers.engines.causal.runtime.logit_distance import TOLERANCE, logit_distance
from workers.engines.causal.runtime.runtime import Runtime
from workers.engines.causal.sequences import Span, TokenSequence

KNOWN_LAYERS: Final = {"full_attention", "sliding_attention"}


class Unfit(Exception):
    """A model cannot run in slots; the message says why."""


def prepare_for_slots(model: CausalModel) -> int:
    """Switch the model's attention to that of slots. Returns the bytes that one token of one slot takes in the KV cache.

    Raises:
        Unfit: The model cannot run in slots; it is left as it was.
    """
    config = model.network.config.get_text_config()
    if unknown := set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS:
        raise Unfit(f"it has layers of {', '.join(sorted(unknown))}, which keep no plain KV cache")
    if model.network.config.is_encoder_decoder:
        raise Unfit("it is not decoder-only")
    if not model.network._can_set_attn_implementation():  # noqa: SLF001 - the public setter only logs a refusal
        raise Unfit("its attention cannot be replaced")
    before = model.network.config._attn_implementation  # noqa: SLF001 - transformers has no other way to ask
    if before == ATTENTION_NAME:  # the model had an engine before
        before = "sdpa" if model.network._supports_sdpa else "eager"  # noqa: SLF001 - as transformers itself chooses
        model.network.set_attn_implementation(before)
    prompts = _prompts(model)
    expected = [_own_logits(model, tokens) for tokens in prompts]
    try:
        model.network.set_attn_implementation(ATTENTION_NAME)
        got, token_bytes = _slot_logits(model, prompts)
    except Exception as error:  # a model's own code may raise anything
        model.network.set_attn_implementation(before)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise Unfit(f"its code fails in slots: {reason}") from error
    if (apart := logit_distance(expected, got)) > TOLERANCE[model.placement.dtype]:
        model.network.set_attn_implementation(before)
        raise Unfit(f"its logits in slots differ from its own by {apart:.2g} of their standard deviation")
    return token_bytes


def _prompts(model: CausalModel) -> list[list[int]]:
    """Return two prompts with a common prefix of four tokens, spread over the vocabulary."""
    words = model.encoder.vocabulary
    first = [(7 + 31 * n) % words for n in range(9)]
    return [first, [*first[:4], *((11 + 17 * n) % words for n in range(7))]]


@torch.inference_mode()
def _own_logits(model: CausalModel, tokens: list[int]) -> torch.Tensor:
    """Return the logits [2, vocabulary] after the last two tokens, computed by the model itself without a cache."""
    ids = torch.tensor([tokens], device=model.placement.device)
    out = model.network(input_ids=ids, use_cache=False).logits[0, -2:]
    return torch.Tensor(out.float().cpu())


def _slot_logits(model: CausalModel, prompts: list[list[int]]) -> tuple[list[torch.Tensor], int]:
    """Return the same logits of each prompt as computed in slots, and the bytes of a token in the cache.

    All tokens but the last of each prompt are computed first, then both last ones in one step.
    """
    runtime = Runtime(model.network, model.placement.device, layers=model.layers, slots=3, length=16, eos=model.eos)
    request = GenerationRequest("probe", Prompt(text="probe", params=SamplingParams(max_tokens=1, seed=0)))
    one, other = (TokenSequence(request, tokens, slot=slot) for tokens, slot in zip(prompts, (0, 2), strict=True))
    size, shared = len(one.prompt) - 1, 4
    first = [runtime.logits([Span(one, 0, size, samples=1)])]
    runtime.copy_prefix(0, 2, shared)
    runtime.logits([Span(other, shared, 2, samples=0)])
    rest = len(other.prompt) - 1 - shared - 2
    second = [runtime.logits([Span(other, shared + 2, rest, samples=1)])]
    last = runtime.logits([Span(one, size, 1, samples=1), Span(other, len(other.prompt) - 1, 1, samples=1)])
    first.append(last[:1])
    second.append(last[1:])
    return [torch.cat(parts).float().cpu() for parts in (first, second)], runtime.cache.token_bytes
