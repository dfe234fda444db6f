"""The protocol of a kind of content.

A kind holds a conversation for each row: `compose` yields prompts, is sent their completions, and returns the output. A kind
needs no torch, no Redis and no Ray, so a test can send the completions by hand. Other packages add a kind through the entry point
group `nightpress.kinds`: the entry point names a callable that takes the Templates and returns a Kind.
"""

from collections.abc import Generator, Sequence
from typing import Protocol

from pydantic import BaseModel

from jobs.generation import Completion, Prompt

Conversation = Generator[Sequence[Prompt], Sequence[Completion], BaseModel]
"""Yields prompts, which may run side by side, is sent the completions in the order of the prompts, and returns the output."""


class Kind(Protocol):
    """A kind of content, such as `article`."""

    @property
    def name(self) -> str:
        """The name that rows give in `kind`: lower case, words joined by `_`."""
        ...

    @property
    def request_type(self) -> type[BaseModel]:
        """The pydantic model of the request. It has the fields of this kind, without the fields that any row may have.

        It may have a property `schema_field`: the field by which a row asks for an answer that satisfies a schema, or None.
        Intake refuses a row that asks for such an answer if the engine of the row's model cannot give one. If the model has an
        attribute `uses_chat_template` that is False, intake refuses a row with `chat_template_kwargs`. If it has an attribute
        `needs_scores` that is True, intake refuses a row whose engine cannot score continuations. If it has a property
        `remark`, that is a sentence on a request that is valid but probably a mistake, or None; the commands show it.
        """
        ...

    @property
    def output_type(self) -> type[BaseModel]:
        """The pydantic model of the output."""
        ...

    # A kind may also have a `contract` (jobs/checks/contract.py): the texts of its output, and the checks that they
    # must pass. A kind without one has only the general checks, over all texts of its output. Its `example`, a mapping,
    # is the request of the row that `nightpress kinds` shows.

    def compose(self, request: BaseModel) -> Conversation:
        """Begin the conversation for one row. The conversation raises CheckFailed if the output cannot be published."""
        ...

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about how many tokens the completions of the row will have together, for schedules and estimates."""
        ...
