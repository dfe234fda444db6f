"""An estimate: the tokens, device time and charge that a file would take. Nothing is accepted.

Rows are read as intake reads them. For each kind and model the estimate rests on the first of these bases that exists: the mean
of published rows of the same kind, model and template; the mean of published rows with any template; an assumption. The
assumption is that completions are as long as the kind expects, and that prompts are as long as the prompts of sampled rows. The
tokens of sampled prompts are estimated from their bytes. An estimate that rests on this assumption has no device time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Literal

from jobs.accounts.summaries import summaries
from jobs.accounts.summary import Tally
from jobs.batches.output_rows import short_template
from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.intake.accept import IntakeOptions, staged
from jobs.intake.row_reader import RowFault
from jobs.intake.staging import Staging
from jobs.kinds.kind import Kind
from jobs.operations.preview import estimated, first_prompts
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.usage import Usage

SAMPLE_ROWS: Final = 200
"""The mean length of a row's prompts is that of at most this many rows of each kind and model."""
SHOWN_REFUSALS: Final = 20
"""An estimate holds the faults of at most this many rows."""
HISTORY_ROWS: Final = 20
"""An estimate rests on published rows only if there are at least this many."""

Group = tuple[str, str]
"""Kind and model."""

Basis = Literal["history", "other templates", "assumed"]
"""The basis of an estimate. `other templates`: rows of the same kind and model that began with another template."""


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one kind and model, the lane that would run them, and `usage`, the sum of what they would take.

    `history_rows` is the number of published rows on which the estimate rests; 0 if it is assumed.
    """

    kind: str
    model: str
    lane: str
    rows: int
    usage: Usage
    basis: Basis
    history_rows: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate of a file: a line for each kind and model.

    `refused` rows would be refused by intake, or could not be run, since their prompts cannot be made. `faults` counts them by
    code, and `refusals` are the first of them. `remarks` are what kinds remark on other rows, each with the number of rows.
    """

    rows: int
    refused: int
    faults: Mapping[str, int]
    lines: tuple[Line, ...]
    refusals: tuple[RowFault, ...] = ()
    remarks: Mapping[str, int] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        """The sum of all lines."""
        return sum((line.usage for line in self.lines), Usage())


@dataclass
class _Seen:
    """Counts the rows of one kind and model as they are read. `cost` is the sum of their expected tokens."""

    rows: int = 0
    cost: int = 0
    sampled: int = 0
    sampled_tokens: int = 0
    templates: set[str] = field(default_factory=set)
    lane: str = field(default="")


def estimate(
    store: Store,
    lines: Iterable[bytes] | BinaryIO,
    options: IntakeOptions,
    kinds: Mapping[str, Kind],
    settings: Settings,
) -> Estimate:
    """Estimate what the rows of an input would take. Nothing is stored. Raises what `intake.accept` raises."""
    with staged(lines, options, kinds, settings) as staging:
        if staging.rows:
            staging.require_rows()
        broken = _Broken()
        seen = _counted(staging, kinds, broken)
        history = _history(store) if seen else {}
        shown = tuple(_line(group, found, history.get(group, {}), settings) for group, found in sorted(seen.items()))
        codes = Counter(staging.codes) + broken.codes
        refusals = sorted([*staging.faults, *broken.faults], key=lambda fault: fault.row)[:SHOWN_REFUSALS]
        return Estimate(
            rows=staging.rows,
            refused=staging.refused + broken.codes.total(),
            faults=dict(sorted(codes.items())),
            lines=shown,
            refusals=tuple(refusals),
            remarks=staging.remarks,
        )


@dataclass
class _Broken:
    """The rows whose prompts cannot be made, such as by a broken template: how many by code, and the first of each lane."""

    codes: Counter[str] = field(default_factory=Counter)
    faults: list[RowFault] = field(default_factory=list)

    def add(self, request: RowRequest, error: RowError) -> None:
        """Count a row. The faults of the first rows of each kind and model are kept."""
        if self.codes.total() < SHOWN_REFUSALS or self.faults[-1].kind != request.kind:
            fault = RowFault(
                request.row, request.line, error.code, error.message, error.field, request.kind, request.custom_id
            )
            self.faults.append(fault)
        self.codes[error.code] += 1


def _counted(staging: Staging, kinds: Mapping[str, Kind], broken: _Broken) -> Mapping[Group, _Seen]:
    """Count the rows whose prompts can be made. The prompts of every row are made, since a template may fail for some rows."""
    seen: dict[Group, _Seen] = {}
    for lane in staging.lanes():
        for request in _requests(staging.lane_path(lane)):
            try:
                prompts = first_prompts(request, kinds[request.kind])
            except RowError as error:
                broken.add(request, error)
                continue
            found = seen.setdefault((request.kind, request.model), _Seen(lane=lane))
            found.rows += 1
            found.cost += request.cost
            if found.sampled < SAMPLE_ROWS:
                found.sampled += 1
                found.sampled_tokens += sum(map(estimated, {prompt.read: prompt for prompt in prompts}.values()))
                found.templates.update(short_template(prompt.template_sha256) for prompt in prompts[:1])
    return seen


def _requests(path: Path) -> Iterator[RowRequest]:
    with path.open("rb") as file:
        yield from map(RowRequest.from_bytes, file)


def _history(store: Store) -> Mapping[Group, Mapping[str, Tally]]:
    """Return what published rows of all tenants took, by kind and model, then by template. Damaged batches are left out."""
    sums: dict[Group, dict[str, Tally]] = {}
    for summary in summaries(store, faults=[]):
        groups = chain.from_iterable(added.items() for added in summary.added.values())
        for (_, model, kind, template), tally in groups:
            found = sums.setdefault((kind, model), {})
            found[template] = found.get(template, Tally()) + tally
    return sums


def _line(group: Group, seen: _Seen, history: Mapping[str, Tally], settings: Settings) -> Line:
    kind, model = group
    basis: Basis
    for basis, tallies in (
        ("history", [tally for template, tally in history.items() if template in seen.templates]),
        ("other templates", list(history.values())),
    ):
        known = sum(tallies, Tally())
        if known.rows >= HISTORY_ROWS:
            scaled = {name: count * seen.rows // known.rows for name, count in known.usage.as_dict().items()}
            now = settings.prices.price(Usage.from_dict(scaled), model=model, device="")
            usage = Usage.from_dict({**scaled, "charge": now.charge})  # at today's prices, as the rows would be charged
            return Line(kind, model, seen.lane, seen.rows, usage, basis, known.rows)
    tokens = Usage(prompt_tokens=seen.sampled_tokens * seen.rows // max(1, seen.sampled), completion_tokens=seen.cost)
    return Line(kind, model, seen.lane, seen.rows, settings.prices.price(tokens, model=model, device=""), "assumed")
