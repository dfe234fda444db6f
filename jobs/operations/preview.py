"""A preview makes the first prompts of the first rows of a file. Nothing is stored, and nothing is generated.

Only a kind's first prompts can be shown, because later prompts depend on the model's answers. The model's own tokenizer counts
the tokens if the tokenizer's package and files are on this machine (entry point group `nightpress.tokens`). If they are not, the
number of tokens is estimated.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import islice
from typing import Any, Final, Protocol

from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.formats.record import Record
from jobs.generation import Prompt
from jobs.intake.remembering import RowLookup
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowReader
from jobs.kinds.first_prompts import first_prompts
from jobs.kinds.kind import Kind
from jobs.settings import Settings

BYTES_A_TOKEN: Final = 4
"""About how many bytes of English text make a token. Used for models whose tokenizer is not on this machine."""

Counter = Callable[[Prompt], int]
"""Counts the tokens of a prompt. Raises RowError for a prompt that the model cannot take."""


class CounterMaker(Protocol):
    """An entry point of the group `nightpress.tokens`: it makes the counter of a model."""

    def __call__(self, settings: Settings, model: str) -> Counter | None:
        """Return the counter of a model's tokens; None if the model's files are not on this machine."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """A row and its first prompts; none if the translation memory has all its segments.

    `tokens` has the number of tokens of each prompt, counted if `exact`, else estimated. `remark` is the kind's
    remark on the row, if the row is probably a mistake.
    """

    request: RowRequest
    prompts: Sequence[Prompt]
    tokens: Sequence[int]
    exact: bool
    remark: str | None = None

    def max_tokens(self, prompt: Prompt) -> int:
        """Return how many tokens the completion of this prompt may have at most."""
        return int(self.request.max_tokens or prompt.params.max_tokens)

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `preview --json` prints."""
        request = self.request
        return {
            "row": request.row,
            "custom_id": request.custom_id,
            "kind": request.kind,
            "model": request.model,
            "remark": self.remark,
            "prompts": [
                {
                    "label": prompt.label,
                    "messages": [{"role": turn.role, "content": turn.content} for turn in prompt.messages],
                    "text": prompt.text,
                    "prompt_tokens": tokens,
                    "exact": self.exact,
                    "max_tokens": self.max_tokens(prompt),
                }
                for prompt, tokens in zip(self.prompts, self.tokens, strict=True)
            ],
        }


def previews(
    records: Iterable[Record],
    reader: RowReader,
    kinds: Mapping[str, Kind],
    settings: Settings,
    limit: int,
    memory: RowLookup | None = None,
) -> Iterator[Preview | RowFault]:
    """Yield a Preview for each of the first `limit` rows, or a RowFault if something is wrong with the row.

    With `memory`, what the translation memory knows is left out of the prompts, as at work.
    """
    counters: dict[str, Counter | None] = {}
    for number, record in enumerate(islice(records, limit)):
        request = reader.read(record, number)
        if isinstance(request, RowFault):
            yield request
            continue
        if request.model not in counters:
            counters[request.model] = _counter(settings, request.model)
        count = counters[request.model]
        try:
            if memory is not None:
                request = memory.with_memory(request)
            prompts = first_prompts(request, kinds[request.kind])
            tokens = [(count or estimated)(prompt) for prompt in prompts]
        except RowError as error:
            yield RowFault(number, record.line, error.code, error.message, error.field, request.kind, request.custom_id)
            continue
        yield Preview(request, prompts, tokens, count is not None, reader.remark)


def estimated(prompt: Prompt) -> int:
    """Return about how many tokens a prompt has, at least 1."""
    texts = [prompt.text, *(message.content for message in prompt.messages)]
    return max(1, sum(len(text.encode()) for text in texts) // BYTES_A_TOKEN)


def _counter(settings: Settings, model: str) -> Counter | None:
    for point in entry_points(group="nightpress.tokens"):
        make: CounterMaker = point.load()
        if (counter := make(settings, model)) is not None:
            return counter
    return None
