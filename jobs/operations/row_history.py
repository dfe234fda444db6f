"""The history of one row: its request, its first prompts, every attempt with what it cost, and its published outcome."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.input import lane_input, read_row
from jobs.batches.published import ERRORS, OUTPUT, parsed_row, published_lines
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import latest_done, read_round, require_batch, reserved_for
from jobs.batches.segments.files import each_heads, each_segments, list_files, until_read
from jobs.batches.segments.line import Outcome
from jobs.errors import RequestError, RowError
from jobs.kinds.avoiding import avoiding
from jobs.kinds.first_prompts import first_prompts
from jobs.kinds.kind import Kind
from jobs.store.store import Store
from jobs.writing.templates import Templates

Values = Mapping[str, Any]

NUMBER_WITHIN: Final = 300
"""The row's number is in this many bytes at the beginning of a line, since only the batch's id may stand before it."""

_NUMBER: Final = re.compile(rb'^\{(?:"batch_id":"[^"\\]*",)?"row":([0-9]{1,18}),')


@dataclass(frozen=True, slots=True)
class RowHistory:
    """All that storage knows of one row.

    Attributes:
        batch_id: The batch.
        row: The row's number, from 0.
        request: The request as it was accepted; None if intake refused the row, or if the request cannot be read back.
        prompts: The row's first prompts, made with the present kind and templates: `label`, `messages`, `text`, and
            `template_changed`, which is true if the last attempt that names its templates had another template. Later prompts
            are missing, since they need the model's answers.
        attempts: Each attempt: `round`, `attempt`, `status`, `final`, `output` or `error`, `usage`, `wasted`, `receipt`.
        outcome: The row as it was published last; None while no round is published.
        reserved: What the row may be charged at most, as a budget has granted it: `amount` in billionths of `currency`; None
            without a budget.
    """

    batch_id: str
    row: int
    request: Values | None
    prompts: Sequence[Values]
    attempts: Sequence[Values]
    outcome: Values | None
    reserved: Values | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `show --json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}


def row_history(
    store: Store, batch_id: str, row: int, kinds: Mapping[str, Kind], templates_dir: Path | None = None
) -> RowHistory:
    """Read the history of a row.

    `templates_dir` is the folder of the user's own templates. Raises RequestError if the batch has no such row, NoBatch,
    StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    check_row(batch, row)
    outcome = published_row(store, batch, row)
    attempts = until_read(store, lambda: list(_attempts(store, batch, row)))
    request = request_of(store, batch, row)
    kind = None if request is None else kinds.get(request["kind"])
    avoid = [avoided for attempt in attempts if (avoided := attempt.receipt.get("avoid"))]
    if kind is not None and avoid:
        kind = avoiding(kind, avoid[-1], Templates(templates_dir))
    prompts = [] if request is None or kind is None else list(_prompts(request, kind, attempts))
    current = read_round(store, batch)  # raises NoBatch if the batch was deleted while its files were read
    held = reserved_for(store, batch, current, row)
    reserved = None if held is None else dict(zip(("amount", "currency"), held, strict=True))
    return RowHistory(batch_id, row, request, prompts, list(map(_as_values, attempts)), outcome, reserved)


def check_row(batch: Batch, row: int) -> None:
    """Raise RequestError if the batch has no row of this number."""
    if not 0 <= row < batch.rows:
        raise RequestError(f"batch {batch.batch_id} has no row {row}: its rows are 0 to {batch.rows - 1}")


def request_of(store: Store, batch: Batch, row: int) -> Values | None:
    """Return the row's normalised request; None if intake refused the row, or if the request cannot be read back."""
    for lane in batch.lanes:
        with lane_input(store, batch.batch_id, lane) as file:
            for line in file:
                if (_number_in(line) or row) < row:  # rows stand in order
                    continue
                request = read_row(line)
                if request is not None and request.row == row:
                    return dict(orjson.loads(request.to_bytes()))
                if request is not None and request.row > row:
                    break
    return None


def published_row(store: Store, batch: Batch, row: int) -> Values | None:
    """Return the row as it was published last; None while no round is published."""
    done = latest_done(store, batch.batch_id)
    if done is None:
        return None
    for name in (OUTPUT, ERRORS):
        for line in published_lines(store, done, batch.batch_id, name):
            if (_number_in(line) or row) < row:
                continue
            published: Values = parsed_row(store, done, batch.batch_id, name, line)
            if published["row"] == row:
                return published
            if published["row"] > row:
                break
    return None


def _number_in(line: bytes) -> int | None:
    """Return the row's number in a line of an input or of a published file, without parsing the line; None if it is not found.

    The number stands before any text of a user or a model.
    """
    found = _NUMBER.search(line, 0, NUMBER_WITHIN)
    return None if found is None else int(found[1])


def _prompts(request: Values, kind: Kind, attempts: Sequence[Outcome]) -> Iterator[Values]:
    """Yield the first prompts; none if the kind has changed so much that it no longer takes the request."""
    try:
        prompts = first_prompts(RowRequest(**request), kind)
    except (RowError, ValueError):
        return
    made = [templates for attempt in attempts if (templates := attempt.receipt.get("templates"))]
    for prompt in prompts:
        before = made[-1].get(prompt.label) if made else None
        yield {
            "label": prompt.label,
            "messages": [{"role": turn.role, "content": turn.content} for turn in prompt.messages],
            "text": prompt.text,
            "template_changed": before is not None and before != prompt.template_sha256,
        }


def _attempts(store: Store, batch: Batch, row: int) -> Iterator[Outcome]:
    """Yield every outcome of the row. If a segment is in several files, its outcomes are yielded once."""
    seen: set[str] = set()
    files = list_files(store, BatchPaths(batch.batch_id))
    for path, heads in each_heads(store, [*files.alone, *files.compacted]):
        wanted = {head.name for head in heads if any(entry.row == row for entry in head.rows)} - seen
        seen |= wanted
        for _, segments in each_segments(store, {path: 0} if wanted else {}):
            for segment in segments:
                if segment.head.name in wanted:
                    yield from (outcome for outcome in segment.outcomes() if outcome.row == row)


def _as_values(outcome: Outcome) -> Values:
    return {name: value for name, value in asdict(outcome).items() if name != "row" and value is not None}
