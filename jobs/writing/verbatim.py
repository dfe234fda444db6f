"""Verbatim answers: the request and output fields of kinds that return a model's text as it is (`chat` and `completion`).

The fields have the names and limits of OpenAI's API, so requests for that API need no change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from jobs.errors import CheckFailed
from jobs.generation import MAX_LOGPROBS, Completion, Prompt, SamplingParams, TokenLogprob
from jobs.writing.structured.answers import read_answer
from jobs.writing.structured.schemas import refusal

ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
"""The schema of the response format `json_object`."""

OutputT = TypeVar("OutputT", bound="VerbatimOutput")


def _usable(schema: dict[str, Any]) -> dict[str, Any]:
    if (refused := refusal(schema)) is not None:
        raise PydanticCustomError(refused.code, "{reason}", {"reason": refused.message})
    return schema


Schema = Annotated[dict[str, Any], Field(max_length=1_000), AfterValidator(_usable)]
"""A JSON schema to which answers can be held. Another one is refused with `not_a_schema` or `schema_unsupported`."""


class JsonSchema(BaseModel):
    """The schema that an answer in JSON must satisfy."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    name: str | None = Field(default=None, max_length=64, description="A name for the schema; it has no effect.")
    description: str | None = Field(
        default=None, max_length=10_000, description="What the schema is for; it has no effect."
    )
    strict: bool | None = Field(default=None, description="It has no effect: an answer always satisfies its schema.")
    schema_: Schema = Field(alias="schema", description="A JSON schema.")


class ResponseFormat(BaseModel):
    """The form that an answer must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text", "json_object", "json_schema"] = Field(description="text, json_object or json_schema.")
    json_schema: JsonSchema | None = Field(default=None, description="The schema, if the type is json_schema.")

    @model_validator(mode="after")
    def _schema_given(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("with type json_schema, and only then, json_schema is needed")
        return self

    @property
    def schema_(self) -> Mapping[str, Any] | None:
        """The JSON schema that an answer must satisfy; None for text."""
        if self.type == "text":
            return None
        return self.json_schema.schema_ if self.json_schema else ANY_OBJECT


class VerbatimRequest(BaseModel):
    """The fields that say how completions are sampled. A row has these fields in addition to those that any row may have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(default=1, ge=1, le=128, description="How many answers to write.")
    stop: tuple[Annotated[str, StringConstraints(min_length=1, max_length=1_000)], ...] = Field(
        default=(), max_length=16, description="Texts that end an answer and are cut from it."
    )
    stop_token_ids: tuple[Annotated[int, Field(ge=0, le=(1 << 31) - 1)], ...] = Field(
        default=(), max_length=64, description="Tokens that end an answer, by token id, beside those of the model."
    )
    presence_penalty: float = Field(
        default=0.0, ge=-2, le=2, description="Subtracted once from the logit of each token that the answer has."
    )
    frequency_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        description="Subtracted from the logit of a token for each time that the answer has it.",
    )
    logit_bias: dict[
        Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]
    ] = Field(default={}, max_length=1_024, description="Numbers to add to the logits of tokens, by token id.")

    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_LOGPROBS,
        description="Asks for the log probability of each token, and of this many likeliest tokens at its position.",
    )

    output_schema: Schema | None = Field(default=None, description="A JSON schema that each answer must satisfy.")

    @property
    def answer_schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that each answer must satisfy; None if an answer may be any text."""
        return self.output_schema

    @property
    def schema_field(self) -> str | None:
        """The field by which the row asks for answers that satisfy a schema (see `Kind.request_type`); None if it does not."""
        return "output_schema" if self.output_schema is not None else None

    def params(self, max_tokens: int) -> SamplingParams:
        """Return the sampling params of this request."""
        return SamplingParams(
            max_tokens=max_tokens,
            stop=self.stop,
            stop_token_ids=self.stop_token_ids,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias={int(token): bias for token, bias in self.logit_bias.items()},
            logprobs=self.logprobs,
        )

    def prompts(self, prompt: Prompt) -> Sequence[Prompt]:
        """Return the prompt once for each answer. The runner gives each answer a seed of its own."""
        return [prompt] if self.n == 1 else [replace(prompt, label=f"choice {n + 1}") for n in range(self.n)]


class LikelyToken(BaseModel):
    """A token and its natural log probability. The probability is that of the model alone, before temperature, penalties and
    biases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str = Field(description="The token as text; a part of a character is U+FFFD.")
    logprob: float = Field(description="Its log probability; -9999 if the model gives it no chance.")


class ChosenToken(LikelyToken):
    """A token of an answer, and the likeliest tokens at its position."""

    top: tuple[LikelyToken, ...] = Field(default=(), description="The likeliest tokens, likeliest first.")


class VerbatimOutput(BaseModel):
    """The answer of a model, or several answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(min_length=1, description="The answer; the first one if there are several.")
    choices: tuple[str, ...] | None = Field(
        default=None, exclude_if=lambda choices: choices is None, description="All answers, if n is more than 1."
    )
    logprobs: tuple[tuple[ChosenToken, ...], ...] | None = Field(
        default=None,
        exclude_if=lambda logprobs: logprobs is None,
        description="If asked for: the tokens of each answer, an end token included.",
    )
    parsed: Any = Field(
        default=None,
        exclude_if=lambda parsed: parsed is None,
        description="If the row asked for JSON: the value of the answer, such as an object. Absent if it is null.",
    )
    parsed_choices: tuple[Any, ...] | None = Field(
        default=None,
        exclude_if=lambda choices: choices is None,
        description="If the row asked for JSON, and n is more than 1: the values of all answers.",
    )


def verbatim_output(
    into: type[OutputT],
    answers: Sequence[Completion],
    *,
    schema: Mapping[str, Any] | None = None,
    with_thoughts: bool = False,
) -> OutputT:
    """Make an output of the class `into`. JSON is taken out of a code fence. The log probabilities are those of the answer; with
    `with_thoughts`, also those of the thoughts.

    An answer that ended at max_tokens is not an error: the row asked for this limit, and the finish reason says `length`.

    Raises:
        CheckFailed: An answer is empty. With `schema`: an answer is not JSON, or does not satisfy the schema.
    """
    texts = tuple(answer.text.strip() for answer in answers)
    if not all(texts):
        raise CheckFailed("empty_output", "the model wrote nothing")
    values: tuple[Any, ...] = ()
    if schema is not None:
        texts, values = zip(*(_read(answer, schema) for answer in answers), strict=True)
    logprobs = tuple(
        tuple(map(_likely, answer.logprobs[0 if with_thoughts else answer.reasoning_tokens :])) for answer in answers
    )
    several = len(texts) > 1
    return into(
        text=texts[0],
        choices=texts if several else None,
        logprobs=logprobs if any(logprobs) else None,
        parsed=values[0] if values else None,
        parsed_choices=values if values and several else None,
    )


def _read(answer: Completion, schema: Mapping[str, Any]) -> tuple[str, Any]:
    try:
        return read_answer(answer.text, schema)
    except CheckFailed as error:
        if answer.finish_reason != "length":
            raise
        raise CheckFailed(error.code, f"{error.message} (it ended at max_tokens: give the row more)") from None


def _likely(one: TokenLogprob) -> ChosenToken:
    top = tuple(LikelyToken(token=other.token, logprob=other.logprob) for other in one.top)
    return ChosenToken(token=one.token, logprob=one.logprob, top=top)
