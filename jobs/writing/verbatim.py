"""What the kinds share that give back what a model says as it is: how it is sampled, and how often.

The names and limits are those of OpenAI's API, so that its requests can be followed as they stand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from jobs.errors import CheckFailed
from jobs.generation import MAX_LOGPROBS, Completion, Prompt, SamplingParams, TokenLogprob

ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}

GeneratedT = TypeVar("GeneratedT", bound="Generated")


class JsonSchema(BaseModel):
    """The schema of an answer in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    name: str | None = Field(default=None, max_length=64, description="What the schema is called.")
    description: str | None = Field(default=None, max_length=10_000, description="What it is for.")
    strict: bool | None = Field(default=None, description="Taken as said: a schema is always kept to.")
    schema_: dict[str, Any] = Field(alias="schema", description="A JSON schema.")


class ResponseFormat(BaseModel):
    """What an answer is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text", "json_object", "json_schema"] = Field(description="text, json_object or json_schema.")
    json_schema: JsonSchema | None = Field(default=None, description="With json_schema: the schema.")

    @model_validator(mode="after")
    def _schema_given(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("with type json_schema, and only then, json_schema is needed")
        return self

    @property
    def schema_(self) -> Mapping[str, Any] | None:
        """The schema that an answer must satisfy; None for text."""
        if self.type == "text":
            return None
        return self.json_schema.schema_ if self.json_schema else ANY_OBJECT


class ChoiceFields(BaseModel):
    """How a completion is sampled, beyond what any row may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(default=1, ge=1, le=128, description="How many answers.")
    stop: tuple[Annotated[str, StringConstraints(min_length=1, max_length=1_000)], ...] = Field(
        default=(), max_length=16, description="Texts that end an answer, and are cut from it."
    )
    presence_penalty: float = Field(default=0.0, ge=-2, le=2, description="Against tokens that were said.")
    frequency_penalty: float = Field(
        default=0.0, ge=-2, le=2, description="Against tokens, as often as they were said."
    )
    logit_bias: dict[
        Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]
    ] = Field(default={}, max_length=1_024, description="Added to the logits of tokens, by token id.")

    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_LOGPROBS,
        description="Log probabilities: of each token, and of so many likeliest there.",
    )

    def params(self, max_tokens: int) -> SamplingParams:
        """The sampling params."""
        return SamplingParams(
            max_tokens=max_tokens,
            stop=self.stop,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias={int(token): bias for token, bias in self.logit_bias.items()},
            logprobs=self.logprobs,
        )

    def prompts(self, prompt: Prompt) -> Sequence[Prompt]:
        """The prompt, as often as answers are asked for; each has a random seed of its own."""
        return [prompt] if self.n == 1 else [replace(prompt, label=f"choice {n + 1}") for n in range(self.n)]


class Likely(BaseModel):
    """A token and its natural log probability, by the model alone: before temperature, penalties and biases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str = Field(description="The token as text; its bytes alone may be no character.")
    logprob: float = Field(description="Its log probability; -9999 for none.")


class LikelyChoice(Likely):
    """A token of an answer, and what was likeliest at its place."""

    top: tuple[Likely, ...] = Field(default=(), description="The likeliest, likeliest first.")


class Generated(BaseModel):
    """What a model said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, description="What the model said.")
    choices: tuple[str, ...] | None = Field(
        default=None, exclude_if=lambda choices: choices is None, description="With n over 1: all answers."
    )
    logprobs: tuple[tuple[LikelyChoice, ...], ...] | None = Field(
        default=None,
        exclude_if=lambda logprobs: logprobs is None,
        description="Where asked for: of each answer its tokens, an end token included.",
    )


def generated(into: type[GeneratedT], answers: Sequence[Completion], *, is_json: bool = False) -> GeneratedT:
    """The output. An answer that ended at max_tokens is what was asked for; the receipt says so. Raises CheckFailed."""
    texts = tuple(answer.text.strip() for answer in answers)
    if not all(texts):
        raise CheckFailed("empty_output", "the model said nothing")
    if is_json:
        for text in texts:
            _check_json(text)
    logprobs = tuple(tuple(map(_likely, answer.logprobs)) for answer in answers)
    return into(text=texts[0], choices=texts if len(texts) > 1 else None, logprobs=logprobs if any(logprobs) else None)


def _likely(one: TokenLogprob) -> LikelyChoice:
    top = tuple(Likely(token=other.token, logprob=other.logprob) for other in one.top)
    return LikelyChoice(token=one.token, logprob=one.logprob, top=top)


def _check_json(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CheckFailed("output_not_json", f"the answer is not JSON: {error.msg}") from None
