"""The protocol of a kind of content.

A kind holds a conversation for each row: `compose` yields prompts, is sent their completions, and returns the output. A kind
needs no torch, no Redis and no Ray, so a test can send the completions by hand. Other packages add a kind through the entry point
group `nightpress.kinds`: the entry point names a callable that takes the Templates and returns a Kind.
"""

from collections.abc import Generator, Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any, Protocol

from pydantic import BaseModel

from jobs.checks.checker import Checker
from jobs.checks.contract import Contract
from jobs.generation import Completion, Prompt
from jobs.memory.entry import Query
from jobs.memory.row_memory import NOTHING_KNOWN, RowMemory

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
        Intake makes a remark on such a row if the engine of its model cannot be constrained by a schema. If the model has an
        attribute `uses_chat_template` that is False, intake refuses a row with `chat_template_kwargs`. If it has an attribute
        `needs_scores` that is True, intake refuses a row whose engine cannot score continuations. `takes_encoder` says that an
        encoder can serve the kind, and `needs_encoder` that nothing else can. If it has a property
        `remark`, that is a sentence on a request that is valid but probably a mistake, or None; the commands show it.
        """
        ...

    @property
    def output_type(self) -> type[BaseModel]:
        """The pydantic model of the output."""
        ...

    # A kind may also have a `contract` (jobs/checks/contract.py): the texts of its output, and the checks that they
    # must pass. A kind without one has only the general checks, over all texts of its output. Its `example`, a mapping,
    # is the request of the row that `nightpress kinds` shows. If `compose` has a second parameter `checker`, it gets the
    # row's Checker (jobs/checks/checker.py), and can ask again for what would fail.
    #
    # A kind whose texts the translation memory may know has a method `memory_query`: given a request, it returns the Query
    # (jobs/memory/entry.py) of its segments, without the model. `compose` then has a third parameter `memory`, the RowMemory of
    # the row: the kind takes known segments from it without asking, and reports which it took. Its output has `segments`, each
    # with `source` and `target`, which are written into the memory once the row is published and fit.
    #
    # A kind whose first prompts are not all of its prompts has a method `most_tokens`: given a request and the row's `max_tokens`
    # or None, it returns how many prompts may be charged at most, and the most tokens of their completions together.

    def compose(self, request: BaseModel) -> Conversation:
        """Begin the conversation for one row. The conversation raises CheckFailed if the output cannot be published."""
        ...

    def expected_tokens(self, request: BaseModel) -> int:
        """Return about how many tokens the completions of the row will have together, for schedules and estimates."""
        ...


def contract_of(kind: Kind) -> Contract:
    """Return the contract of a kind, or an empty one if it has none. With an empty one, all texts of an output are checked."""
    contract = getattr(kind, "contract", None)
    return contract if isinstance(contract, Contract) else Contract()


def begin(kind: Kind, request: BaseModel, checker: Checker, memory: RowMemory | None = None) -> Conversation:
    """Begin the conversation for one row, with the row's checker and its memory if the kind takes them."""
    given: dict[str, Any] = {"checker": checker, "memory": memory or NOTHING_KNOWN}
    return kind.compose(request, **{name: given[name] for name in _taken(type(kind))})


@cache
def _taken(kind: type[Kind]) -> tuple[str, ...]:
    """Return which of `checker` and `memory` the kind's `compose` takes."""
    parameters = signature(kind.compose).parameters
    return tuple(name for name in ("checker", "memory") if name in parameters)


def memory_query(kind: Kind, request: BaseModel) -> Query | None:
    """Return what a row asks the translation memory, without its model; None if its kind does not use the memory."""
    ask = getattr(kind, "memory_query", None)
    found = None if ask is None else ask(request)
    return found if isinstance(found, Query) else None


def with_defaults(kind: Kind, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a valid request as JSON values, with their defaults."""
    return kind.request_type.model_validate(dict(request)).model_dump(mode="json", by_alias=True)
