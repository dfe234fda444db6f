"""The probe finds out whether a model can run in slots: from the model's config, and then by a trial.

The trial computes two short prompts in slots. The second prompt begins with a copied prefix and is computed in two chunks. Then
one step decodes a token of each prompt. The trial compares the logits with those of the model's own `forward`. A model that fails
the trial runs in padded batches, which are slower, because a slow text is better than a wrong one.

For the trial, sliding windows are made so small that the prompts go beyond them.

Texts share a step, so no text may depend on its neighbours. But in some models one token at a position beyond a certain length
changes the results for all tokens of the call. The model's config names such lengths. For each of them the probe computes a few
tokens twice: together with a token below the length, and together with a token beyond the length. This is cheap, because only
the positions are large. If the logits of the few tokens differ, even though `runtime/rotary` chooses the positions by text,
each text runs alone. Texts also run alone if padding changes their logits.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from transformers import GenerationConfig

from jobs.generation import GenerationRequest, Prompt, SamplingParams
from workers.engines.causal.model import CausalModel
from workers.engines.causal.runtime.attention import ATTENTION_NAME
from workers.engines.causal.runtime.logit_distance import TOLERANCE, logit_distance
from workers.engines.causal.runtime.rotary import IN_LONG_TEXT, UnknownSwitch, choose_by_text, length_switch
from workers.engines.causal.runtime.runtime import Runtime
from workers.engines.causal.sequences import Span, TokenSequence

KNOWN_LAYERS: Final = {"full_attention", "sliding_attention"}
"""The types of layers that can run in slots. A model whose config names another type runs in padded batches."""

LENGTH_NAMES: Final = ("position", "window", "chunk", "context", "seq_len", "length", "n_ctx", "block_size")
"""A number of a config whose name contains one of these texts may be a length at which the model changes what it computes. The
probe tries each such number."""

SMALL_WINDOW: Final = 4
"""A sliding window has at most this many tokens during the trial."""

SPREAD: Final = 8
"""The probe compares the logits of this many tokens when it tries a length. It does not try lengths that are smaller than this
number.
"""


class Unfit(Exception):
    """A model cannot run in slots; the message says why."""


def prepare_for_slots(model: CausalModel) -> int:
    """Give the model the attention of slots, and try it. Returns the bytes that one token of one slot takes in the KV cache.

    Raises:
        Unfit: The model cannot run in slots. It then has its own attention.
    """
    config = model.network.config.get_text_config()
    if unknown := set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS:
        raise Unfit(f"it has layers of {', '.join(sorted(unknown))}, which keep no plain KV cache")
    if model.network.config.is_encoder_decoder:
        raise Unfit("it is not decoder-only")
    if not model.network._can_set_attn_implementation():  # noqa: SLF001 - the public setter only logs a refusal
        raise Unfit("its attention cannot be replaced")
    before = _restore_attention(model)
    if reason := _length_dependence(model):
        raise Unfit(reason)
    prompts = _prompts(model)
    with _small_windows(model.network):
        expected = [_own_logits(model, tokens) for tokens in prompts]
    try:
        model.network.set_attn_implementation(ATTENTION_NAME)
        with _small_windows(model.network):
            got, token_bytes = _slot_logits(model, prompts)
    except Exception as error:  # a model's own code may raise anything
        model.network.set_attn_implementation(before)
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise Unfit(f"its code fails in slots: {reason}") from error
    if (apart := logit_distance(expected, got)) > TOLERANCE[model.placement.dtype]:
        model.network.set_attn_implementation(before)
        raise Unfit(f"its logits in slots differ from its own by {apart:.2g} of their standard deviation")
    return token_bytes


def why_alone(model: CausalModel) -> str | None:
    """Return why texts of this model must run alone in the padded engine; None if `padded_batches` may batch them."""
    _restore_attention(model)
    try:
        switch = length_switch(model.network)
        if (switch is None or not switch.grows) and (reason := _length_dependence(model)):
            return reason
        apart = _distance_by_padding(model)
    except UnknownSwitch as unknown:
        return str(unknown)
    except Exception as error:  # noqa: BLE001 - a model's own code may raise anything
        return f"its code fails in a padded batch: {str(error).strip().partition(chr(10))[0] or type(error).__name__}"
    if apart > TOLERANCE[model.placement.dtype]:
        return f"padding changes its logits by {apart:.2g} of their standard deviation"
    return None


def _restore_attention(model: CausalModel) -> str:
    """Give a model its own attention back if an earlier engine replaced it. Returns the name of that attention."""
    name = str(model.network.config._attn_implementation)  # noqa: SLF001 - transformers has no other way to ask
    if name == ATTENTION_NAME:
        name = "sdpa" if model.network._supports_sdpa else "eager"  # noqa: SLF001 - as transformers itself chooses
        model.network.set_attn_implementation(name)
    return name


def _length_dependence(model: CausalModel) -> str | None:
    """Return why the model's output for one text would depend on the longest text of its step; None if it would not.

    If `choose_by_text` can remove the dependence, this function installs it in the network.
    """
    try:
        switch = length_switch(model.network)
    except UnknownSwitch as unknown:
        return str(unknown)
    if switch is not None and switch.grows:
        return f"its rotary positions change with each token after the first {switch.boundary}"
    if switch is not None:
        choose_by_text(model.network, switch.boundary)
    if "position_ids" not in inspect.signature(model.network.forward).parameters:
        return None
    for length in sorted(set(_lengths(model.network.config.get_text_config().to_dict()))):
        last = (model.encoder.context or length + SPREAD) - 1
        if length < SPREAD or last < length:
            continue
        try:
            below, beyond = (_logits_beside(model, length, last) for last in (length - 1, last))
        except Exception as error:  # noqa: BLE001 - a model's own code may raise anything
            return f"its code fails at position {last}: {str(error).strip().partition(chr(10))[0]}"
        if logit_distance([below], [beyond]) > TOLERANCE[model.placement.dtype]:
            return f"its logits depend on the longest position of a step, below {length} or beyond"
    return None


@contextmanager
def _small_windows(network: Any) -> Iterator[None]:
    """Make sliding windows at most `SMALL_WINDOW` tokens long in the `with` block.

    Their length is changed in the config, from which masks are made, and in the layers.
    """
    window: int = getattr(network.config.get_text_config(), "sliding_window", None) or 0
    modules = list(network.modules())
    owners = [network.config.get_text_config(), *modules, *(getattr(module, "config", None) for module in modules)]
    changed = {id(one): one for one in owners if window and getattr(one, "sliding_window", None) == window}
    try:
        for one in changed.values():
            one.sliding_window = min(SMALL_WINDOW, window)
        yield
    finally:
        for one in changed.values():
            one.sliding_window = window


def _lengths(config: Mapping[str, Any]) -> Iterator[int]:
    """Yield each number of a config, and of the configs in it, whose name makes it a possible length (`LENGTH_NAMES`)."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _lengths(value)
        elif isinstance(value, int) and any(part in name for part in LENGTH_NAMES):
            yield value


@torch.inference_mode()
def _logits_beside(model: CausalModel, length: int, last: int) -> torch.Tensor:
    """Return the logits [SPREAD, vocabulary] of tokens at positions below `length`. One more token is at position `last`."""
    ids = [(7 + 31 * n) % model.encoder.vocabulary for n in range(SPREAD + 1)]
    positions = [(length - 1) * n // SPREAD for n in range(SPREAD)]
    row = torch.tensor([ids, [*positions, last]], device=model.placement.device)
    token = IN_LONG_TEXT.set(False)
    try:
        # without a mask, transformers would take gaps between positions for borders between texts
        mask = torch.ones_like(row[:1])
        out = model.network(input_ids=row[:1], attention_mask=mask, position_ids=row[1:], use_cache=False)
    finally:
        IN_LONG_TEXT.reset(token)
    return torch.Tensor(out.logits[0, :SPREAD].float().cpu())


def _distance_by_padding(model: CausalModel) -> float:
    """Return how far padding moves the logits of a prompt's next two tokens.

    This is the `logit_distance` between the logits computed alone and those computed in a padded batch.
    """
    one, other = _prompts(model)
    alone = _generated_logits(model, [one])
    beside = _generated_logits(model, [one, [*other, *one]])
    return logit_distance([alone[0]], [beside[0]])


@torch.inference_mode()
def _generated_logits(model: CausalModel, prompts: list[list[int]]) -> torch.Tensor:
    """Return the logits [prompts, 2, vocabulary] with which `generate` chooses the next two tokens of each prompt."""
    width = max(map(len, prompts))
    ids = [[0] * (width - len(tokens)) + tokens for tokens in prompts]
    mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in prompts]
    out = model.network.generate(
        input_ids=torch.tensor(ids, device=model.placement.device),
        attention_mask=torch.tensor(mask, device=model.placement.device),
        generation_config=GenerationConfig(
            do_sample=False, max_new_tokens=2, pad_token_id=0, output_logits=True, return_dict_in_generate=True
        ),
    )
    return torch.stack(out.logits, dim=1).float().cpu()


def _prompts(model: CausalModel) -> list[list[int]]:
    """Return two prompts, of 9 and 11 tokens. The first four tokens are the same in both prompts."""
    words = model.encoder.vocabulary
    first = [(7 + 31 * n) % words for n in range(9)]
    return [first, [*first[:4], *((11 + 17 * n) % words for n in range(7))]]


@torch.inference_mode()
def _own_logits(model: CausalModel, tokens: list[int]) -> torch.Tensor:
    """Return the logits [2, vocabulary] after the last token but one and after the last, by the model's own `forward`."""
    ids = torch.tensor([tokens], device=model.placement.device)
    out = model.network(input_ids=ids, use_cache=False).logits[0, -2:]
    return torch.Tensor(out.float().cpu())


def _slot_logits(model: CausalModel, prompts: list[list[int]]) -> tuple[list[torch.Tensor], int]:
    """Return two values: the logits [2, vocabulary] of each prompt, computed in slots; and the bytes of a token in the cache.

    The logits of a prompt are those after its last token but one and after its last. Each prompt is first computed up to its last
    token but one. Then one step computes the last tokens of both prompts.
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
