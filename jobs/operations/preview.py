"""Preview: the prompts that the first rows of a file would begin with. Nothing is stored and nothing generated.

A kind is asked for its first prompts alone: what it asks next depends on what a model answers. Tokens are counted by the
model's own tokenizer where its package and files are on this machine (entry point group `nightpress.tokens`), else estimated.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import islice
from typing import Final, Protocol

from jobs.batches.request_row import RowRequest
from jobs.errors import CheckFailed, RowError
from jobs.formats.record import Record
from jobs.generation import Prompt
from jobs.intake.row_reader import RowFault, RowReader
from jobs.kinds.kind import Kind
from jobs.settings import Settings

BYTES_A_TOKEN: Final = 4
"""About what a token holds of English text, for models whose tokenizer is not here."""

Counter = Callable[[Prompt], int]


class CounterMaker(Protocol):
    """What an entry point of the group `nightpress.tokens` is."""

    def __call__(self, settings: Settings, model: str) -> Counter | None:
        """How tokens of a model are counted; None when its files are not on this machine."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """A row, and what it would begin with. `tokens` are those of each prompt; `exact` says that they were counted."""

    request: RowRequest
    prompts: Sequence[Prompt]
    tokens: Sequence[int]
    exact: bool


def previews(
    records: Iterable[Record], reader: RowReader, kinds: Mapping[str, Kind], settings: Settings, limit: int
) -> Iterator[Preview | RowFault]:
    """The first `limit` rows."""
    counters: dict[str, Counter | None] = {}
    for number, record in enumerate(islice(records, limit)):
        request = reader.read(record, number)
        if isinstance(request, RowFault):
            yield request
            continue
        if request.model not in counters:
            counters[request.model] = _counter(settings, request.model)
        try:
            prompts = first_prompts(request, kinds[request.kind])
        except RowError as error:
            yield RowFault(number, record.line, error.code, error.message, error.field, request.kind, request.custom_id)
            continue
        count = counters[request.model]
        yield Preview(request, prompts, [(count or estimated)(prompt) for prompt in prompts], count is not None)


def first_prompts(request: RowRequest, kind: Kind) -> Sequence[Prompt]:
    """What a row asks first. Raises RowError, as it would on a worker, and ValueError when its kind takes it no more."""
    asked = kind.request_type.model_validate(dict(request.request))
    try:
        conversation = kind.compose(asked)
        prompts = tuple(next(conversation, ()))
    except RowError:
        raise
    except Exception as error:
        raise CheckFailed("kind_failed", f"kind {kind.name}: {error!r}") from error
    with contextlib.suppress(Exception):  # it was asked for no more
        conversation.close()
    return prompts


def estimated(prompt: Prompt) -> int:
    """About how many tokens a prompt has."""
    texts = [prompt.text, *(message.content for message in prompt.messages)]
    return max(1, sum(len(text.encode()) for text in texts) // BYTES_A_TOKEN)


def _counter(settings: Settings, model: str) -> Counter | None:
    for point in entry_points(group="nightpress.tokens"):
        make: CounterMaker = point.load()
        if (counter := make(settings, model)) is not None:
            return counter
    return None
