"""Gives vLLM our sampling params, and reads its log probabilities. vLLM is imported only in functions."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.generation import MIN_LOGPROB
from workers.engines.text.encoding import Encoded, SampledLogprob


def params_of(
    encoded: Encoded, eos: Sequence[int], *, by_token: bool, schema: str | None = None, written: int = 0
) -> Any:
    """Return vLLM's sampling params for a request.

    vLLM ends a completion only at end tokens, at stop tokens, and at max_tokens. Our own rules look for stop texts and follow
    thoughts, so for requests that have any it gives back each token at once (`by_token`).

    Args:
        encoded: The request.
        eos: The end tokens of the model.
        by_token: Whether the request is followed token by token.
        schema: The JSON schema that constrains the completion, with options for llguidance; None if there is none.
        written: The tokens that the completion has already, if the request starts anew.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    params = encoded.request.prompt.params
    stops = () if encoded.thinking is not None else params.stop_token_ids
    return SamplingParams(
        max_tokens=params.max_tokens - written,
        min_tokens=0 if schema else params.min_tokens,  # nothing else may follow a complete JSON text
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        min_p=params.min_p,
        repetition_penalty=params.repetition_penalty,
        presence_penalty=params.presence_penalty,
        frequency_penalty=params.frequency_penalty,
        logit_bias={token: float(bias) for token, bias in params.logit_bias.items()} or None,
        seed=_seed(params.seed or 0, written),
        stop_token_ids=[*eos, *stops],
        logprobs=params.logprobs,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA if by_token else RequestOutputKind.FINAL_ONLY,
        structured_outputs=StructuredOutputsParams(json=schema) if schema else None,
    )


def _seed(seed: int, written: int) -> int:
    """Return the seed of a completion that has some tokens already: with the first one, its random numbers would come again."""
    if not written:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{written}".encode()).digest()[:7], "big")


def forced_params(token: int) -> Any:
    """Return vLLM's sampling params for one token of a continuation: no other may come, and its log probability is wanted."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=1,
        temperature=0.0,
        allowed_token_ids=[token],
        logprobs=1,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def logprobs_of(tokens: Sequence[int], found: Iterable[Mapping[int, Any]] | None, wanted: int) -> list[SampledLogprob]:
    """Return the log probabilities of tokens. `found` is what vLLM has for each, `wanted` the number of most likely tokens."""
    return [_logprob_of(token, by_token, wanted) for token, by_token in zip(tokens, found or (), strict=False)]


def _logprob_of(token: int, by_token: Mapping[int, Any], wanted: int) -> SampledLogprob:
    ranked = sorted(((one.rank, other, one.logprob) for other, one in by_token.items()), key=lambda one: one[0])
    top = tuple((other, max(logprob, MIN_LOGPROB)) for rank, other, logprob in ranked[:wanted] if rank <= wanted)
    return SampledLogprob(token, max(by_token[token].logprob, MIN_LOGPROB), top)
