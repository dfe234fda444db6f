"""Kinds of content: each is one file, with its request, its output, its prompts and its checks.

A kind is a conversation: `compose` yields prompts, is sent their completions, and returns its output. It needs no torch,
no Redis and no Ray, and is tested by sending it completions by hand. Others add a kind through the entry point group
`nightpress.kinds`: the entry point names a callable that takes the Templates and returns a Kind.
"""

from collections.abc import Generator, Sequence
from typing import Protocol

from pydantic import BaseModel

from jobs.generation import Completion, Prompt

Conversation = Generator[Sequence[Prompt], Sequence[Completion], BaseModel]
"""Yields prompts that may run side by side, is sent their completions in the same order, returns the output."""


class Kind(Protocol):
    """One kind of content."""

    @property
    def name(self) -> str:
        """What rows call it: lower case, words joined by `_`."""
        ...

    @property
    def request_type(self) -> type[BaseModel]:
        """The fields of a row of this kind, beside those that any row may carry."""
        ...

    @property
    def output_type(self) -> type[BaseModel]:
        """The fields of an output."""
        ...

    def compose(self, request: BaseModel) -> Conversation:
        """Begin the conversation for one row. Raises CheckFailed when what comes out cannot be published."""
        ...

    def expected_tokens(self, request: BaseModel) -> int:
        """About how many tokens the row's completions will take together; the longest rows are started first."""
        ...
