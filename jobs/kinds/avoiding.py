"""A kind that tells the model which texts it must not repeat.

A row that is renewed because its text was like others (rule 44 of jobs/PROTOCOL.md) brings the beginnings of those texts. They
are put at the end of the last turn of the user, in each prompt of the row, by the template `avoid.j2`. So any kind can be
renewed, also one of another package. A prompt of raw text stays as it is, since the model would only continue the list.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel

from jobs.checks.checker import UNCHECKED, Checker
from jobs.generation import Completion, Message, Prompt
from jobs.kinds.kind import Conversation, Kind, begin
from jobs.writing.templates import Templates

TEMPLATE: Final = "avoid.j2"


class AvoidingKind:
    """A kind whose prompts also say what not to repeat. In all else it is the kind `kind`.

    Args:
        kind: The kind of the row.
        avoid: Beginnings of texts that must not be repeated, at least one.
        templates: The templates of the process.
    """

    def __init__(self, kind: Kind, avoid: Sequence[str], templates: Templates) -> None:
        self._kind = kind
        self._avoid = tuple(avoid)
        self._templates = templates

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    @property
    def name(self) -> str:
        return self._kind.name

    @property
    def request_type(self) -> type[BaseModel]:
        return self._kind.request_type

    @property
    def output_type(self) -> type[BaseModel]:
        return self._kind.output_type

    def compose(self, request: BaseModel, checker: Checker = UNCHECKED) -> Conversation:
        """Begin the conversation of the kind. RequestError: the template cannot be rendered; the message names it."""
        note = self._templates.render(TEMPLATE, avoid=self._avoid).text
        return self._told(begin(self._kind, request, checker), note)

    def expected_tokens(self, request: BaseModel) -> int:
        return self._kind.expected_tokens(request)

    def _told(
        self, conversation: Conversation, note: str
    ) -> Generator[Sequence[Prompt], Sequence[Completion], BaseModel]:
        try:
            prompts = next(conversation)
            while True:
                prompts = conversation.send((yield [_with_note(prompt, note) for prompt in prompts]))
        except StopIteration as stop:
            output: BaseModel = stop.value
            return output
        finally:
            conversation.close()


def avoiding(kind: Kind, avoid: Sequence[str] | None, templates: Templates) -> Kind:
    """Return the kind, with what its prompts must say is not to be repeated; the kind itself if that is nothing."""
    return AvoidingKind(kind, avoid, templates) if avoid else kind


def _with_note(prompt: Prompt, note: str) -> Prompt:
    if not prompt.messages:
        return prompt
    turns = list(prompt.messages)
    place = next((n for n in reversed(range(len(turns))) if turns[n].role == "user"), len(turns) - 1)
    turns[place] = Message(turns[place].role, f"{turns[place].content}\n\n{note}")
    return replace(prompt, messages=tuple(turns))
