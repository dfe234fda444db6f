"""Estimates the tokens, device time and charge that the rows of a file would take. Nothing is accepted.

Rows are read as intake reads them. For each kind and model the estimate rests on the first of these bases that exists: the mean
of published rows of the same kind, model and template; the mean of published rows with any template; an assumption. The
assumption is that completions are as long as the kind expects, with as many thoughts as the model's latest rows of other kinds
had, and that prompts are as long as the prompts of sampled rows. The tokens of sampled prompts are estimated from their bytes. An
estimate that rests on this assumption has no device time.

An estimate that rests on published rows has an interval, which follows from how far the tokens of these rows were spread. If the
sampled prompts are less than half or more than twice as long as those of published rows, only published rows of about the same
length class count.

What the translation memory knows now is not asked for, so it is left out: `asked` counts rows by the share of their work that is
left. Published rows count in the same way, by the tokens that the memory saved them.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, Literal

from jobs.accounts.expected_thoughts import LatestBatches, thinking_prompts
from jobs.accounts.summaries import summaries
from jobs.accounts.summary import Tally
from jobs.batches.output_rows import short_template
from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.intake.accept import IntakeOptions, staged
from jobs.intake.documents.opening import Input
from jobs.intake.remembering import RowLookup
from jobs.intake.row_faults import RowFault
from jobs.intake.staging import Staging
from jobs.kinds.first_prompts import first_prompts
from jobs.kinds.kind import Kind
from jobs.operations.preview import estimated
from jobs.planning.intervals import skewed
from jobs.planning.sizes import Sizes, length_class, total
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.usage import Usage

SAMPLE_ROWS: Final = 200
"""The mean length of prompts is measured over at most this many rows of each kind and model."""
SHOWN_REFUSALS: Final = 20
"""An estimate holds the faults of at most this many rows."""
HISTORY_ROWS: Final = 20
"""An estimate rests on published rows only if there are at least this many."""
LEVEL: Final = 0.95
"""The truth lies within the interval of an estimate in this share of files."""
PARTS: Final = 1_000_000
"""What is asked of a row is counted in this many parts."""
_MUCH: Final = 2.0
"""Prompts are much longer or shorter than others by this factor."""

Group = tuple[str, str]
"""Kind and model."""

Basis = Literal["history", "other templates", "assumed", "memory"]
"""The basis of an estimate. `other templates`: rows of the same kind and model that began with another template. `memory`: the
translation memory has all segments of all rows.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one kind and model, the lane that would run them, and their expected `usage` in sum.

    `known_rows` of them need no model, since the translation memory has all their segments.
    `history_rows` is the number of published rows on which the estimate rests; 0 if it is assumed. `thought_tokens` is how many
    of the completion tokens are assumed to be thoughts. `low` and `high` hold the tokens, the device time and the charge in 95 of
    100 files, if the rows are like the published ones; None if that is not known.
    """

    kind: str
    model: str
    lane: str
    rows: int
    usage: Usage
    basis: Basis
    history_rows: int = 0
    thought_tokens: int = 0
    known_rows: int = 0
    low: Usage | None = None
    high: Usage | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate of a file: a line for each kind and model.

    `refused` counts the rows that intake would refuse or whose prompts cannot be made. `faults` counts them by code, and
    `refusals` has the first of them. `remarks` has each remark of a kind on other rows, with the number of rows.
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

    @property
    def interval(self) -> tuple[Usage, Usage] | None:
        """The low and the high ends of all lines together; None if a line has none. Lines of one file vary together at most."""
        if not self.lines or any(line.low is None or line.high is None for line in self.lines):
            return None
        return (
            sum((line.low or Usage() for line in self.lines), Usage()),
            sum((line.high or Usage() for line in self.lines), Usage()),
        )


@dataclass
class _Seen:
    """Counts the rows of one kind and model as they are read. `cost` is the sum of their expected tokens.

    `asked` counts each row by the share of its work that the memory leaves to the model, in parts of a row (`PARTS` are a whole
    one). `known_rows` leave nothing.
    """

    rows: int = 0
    known_rows: int = 0
    asked: int = 0
    cost: int = 0
    sampled: int = 0
    sampled_tokens: int = 0
    thinking_prompts: int = 0
    templates: set[str] = field(default_factory=set)
    lane: str = field(default="")


def estimate(
    store: Store,
    lines: Input,
    options: IntakeOptions,
    kinds: Mapping[str, Kind],
    settings: Settings,
) -> Estimate:
    """Estimate what the rows of an input would take. Nothing is stored. Raises what `intake.accept` raises."""
    with staged(lines, options, kinds, settings) as staging, closing(RowLookup(store, kinds, settings)) as memory:
        if staging.rows:
            staging.require_rows()
        broken = _Broken()
        seen = _counted(staging, kinds, memory, broken)
        latest = LatestBatches()
        history = _history(store, latest) if seen else {}
        shown = tuple(
            _remembered(group, found)
            or _known(group, found, history.get(group, {}), settings)
            or _assumed(group, found, latest.thoughts_of(store, group[1]), settings)
            for group, found in sorted(seen.items())
        )
        codes = Counter(staging.codes) + broken.codes
        refusals = sorted([*staging.faults, *broken.faults], key=lambda fault: fault.row)[:SHOWN_REFUSALS]
        return Estimate(
            rows=staging.rows,
            refused=staging.refused + broken.codes.total(),
            faults=dict(sorted(codes.items())),
            lines=shown,
            refusals=tuple(refusals),
            remarks=staging.remarks
            if memory.remark is None
            else {**staging.remarks, memory.remark: memory.rows_without},
        )


@dataclass
class _Broken:
    """The rows whose prompts cannot be made, such as by a broken template: their number by code, and the first faults."""

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


def _counted(staging: Staging, kinds: Mapping[str, Kind], memory: RowLookup, broken: _Broken) -> Mapping[Group, _Seen]:
    """Count the rows whose prompts can be made. The prompts of every row are made, since a template may fail for some rows."""
    seen: dict[Group, _Seen] = {}
    for lane in staging.lanes():
        for request in _requests(staging.lane_path(lane)):
            left = memory.with_memory(request)
            try:
                prompts = first_prompts(left, kinds[request.kind])
            except RowError as error:
                broken.add(request, error)
                continue
            found = seen.setdefault((request.kind, request.model), _Seen(lane=lane))
            found.rows += 1
            if not prompts and left.known:
                found.known_rows += 1
                continue
            found.asked += PARTS * left.cost // request.cost if request.cost > 0 else PARTS
            found.cost += left.cost
            if found.sampled < SAMPLE_ROWS:
                found.sampled += 1
                found.sampled_tokens += sum(map(estimated, {prompt.read: prompt for prompt in prompts}.values()))
                found.thinking_prompts += thinking_prompts(request, prompts)
                found.templates.update(short_template(prompt.template_sha256) for prompt in prompts[:1])
    return seen


def _requests(path: Path) -> Iterator[RowRequest]:
    with path.open("rb") as file:
        yield from map(RowRequest.from_bytes, file)


def _history(store: Store, latest: LatestBatches) -> Mapping[Group, Mapping[str, Tally]]:
    """Return the usage of published rows of all tenants, by kind and model, then by template. Damaged batches are left out.

    The latest batches of each model are added to `latest`.
    """
    sums: dict[Group, dict[str, Tally]] = {}
    for summary in summaries(store, faults=[]):
        latest.add(summary)
        groups = chain.from_iterable(added.items() for added in summary.added.values())
        for (_, model, kind, template), tally in groups:
            found = sums.setdefault((kind, model), {})
            found[template] = found.get(template, Tally()) + tally
    return sums


def _known(group: Group, seen: _Seen, history: Mapping[str, Tally], settings: Settings) -> Line | None:
    """Return a line that rests on published rows; None if there are too few."""
    kind, model = group
    basis: Basis
    for basis, tallies in (
        ("history", [tally for template, tally in history.items() if template in seen.templates]),
        ("other templates", list(history.values())),
    ):
        known = sum(tallies, Tally())
        if known.rows >= HISTORY_ROWS:
            sizes, rows = total(known.sizes.values()), known.rows
            used = known.usage.prompt_tokens + known.usage.completion_tokens
            saved = known.memory.prompt_tokens + known.memory.completion_tokens
            most, of = seen.asked * max(1, used + saved), PARTS * known.rows * max(1, used)
            scaled = {name: count * most // of for name, count in known.usage.as_dict().items()}
            asked = max(1, math.ceil(known.rows * most / of))
            if (alike := _of_like_length(known, sizes, seen)) is not None:
                sizes, rows = alike, alike.rows
                scaled |= _scaled(alike, asked, known.usage)
            usage = _priced(scaled, model, settings)
            low, high = _interval(sizes, usage, asked, model, settings)
            return Line(kind, model, seen.lane, seen.rows, usage, basis, rows, 0, seen.known_rows, low, high)
    return None


def _remembered(group: Group, seen: _Seen) -> Line | None:
    """Return a line without usage if the memory has all segments of all rows; else None."""
    if seen.known_rows < seen.rows:
        return None
    nothing = Usage()
    return Line(*group, seen.lane, seen.rows, nothing, "memory", known_rows=seen.rows, low=nothing, high=nothing)


def _priced(counts: Mapping[str, int], model: str, settings: Settings) -> Usage:
    """Return the usage at today's prices, as the rows would be charged."""
    now = settings.prices.price(Usage.from_dict(counts), model=model, device="")
    return Usage.from_dict({**counts, "charge": now.charge})


def _of_like_length(known: Tally, all_: Sizes, seen: _Seen) -> Sizes | None:
    """Return the sizes of published rows whose prompts are about as long as the sampled ones, if most are much longer or shorter.

    None if published prompts are about as long on the whole, or too few are.
    """
    mean = seen.sampled_tokens / max(1, seen.sampled)
    if all_.rows <= 0 or 1 / _MUCH <= mean / max(1.0, all_.prompt.mean) <= _MUCH:
        return None
    number = length_class(round(mean))
    alike = total(one for part, one in known.sizes.items() if abs(part.length_class - number) <= 1)
    return alike if HISTORY_ROWS <= alike.rows < all_.rows else None


def _scaled(sizes: Sizes, rows: int, used: Usage) -> Mapping[str, int]:
    """Return the counts of rows that are like those of `sizes`. Caches and the cost of devices have the shares as in `used`."""
    prompt = sizes.prompt.total * rows // sizes.rows
    device_ns = sizes.device_ns.total * rows // sizes.rows
    return {
        "prompt_tokens": prompt,
        "cached_prompt_tokens": prompt * used.cached_prompt_tokens // max(1, used.prompt_tokens),
        "completion_tokens": sizes.completion.total * rows // sizes.rows,
        "device_ns": device_ns,
        "device_cost": device_ns * used.device_cost // max(1, used.device_ns),
    }


def _interval(
    sizes: Sizes, usage: Usage, rows: int, model: str, settings: Settings
) -> tuple[Usage | None, Usage | None]:
    """Return the low and the high end of a line's usage, by the spread of published rows; None without sketches of enough."""
    if sizes.rows < HISTORY_ROWS:
        return None, None
    ends: list[dict[str, int]] = [{}, {}]
    for name, sketch in (
        ("prompt_tokens", sizes.prompt),
        ("completion_tokens", sizes.completion),
        ("device_ns", sizes.device_ns),
    ):
        expected = getattr(usage, name)
        deviation = math.sqrt(sketch.variance * rows * (1 + rows / sizes.rows))
        found = skewed(expected, deviation, sketch.skewness / math.sqrt(min(rows, sizes.rows)), LEVEL, sizes.rows - 1)
        ends[0][name], ends[1][name] = int(found.low), math.ceil(found.high)
    for end in ends:
        end["cached_prompt_tokens"] = min(usage.cached_prompt_tokens, end["prompt_tokens"])
    cost = [usage.device_cost * end["device_ns"] // max(1, usage.device_ns) for end in ends]
    low, high = (_priced({**end, "device_cost": one}, model, settings) for end, one in zip(ends, cost, strict=True))
    return low, high


def _assumed(group: Group, seen: _Seen, thoughts_a_prompt: float, settings: Settings) -> Line:
    """Return a line that rests on no published rows of its kind."""
    kind, model = group
    sampled = max(1, seen.sampled)
    asked = seen.rows - seen.known_rows
    thoughts = round(thoughts_a_prompt * seen.thinking_prompts * asked / sampled)
    tokens = Usage(seen.sampled_tokens * asked // sampled, completion_tokens=seen.cost + thoughts)
    usage = settings.prices.price(tokens, model=model, device="")
    return Line(kind, model, seen.lane, seen.rows, usage, "assumed", 0, thoughts, seen.known_rows)
