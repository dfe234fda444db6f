"""A completion: raw text that the model goes on with, outside its chat template. For base models."""

from collections.abc import Generator, Sequence
from typing import Final

from pydantic import BaseModel, Field

from jobs.generation import Completion, Prompt
from jobs.writing.fields import Text
from jobs.writing.templates import Templates
from jobs.writing.verbatim import ChoiceFields, Generated, generated

MAX_TOKENS: Final = 256


class CompletionRequest(ChoiceFields):
    """The text to go on with."""

    prompt: Text = Field(max_length=500_000, description="The text to go on with, as it stands.")


class Continuation(Generated):
    """What follows the prompt."""


class CompletionKind:
    """The kind `completion`."""

    name = "completion"
    request_type = CompletionRequest
    output_type = Continuation

    def __init__(self, templates: Templates) -> None:
        del templates  # the row brings all of its prompt

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], Continuation]:
        """One prompt, without a chat template."""
        if not isinstance(request, CompletionRequest):
            raise TypeError(type(request))
        answers = yield request.prompts(Prompt(text=request.prompt, params=request.params(MAX_TOKENS)))
        return generated(Continuation, answers)

    def expected_tokens(self, request: BaseModel) -> int:
        """The most that it may take."""
        return MAX_TOKENS * (request.n if isinstance(request, CompletionRequest) else 1)
