"""The values that pass between kinds and engines: Message, Prompt, SamplingParams, Completion, TokenLogprob.

A kind yields prompts and is sent their completions. An engine is given generation requests and returns completions.
Neither knows the other. Every class here is a frozen value that only checks itself, and imports nothing heavy.
"""

import json
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled", "error"]

Constraint = Literal["full", "partial", "none"]
"""How far a JSON schema constrained an engine while it wrote: by all keywords, by some (others were left to the check of the
answer), or not at all.
"""

Pooling = Literal["mean", "cls", "max", "last"]
"""How the vectors of a text's tokens become one: their mean, the first token's, the largest number of each place, the last's."""

Wanted = Literal["vector", "classes", "fills", "nothing"]
"""What an encoder is asked for."""

MAX_LOGPROBS: Final = 20
"""A request may ask for at most this many of the likeliest tokens at each position (the limit of OpenAI's API)."""

MIN_LOGPROB: Final = -9999.0
"""The log probability of a token that the model gives no chance at all (as in OpenAI's API)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the tokens of a completion are chosen.

    `temperature=0` is greedy. `top_p=1`, `top_k=0`, `min_p=0` and `repetition_penalty=1` each have no effect.
    `presence_penalty` is subtracted once from the logit of each token that the completion already has, `frequency_penalty`
    once for each time that the token occurs in the completion. `logit_bias` is added to the logits of token ids. These three
    are as in OpenAI's API.
    A `stop` text ends a completion and is cut from it. A token of `stop_token_ids` ends a completion too; the token's text
    stays, unless the token is special. The seed and the position of a token determine the token's random number, so a
    completion does not depend on the other requests of its step. If `seed` is None, the runner derives a seed from batch and row.
    `logprobs=n` asks for the log probability of each chosen token and of the n likeliest tokens at its position; None asks for
    none. Log probabilities are the model's own, before temperature, penalties, biases and filters (as `raw_logprobs` of vLLM).
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
    stop_token_ids: tuple[int, ...] = ()
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
            "stop_token_ids": all(token >= 0 for token in self.stop_token_ids),
            "logprobs": self.logprobs is None or 0 <= self.logprobs <= MAX_LOGPROBS,
        }
        if wrong := [name for name, right in ranges.items() if not right]:
            raise ValueError(f"out of range: {', '.join(wrong)}")

    def as_receipt(self) -> Mapping[str, Any]:
        """Return the params that a receipt keeps: those that differ from the defaults, as JSON values, without the seed."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "logit_bias":
                value = {str(token): bias for token, bias in value.items()}
            if one.name != "seed" and value not in (one.default, {}):
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    def overridden(self, overrides: Mapping[str, Any]) -> "SamplingParams":
        """Return these params of a kind with the values that a row asks for in `overrides`. A value of None changes nothing."""
        return replace(self, **{name: value for name, value in overrides.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Translatable:
    """A text to translate, as a model made for translation reads it: no instructions, only the text and the two languages.

    The languages are BCP 47 tags. `before` is the text that stands before this one in its document, or is empty: a model may
    read it as context, and does not translate it. `signs` are the words of the text that stand for placeholders, tags and other
    marks, in their order; a translation has each of them once. `alternatives` is how many further translations are wanted beside
    the best one; a search with beams has as many as it has further beams, and other engines have none.
    """

    text: str
    source_language: str
    target_language: str
    before: str = ""
    signs: tuple[str, ...] = ()
    alternatives: int = 0


@dataclass(frozen=True, slots=True)
class Encodable:
    """A text that an encoder reads in one pass, and what is wanted of it. No engine writes a text for it.

    Args:
        text: The text. With `fills`, its gaps are the texts `mark`.
        wanted: `vector`: the text as a vector. `classes`: how likely each class of a classifier is. `fills`: the likeliest tokens
            for each gap. `nothing`: an encoder answers at once without reading, because another prompt has all it needs.
        classes: The names of the classes that are wanted. Empty: all of the model.
        prefix: A text to put before the text of a vector. None: the model's own, which most models lack.
        pooling: How the vectors of the tokens become one. None: the model's own way.
        normalize: Whether a vector gets the length 1. None: as the model's files say; yes if `dimensions` cuts the vector.
        dimensions: A vector keeps this many of its first numbers. None: all.
        mark: The text that stands for a gap.
        top: How many tokens are wanted for each gap.
        truncate: Whether a text that is too long for the model is cut. Otherwise it fails with `prompt_too_long`.
    """

    text: str
    wanted: Wanted
    classes: tuple[str, ...] = ()
    prefix: str | None = None
    pooling: Pooling | None = None
    normalize: bool | None = None
    dimensions: int | None = None
    mark: str = ""
    top: int = 0
    truncate: bool = False


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an encoder found for an Encodable. What was not wanted is empty.

    `vector` has the numbers of the vector, each as 4 bytes (IEEE 754, little-endian). `classes` has the name and the natural log
    probability of each class that was wanted, in the order of the request, else of the model; they need not add up to 1. `fills`
    has the likeliest tokens of each gap, likeliest first.
    """

    vector: bytes = b""
    classes: tuple[tuple[str, float], ...] = ()
    fills: tuple[tuple["TokenLogprob", ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that a kind gives to an engine, to be completed or scored.

    Args:
        messages: Turns of a chat, which the engine formats with the model's own chat template. Empty when `text` is set.
        text: Raw text, given to the model without a template. Empty when `messages` is set.
        params: The sampling params. Params that the row itself asks for replace these.
        label: The name of this prompt in the row's receipt, such as `outline` or `section 2`; unique within an attempt.
        replaces: The label of an earlier prompt of this attempt, if this prompt asks for the same text again. The earlier
            completion counts as wasted usage, and is not billed.
        adapter: The adapter to use. None: the row's adapter, or no adapter if the row has none.
        schema: A JSON schema that the completion must satisfy. Engines that can be constrained keep to it while they write, as
            far as they can (`Completion.constraint`). The kind validates the answer in any case.
        template_sha256: The hash of the templates that made the prompt; the receipt keeps it.
        continuations: Texts to score, by how likely the model would continue with each. If there are any, no text is
            generated. A model reads the prompt and the text as one text, so the text begins with a space if one belongs there.
        chat_template_kwargs: Arguments for the model's chat template, such as `enable_thinking`. They replace those of the
            model's card, name by name. Without messages they have no effect.
        quotes: Texts in the prompt that the model wrote before, or that quote such a text. An output may repeat them.
        translatable: What the prompt asks to translate, if it asks for that. An encoder-decoder model reads this alone, and a
            decoder-only model reads the messages or the text.
        encodable: What the prompt asks an encoder, which reads this alone. A model that writes refuses it, unless the prompt has
            continuations to score.
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
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    quotes: tuple[str, ...] = ()
    translatable: Translatable | None = None
    encodable: Encodable | None = None

    @property
    def is_only_for_encoders(self) -> bool:
        """Whether only an encoder can answer the prompt."""
        return self.encodable is not None and not self.continuations

    def __post_init__(self) -> None:
        if self.messages and self.text:
            raise ValueError("a prompt has messages or text, not both")

    @property
    def instructions(self) -> list[str]:
        """The texts of the prompt without `quotes`."""
        texts = [message.content for message in self.messages] or [self.text]
        for quote in filter(None, self.quotes):
            texts = [text.replace(quote, "") for text in texts]
        return texts

    @property
    def read(self) -> Hashable:
        """The part of the prompt that the engine reads: messages, text, what to translate or to encode, adapter, continuations
        and template arguments, but no sampling params.

        If a kind yields several prompts at once whose `read` is equal, their prompt tokens are billed once.
        """
        kwargs = json.dumps(dict(self.chat_template_kwargs), sort_keys=True)
        return self.messages, self.text, self.translatable, self.encodable, self.adapter, self.continuations, kwargs

    def with_template_kwargs(self, values: Mapping[str, Any] | None) -> "Prompt":
        """Return this prompt with arguments of a row for the chat template. A raw text has no template, so it stays as it is."""
        if not values or not self.messages:
            return self
        return replace(self, chat_template_kwargs={**self.chat_template_kwargs, **values})


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt that is given to an engine, under the id of this request. `prompt.params.seed` is set.

    If `thoughts_count` is true, as for a row that names the limit itself, `max_tokens` limits the thoughts and the answer of a
    reasoning model together. Otherwise it limits the answer alone, and the model's card limits the thoughts.

    If a chat template asks for the date, it gets the date of `created_at`, so that the prompt is the same at any time. If
    `created_at` is None, the template gets the present date.

    `continuation` is the index of the continuation that an engine scores for this request, if the prompt has some. The scoring
    engine sets it; who asks for scores asks for those of all continuations, and leaves it at 0.
    """

    request_id: str
    prompt: Prompt
    created_at: datetime | None = None
    thoughts_count: bool = True
    continuation: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why an engine could not answer: a code of `errors.CODES`, a sentence, and whether a retry may succeed."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, its text and its natural log probability. `top` has the likeliest tokens at its position, likeliest first."""

    token_id: int
    token: str
    logprob: float
    top: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """How likely a continuation is: its tokens with their log probabilities, and whether greedy choice would write this text.

    The tokens are those of prompt and continuation read as one text, from the first token that is not the same for the prompt
    alone and for every continuation. So the scores of a prompt's continuations begin at the same place, and can be compared.
    """

    tokens: tuple[TokenLogprob, ...]
    greedy: bool

    @property
    def logprob(self) -> float:
        """The log likelihood of the continuation: the sum over its tokens."""
        return math.fsum(one.logprob for one in self.tokens)


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer of an engine to one request. `fault` is set exactly when `finish_reason` is `error`.

    `device_ns` is the part of the devices' time that is attributed to this request, in nanoseconds; over all requests of an
    engine it adds up to the time that the engine was busy. `cached_prompt_tokens` counts those of the `prompt_tokens` that
    were not computed again. If the prompt asked for `logprobs`, there is an entry for each of the `completion_tokens`, an end
    token included.
    `reasoning` is the thoughts that a reasoning model wrote before its answer, and `text` is the answer alone. The first
    `reasoning_tokens` of the `completion_tokens` are those of the thoughts and of the marks around them. A completion that ended
    within its thoughts has no text, and all its tokens are those of thoughts.
    `prompt_sha256` is the hash of the text that the chat template made of the prompt; None if the engine has no templates.
    `constraint` says how far the prompt's schema constrained the completion; None if the prompt has no schema.
    `begun_ns` is when the engine began the request, and `first_token_ns` when its first token was there, in nanoseconds of
    `time.monotonic_ns`; 0 if the engine does not tell.
    For a prompt with continuations, `scores` has an entry for each continuation, and the text is empty. The tokens of the prompt
    count once, however many continuations there are; `completion_tokens` is the sum over all continuations.
    `alternatives` are the next best texts that a search with beams found, best first, if the prompt asked for them. Their tokens
    are not counted.
    `encoding` is what an encoder found, if the prompt has an `encodable`; then there is no text, and no token of a completion.
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
    prompt_sha256: str | None = None
    reasoning: str = ""
    reasoning_tokens: int = 0
    constraint: Constraint | None = None
    begun_ns: int = 0
    first_token_ns: int = 0
    alternatives: tuple[str, ...] = ()
    encoding: Encoding | None = None
