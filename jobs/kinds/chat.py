"""A chat: the turns as they are given, and the model's next one. For all that no other kind fits."""

from collections.abc import Generator, Sequence
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.generation import Completion, Message, Prompt
from jobs.writing.fields import Text
from jobs.writing.templates import Templates
from jobs.writing.verbatim import ChoiceFields, Generated, ResponseFormat, generated

MAX_TOKENS: Final = 256


class Turn(BaseModel):
    """One turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: Text = Field(max_length=500_000, description="What is said.")


class ChatRequest(ChoiceFields):
    """Either `messages`, or a `prompt` with an optional `system`."""

    messages: tuple[Turn, ...] | None = Field(
        default=None, min_length=1, max_length=1_000, description="The turns so far, the last by the user."
    )
    prompt: Text | None = Field(default=None, max_length=500_000, description="A single turn by the user.")
    system: Text | None = Field(default=None, max_length=100_000, description="What comes before `prompt`.")

    response_format: ResponseFormat | None = Field(
        default=None, description="What the answer is: text, a JSON object, or JSON of a schema."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("exactly one of messages and prompt is needed")
        if self.system is not None and self.messages is not None:
            raise ValueError("with messages, put the system turn first among them")
        if self.messages is not None and self.messages[-1].role != "user":
            raise ValueError("the last of the messages is the user's")
        return self


class Chat(Generated):
    """The model's turn."""


class ChatKind:
    """The kind `chat`."""

    name = "chat"
    request_type = ChatRequest
    output_type = Chat

    def __init__(self, templates: Templates) -> None:
        del templates  # the row brings all of its prompt

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Chat]:
        """One prompt. A text that ended at max_tokens is what was asked for; the receipt says so."""
        if not isinstance(request, ChatRequest):
            raise TypeError(type(request))
        messages = [Message(turn.role, turn.content) for turn in request.messages or ()]
        if request.prompt is not None:
            system = [Message("system", request.system)] if request.system else []
            messages = [*system, Message("user", request.prompt)]
        schema = None if request.response_format is None else request.response_format.schema_
        prompt = Prompt(messages=tuple(messages), params=request.params(MAX_TOKENS), schema=schema)
        answers = yield request.prompts(prompt)
        return generated(Chat, answers, is_json=schema is not None)

    def expected_tokens(self, request: BaseModel) -> int:
        """The most that it may take."""
        return MAX_TOKENS * (request.n if isinstance(request, ChatRequest) else 1)
