"""Experience is what the accounts know of models: how long their rows are, how fast they run on which device, and what is wasted.

It is read from the summaries of published rounds, of all tenants. Rounds that earlier releases published have no sizes, so they
tell nothing here.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from jobs.accounts.summaries import summaries
from jobs.accounts.summary import Summary
from jobs.planning.sizes import Sizes
from jobs.planning.speeds import Moments, Speed, speed_of
from jobs.store.store import Store
from jobs.usage import Usage

NIGHTS: Final = 30
"""A speed is taken from at most this many rounds: the latest ones of its model and device."""
_HOUR_NS: Final = 3_600_000_000_000
LEAST_ROWS: Final = 20
"""Lengths and waste are taken from published rows only if there are at least this many."""


class Template(NamedTuple):
    """Rows of one model, kind and template. `template` is the shortened hash."""

    model: str
    kind: str
    template: str


@dataclass
class Experience:
    """What published rounds have shown. `add` takes each summary once."""

    _sizes: dict[Template, Sizes] = field(default_factory=dict)
    _nights: defaultdict[tuple[str, str], dict[tuple[datetime, str], Moments]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _spent: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    _lost: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _expected: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))

    @classmethod
    def read(cls, store: Store) -> "Experience":
        """Read all summaries. What is damaged is left out. Raises StoreUnavailable."""
        found = cls()
        for summary in summaries(store, faults=[]):
            found.add(summary)
        return found

    def add(self, summary: Summary) -> None:
        """Add what one published round shows."""
        completed: defaultdict[str, Usage] = defaultdict(Usage)
        rows: defaultdict[str, int] = defaultdict(int)
        for groups in summary.added.values():
            for (_, model, kind, template), tally in groups.items():
                completed[model] += tally.usage
                rows[model] += tally.rows
                key = Template(model, kind, template)
                for part, sizes in tally.sizes.items():
                    self._sizes[key] = self._sizes.get(key, Sizes()) + sizes
                    nights = self._nights[model, part.device]
                    night = (summary.at, summary.name)
                    nights[night] = nights.get(night, Moments()).plus(Moments.of(sizes))
        for model, names in summary.lost_workers.items():
            self._lost[model] |= {*names}
        for model in completed:
            if summary.wasted is not None:
                self._spent[model][0] += summary.wasted.get(model, Usage()).device_ns
                self._spent[model][1] += completed[model].device_ns
            if (expected := summary.expected.get(model)) and expected[0]:
                self._expected[model][0] += completed[model].completion_tokens
                self._expected[model][1] += rows[model] * expected[1] / expected[0]

    @property
    def models(self) -> Collection[str]:
        """The models of which rows are known."""
        return {key.model for key, sizes in self._sizes.items() if sizes.rows > 0}

    def sizes(
        self, model: str, kinds: Collection[str] | None = None, templates: Collection[str] | None = None
    ) -> Sizes:
        """Return the sizes of a model's rows: of all, or of those of some kinds and templates."""
        return sum(
            (
                sizes
                for key, sizes in self._sizes.items()
                if key.model == model
                and (kinds is None or key.kind in kinds)
                and (templates is None or key.template in templates)
            ),
            Sizes(),
        )

    def of_kinds(self, model: str, kinds: Collection[str]) -> Sizes | None:
        """Return the sizes of a model's rows of these kinds; of all kinds if these have too few; None if these have too."""
        for sizes in (self.sizes(model, kinds), self.sizes(model)):
            if sizes.rows >= LEAST_ROWS:
                return sizes
        return None

    def speeds(self, model: str) -> Mapping[str, Speed]:
        """Return the speed of a model on each device on which it has run. A device that was not recorded has an empty name."""
        found = {}
        for (name, device), nights in sorted(self._nights.items()):
            latest = [nights[night] for night in sorted(nights)[-NIGHTS:]]
            if name == model and (speed := speed_of(latest)) is not None:
                found[device] = speed
        return found

    def waste(self, model: str) -> float:
        """Return the share of a model's device time that brought no outcome, from 0 to below 1; 0 if it is not known."""
        wasted, used = self._spent[model]
        return min(0.9, max(0.0, wasted / (wasted + used))) if wasted + used > 0 else 0.0

    def losses_per_hour(self, model: str) -> float:
        """Return how many workers of a model were lost in an hour of one worker's device time.

        An hour without a loss is added, so that one loss in a short night does not count as many in each hour.
        """
        hours = sum(self._spent[model]) / _HOUR_NS
        return len(self._lost[model]) / (hours + 1)

    def per_expected_token(self, model: str) -> float | None:
        """Return the completion tokens of a model for each token that its rows were expected to take; None if not known."""
        used, expected = self._expected[model]
        return used / expected if used > 0 and expected > 0 else None
