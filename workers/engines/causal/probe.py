"""Whether a model can run in slots: what its config says, and then a trial, since a wrong text is worse than a slow one.

The trial reads two short prompts in slots, one in two chunks and beginning with a copied prefix, writes a token after each,
and compares the logits with those of the model's own forward.
"""

from typing import Final

import torch

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.attention import NAME
from workers.engines.causal.runtime.logit_distance import TOLERANCE, difference
from workers.engines.causal.runtime.runtime import Runtime
from workers.engines.causal.sequences import Piece, Text

KNOWN_LAYERS: Final = {"full_attention", "sliding_attention"}


class Unfit(Exception):
    """Why a model cannot run in slots."""


def fit_for_slots(model: CausalModel) -> int:
    """Make the model's attention that of slots. Returns the bytes that a token takes in the cache.

    Raises:
        Unfit: It cannot be; the model is as it was.
    """
    config = model.network.config.get_text_config()
    if unknown := set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS:
        raise Unfit(f"it has layers of {', '.join(sorted(unknown))}, whose cache is not plain attention")
    if model.network.config.is_encoder_decoder:
        raise Unfit("it is not decoder-only")
    if not model.network._can_set_attn_implementation():  # noqa: SLF001 - else it says so in the log, and goes on
        raise Unfit("its attention is code of its own")
    before = model.network.config._attn_implementation  # noqa: SLF001 - transformers has no other way to ask
    if before == NAME:  # the model had an engine before
        before = "sdpa" if model.network._supports_sdpa else "eager"  # noqa: SLF001 - as transformers itself chooses
        model.network.set_attn_implementation(before)
    prompts = _prompts(model)
    expected = [_own_logits(model, tokens) for tokens in prompts]
    try:
        model.network.set_attn_implementation(NAME)
        got, token_bytes = _slot_logits(model, prompts)
    except Exception as error:  # a model's own code may raise anything
        model.network.set_attn_implementation(before)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise Unfit(f"its code does not take slots: {reason}") from error
    if (apart := difference(expected, got)) > TOLERANCE[model.placement.dtype]:
        model.network.set_attn_implementation(before)
        raise Unfit(f"its logits in slots differ from its own by {apart:.2g} of their spread")
    return token_bytes


def _prompts(model: CausalModel) -> list[list[int]]:
    """Two prompts with a common beginning, spread over the vocabulary."""
    words = model.encoder.vocabulary
    first = [(7 + 31 * n) % words for n in range(9)]
    return [first, [*first[:4], *((11 + 17 * n) % words for n in range(7))]]


@torch.inference_mode()
def _own_logits(model: CausalModel, tokens: list[int]) -> torch.Tensor:
    """[2, vocabulary] after the last two tokens, without any cache."""
    ids = torch.tensor([tokens], device=model.placement.device)
    out = model.network(input_ids=ids, use_cache=False).logits[0, -2:]
    return torch.Tensor(out.float().cpu())


def _slot_logits(model: CausalModel, prompts: list[list[int]]) -> tuple[list[torch.Tensor], int]:
    """The same in slots: all tokens but one of each prompt, then both last ones in one step."""
    runtime = Runtime(model.network, model.placement.device, layers=model.layers, slots=3, length=16, eos=model.eos)
    request = GenerationRequest("probe", Prompt(text="probe", params=SamplingParams(max_tokens=1, seed=0)))
    one, other = (Text(request, tokens, slot=slot) for tokens, slot in zip(prompts, (0, 2), strict=True))
    size, shared = len(one.prompt) - 1, 4
    first = [runtime.logits([Piece(one, 0, size, last=True)])]
    runtime.copy(0, 2, shared)
    runtime.logits([Piece(other, shared, 2, last=False)])
    rest = len(other.prompt) - 1 - shared - 2
    second = [runtime.logits([Piece(other, shared + 2, rest, last=True)])]
    last = runtime.logits([Piece(one, size, 1, last=True), Piece(other, len(other.prompt) - 1, 1, last=True)])
    first.append(last[:1])
    second.append(last[1:])
    return [torch.cat(parts).float().cpu() for parts in (first, second)], runtime.cache.token_bytes
