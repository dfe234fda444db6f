"""A chat: the row holds the turns so far, and the model writes the next turn. It is for everything that fits no other kind."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.findings import CheckSetting, Severity
from jobs.generation import Completion, Message, Prompt
from jobs.kinds.asking import kept_answers
from jobs.writing.fields import Text
from jobs.writing.structured.answers import reminder
from jobs.writing.templates import Templates
from jobs.writing.verbatim import ResponseFormat, VerbatimOutput, VerbatimRequest, verbatim_output

MAX_TOKENS: Final = 256
"""An answer has at most this many tokens, unless the row has `max_tokens`."""


class Turn(BaseModel):
    """One turn of a chat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"] = Field(description="Who writes the turn: system, user or assistant.")
    content: str = Field(
        max_length=500_000, description="The text of the turn. A system turn without text is left out."
    )

    @field_validator("content")
    @classmethod
    def _has_text(cls, content: str, info: ValidationInfo) -> str:
        if not content.strip() and info.data.get("role") != "system":
            raise ValueError("the turn has no text")
        return content


class ChatRequest(VerbatimRequest):
    """Either `messages`, or a `prompt` with an optional `system`."""

    messages: tuple[Turn, ...] | None = Field(
        default=None, min_length=1, max_length=1_000, description="The turns so far; the last one is the user's."
    )
    prompt: Text | None = Field(
        default=None, max_length=500_000, description="A single turn of the user, in place of messages."
    )
    system: str | None = Field(
        default=None, max_length=100_000, description="A system turn before the prompt; without text it is left out."
    )

    include_reasoning: bool = Field(
        default=False, description="Whether to publish the thoughts that a reasoning model writes before its answer."
    )
    response_format: ResponseFormat | None = Field(
        default=None, description="The form of the answer: text, a JSON object, or JSON that satisfies a schema."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("exactly one of messages and prompt is needed")
        if self.system and self.messages is not None:
            raise ValueError("with messages, put the system turn first among them")
        if self.messages is not None and self.messages[-1].role != "user":
            raise ValueError("the last of the messages is the user's")
        if self.output_schema is not None and self.response_format is not None:
            raise ValueError("give either output_schema or response_format: remove one of them")
        return self

    @property
    def answer_schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that each answer must satisfy; None if an answer may be any text."""
        return self.output_schema if self.response_format is None else self.response_format.schema_

    @property
    def schema_field(self) -> str | None:
        """The field by which the row asks for answers that satisfy a schema (see `Kind.request_type`); None if it does not."""
        if self.output_schema is not None:
            return "output_schema"
        return "response_format" if self.answer_schema is not None else None


class Chat(VerbatimOutput):
    """The next turn, written by the model."""

    reasoning: tuple[str, ...] | None = Field(
        default=None,
        exclude_if=lambda reasoning: reasoning is None,
        description="If asked for: the model's thoughts before each answer.",
    )


class ChatKind:
    """The kind `chat`."""

    name = "chat"
    request_type = ChatRequest
    output_type = Chat
    contract = Contract(
        texts={"text": "markdown", "choices": "markdown"},
        checks=("invented", "output_not_json", "schema_invalid"),
        settings={"invented": CheckSetting(severity=Severity.OFF)},  # a row can turn it on
        holds_prompt=True,
    )
    example: Mapping[str, Any] = {"system": "Answer in one sentence.", "prompt": "Why do tomatoes need sunlight?"}

    def __init__(self, templates: Templates) -> None:
        del templates  # the row brings its whole prompt

    def compose(
        self, request: BaseModel, checker: Checker = UNCHECKED
    ) -> Generator[Sequence[Prompt], Sequence[Completion], Chat]:
        """Yield one prompt for each of the `n` answers, and again for each answer that a check refuses."""
        if not isinstance(request, ChatRequest):
            raise TypeError(type(request))
        messages = [Message(turn.role, turn.content) for turn in request.messages or () if turn.content.strip()]
        if request.prompt is not None:
            system = [Message("system", request.system)] if request.system and request.system.strip() else []
            messages = [*system, Message("user", request.prompt)]
        schema = request.answer_schema
        prompt = Prompt(messages=tuple(messages), params=request.params(MAX_TOKENS), schema=schema)

        def output_of(answers: Sequence[Completion]) -> Chat:
            thoughts = tuple(answer.reasoning for answer in answers) if request.include_reasoning else ()
            output = verbatim_output(Chat, answers, schema=schema, with_thoughts=request.include_reasoning)
            return output.model_copy(update={"reasoning": thoughts}) if any(thoughts) else output

        answers = yield from kept_answers(request.prompts(prompt), output_of, checker, reminder(schema))
        return output_of(answers)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return the most tokens that the answers have together if the row has no `max_tokens`."""
        return MAX_TOKENS * (request.n if isinstance(request, ChatRequest) else 1)
