"""A completion: raw text that the model continues, without a chat template. It is for base models."""

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from pydantic import BaseModel, Field

from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.generation import Completion, Prompt
from jobs.kinds.asking import kept_answers
from jobs.writing.fields import Text
from jobs.writing.templates import Templates
from jobs.writing.verbatim import VerbatimOutput, VerbatimRequest, verbatim_output

MAX_TOKENS: Final = 256
"""An answer has at most this many tokens, unless the row has `max_tokens`."""


class CompletionRequest(VerbatimRequest):
    """The text to continue."""

    uses_chat_template: ClassVar[bool] = False

    prompt: Text = Field(
        max_length=500_000, description="The text to continue; it is given to the model without a template."
    )


class Continuation(VerbatimOutput):
    """The text that follows the prompt."""


class CompletionKind:
    """The kind `completion`."""

    name = "completion"
    request_type = CompletionRequest
    output_type = Continuation
    contract = Contract(
        texts={"text": "plain", "choices": "plain"}, checks=("output_not_json", "schema_invalid"), holds_prompt=True
    )
    example: Mapping[str, Any] = {"prompt": "Tomatoes need sunlight because", "max_tokens": 40}

    def __init__(self, templates: Templates) -> None:
        del templates  # the row brings its whole prompt

    def compose(
        self, request: BaseModel, checker: Checker = UNCHECKED
    ) -> Generator[Sequence[Prompt], Sequence[Completion], Continuation]:
        """Yield one prompt for each of the `n` answers, and again for each answer that a check refuses."""
        if not isinstance(request, CompletionRequest):
            raise TypeError(type(request))
        schema = request.answer_schema
        prompts = request.prompts(Prompt(text=request.prompt, params=request.params(MAX_TOKENS), schema=schema))
        output_of = partial(verbatim_output, Continuation, schema=schema)
        answers = yield from kept_answers(prompts, output_of, checker)
        return output_of(answers)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return the most tokens that the answers have together if the row has no `max_tokens`."""
        return MAX_TOKENS * (request.n if isinstance(request, CompletionRequest) else 1)
