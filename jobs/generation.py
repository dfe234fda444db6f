"""The words between kinds and engines: Message, Prompt, SamplingParams, Completion, TokenLogprob.

A kind yields prompts and is sent completions; an engine is given generation requests and returns completions. Neither
knows the other. Everything here is a frozen value, has no behaviour but its own checks, and imports nothing heavy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled", "error"]

MAX_LOGPROBS: Final = 20
"""So many of the likeliest tokens may be asked for at each place (the limit of OpenAI's API)."""

MIN_LOGPROB: Final = -9999.0
"""Stands for a token that the model gives no chance at all (OpenAI's API)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen.

    `temperature=0` is greedy. `top_p=1`, `top_k=0`, `min_p=0` and `repetition_penalty=1` switch that filter off. Presence
    and frequency penalties are taken from the logits of tokens that the completion has, once and as often as it has them;
    `logit_bias` is added to the logits of token ids (OpenAI's API).
    `stop` texts end a completion and are cut from it. `seed` and a token's position determine its random number, so a
    completion does not depend on who shares its step; None lets the runner derive one from the batch and the row.
    `logprobs` asks for the log probability of each token that is chosen, and of so many of the likeliest at its place. They
    are the model's own, before temperature, penalties, biases and filters, as vLLM's `raw_logprobs` are; None asks for none.
    """

    max_tokens: int = 256
    min_tokens: int = 0
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None

    def __post_init__(self) -> None:
        ranges = {
            "max_tokens": self.max_tokens >= 1,
            "min_tokens": 0 <= self.min_tokens <= self.max_tokens,
            "temperature": 0.0 <= self.temperature <= 2.0,
            "top_p": 0.0 < self.top_p <= 1.0,
            "top_k": self.top_k >= 0,
            "min_p": 0.0 <= self.min_p <= 1.0,
            "repetition_penalty": self.repetition_penalty > 0.0,
            "presence_penalty": -2.0 <= self.presence_penalty <= 2.0,
            "frequency_penalty": -2.0 <= self.frequency_penalty <= 2.0,
            "logit_bias": all(-100.0 <= bias <= 100.0 for bias in self.logit_bias.values()),
            "logprobs": self.logprobs is None or 0 <= self.logprobs <= MAX_LOGPROBS,
        }
        if wrong := [name for name, right in ranges.items() if not right]:
            raise ValueError(f"out of range: {', '.join(wrong)}")

    def as_receipt(self) -> Mapping[str, Any]:
        """What differs from the defaults, but for the seed, as JSON has it: it goes into the receipt."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "logit_bias":
                value = {str(token): bias for token, bias in value.items()}
            if one.name != "seed" and value not in (one.default, {}):
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    def overridden(self, overrides: Mapping[str, Any]) -> "SamplingParams":
        """These params with what a row itself asks for in place of the kind's own choice. None changes nothing."""
        return replace(self, **{name: value for name, value in overrides.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a kind asks an engine for.

    Args:
        messages: Turns of a chat, which the engine puts into the model's own chat template. Empty when `text` is set.
        text: Raw text, given to the model as it stands. Empty when `messages` is set.
        params: The sampling params; what the row itself asks for is put over them.
        label: Names the step in the row's receipt, such as `outline` or `section 2`; unique within an attempt.
        replaces: The label of an earlier prompt of this attempt that this one asks again. The earlier completion is
            then regenerated text: wasted usage, not billed.
        adapter: The adapter to use; None is the row's own, or the bare model.
        schema: A JSON schema that the completion must satisfy, for engines that can constrain their output.
        template_sha256: The hash of the template that made it; it goes into the receipt.
        continuations: Texts to score in place of writing one: how likely the model is to go on with each. They are
            turned into tokens by themselves, so one that begins a word begins with a space where the model's do.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    params: SamplingParams = field(default_factory=SamplingParams)
    label: str = "main"
    replaces: str | None = None
    adapter: str | None = None
    schema: Mapping[str, Any] | None = None
    template_sha256: str | None = None
    continuations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.messages and self.text:
            raise ValueError("a prompt has messages or text, not both")


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt on its way through an engine. `prompt.params.seed` is set by now."""

    request_id: str
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an engine could not answer a request: a code of `errors.CODES`, a sentence, and whether to try again."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, as text of its own, and its natural log probability; `top` are the likeliest at its place, likeliest first."""

    token_id: int
    token: str
    logprob: float
    top: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """How likely a continuation is: each of its tokens, and whether greedy choice would have written the same."""

    tokens: tuple[TokenLogprob, ...]
    greedy: bool

    @property
    def logprob(self) -> float:
        """The log likelihood of the whole: the sum over its tokens."""
        return math.fsum(one.logprob for one in self.tokens)


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine answers. `fault` is set exactly when `finish_reason` is `error`.

    `device_ns` is the share of the devices' time that this request took, in nanoseconds; the shares of all requests of
    an engine add up to the time it was busy. `cached_prompt_tokens` of the `prompt_tokens` were not computed again.
    `logprobs` has an entry for each of the `completion_tokens`, an end token included, where the prompt asked for them.
    For a prompt with continuations, `scores` has one for each, the text is empty, and tokens and time are the sums over them.
    """

    request_id: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    device_ns: int = 0
    fault: Fault | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    scores: tuple[ContinuationScore, ...] = ()
