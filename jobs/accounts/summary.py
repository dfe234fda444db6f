"""A summary says what one published round of a batch added to the accounts. It is a line of JSON with a checksum.

A round adds the difference between its `usage.json` and that of the round before. Rows that the round carried are in both and
cancel out, so no row is counted twice and the sum of a past month never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import orjson

from jobs.batches.batch import FORMAT, Done
from jobs.planning.sizes import Parts, as_values, from_values
from jobs.planning.sizes import added as parts_added
from jobs.planning.sizes import subtracted as parts_subtracted
from jobs.store.checksum import with_checksum, without_checksum
from jobs.store.damage import check_format
from jobs.usage import Remembered, Usage

Group = tuple[str, str, str, str]
"""Tenant, model, kind, and the shortened hash of the template, which is empty if a row's first prompt came from no template."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of completed rows, what they used, how many of them have the verdicts `fit` and `review`, and what the translation
    memory answered.

    `sizes` are sketches of the rows' tokens and device time, by device and length class. Rounds that earlier releases published
    have none, so there may be fewer rows in them than in `rows`.
    """

    rows: int = 0
    usage: Usage = field(default_factory=Usage)
    fit: int = 0
    review: int = 0
    memory: Remembered = field(default_factory=Remembered)
    sizes: Parts = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.rows + other.rows,
            self.usage + other.usage,
            self.fit + other.fit,
            self.review + other.review,
            self.memory + other.memory,
            parts_added(self.sizes, other.sizes),
        )

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(
            self.rows - other.rows,
            self.usage - other.usage,
            self.fit - other.fit,
            self.review - other.review,
            self.memory - other.memory,
            parts_subtracted(self.sizes, other.sizes),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers of rows and the six counts of the usage; as `memory`, the memory's four counts if it was asked.

        The sizes are not in it: `stored` has them too.
        """
        counts = {"rows": self.rows, "fit": self.fit, "review": self.review, **self.usage.as_dict()}
        return {**counts, "memory": self.memory.as_dict()} if any(self.memory.counts) else counts

    def stored(self) -> dict[str, Any]:
        """Return all that a summary stores of the tally, the sizes among it."""
        return {**self.as_dict(), "sizes": as_values(self.sizes)} if self.sizes else self.as_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tally":
        """Read what `stored` made, or a group of a `usage.json`.

        Earlier releases wrote no `fit`, `review`, `memory` and `sizes`.
        """
        fit, review = (int(values.get(verdict, 0)) for verdict in ("fit", "review"))
        memory, sizes = Remembered.from_dict(values.get("memory")), from_values(values.get("sizes", ()))
        return cls(int(values["rows"]), Usage.from_dict(values), fit, review, memory, sizes)


@dataclass(frozen=True, slots=True)
class Summary:
    """The amounts that one round of one batch added, by currency and group. `at` is the time when the round was published.

    `wasted` is what failed rows and lost attempts of each model used; None if an earlier release wrote it. `expected` has for
    each model the rows that the batch accepted, and the tokens that they were expected to take; only the first round has it.
    `lost_workers` names, by model, the lives of workers that ended with rows of the batch in hand. A worker that held rows of
    several batches is named in each.
    """

    batch_id: str
    round: int
    at: datetime
    added: Mapping[str, Mapping[Group, Tally]]
    wasted: Mapping[str, Usage] | None = None
    expected: Mapping[str, Sequence[int]] = field(default_factory=dict)
    lost_workers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the summary's file."""
        return summary_name(self.batch_id, self.round, self.at)

    @classmethod
    def of_round(
        cls, batch_id: str, done: Done, usage: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> "Summary":
        """Make the summary of a published round. `usage` is the round's `usage.json`, and `before` is the `usage.json` of the
        round before.

        `before` is None for the first round. Rows that name no currency count in the currency of `usage`. Raises KeyError,
        TypeError or ValueError if `usage` or `before` is no `usage.json`.
        """
        now, then = _sums(usage), _sums(before) if before else {}
        added: dict[str, dict[Group, Tally]] = {}
        for key in sorted({*now, *then}, key=str):
            change = now.get(key, Tally()) - then.get(key, Tally())
            if change != Tally():
                currency, group = key
                sums = added.setdefault(currency or usage["currency"], {})
                sums[group] = sums.get(group, Tally()) + change
        wasted = {
            model: spent
            for model, sums in usage["models"].items()
            if (spent := _wasted(sums) - _wasted((before or {}).get("models", {}).get(model))) != Usage()
        }
        expected = {} if before else usage.get("expected", {})
        known = (before or {}).get("lost_workers", {})
        lost = {
            model: new
            for model, names in usage.get("lost_workers", {}).items()
            if (new := sorted({*names} - {*known.get(model, ())}))
        }
        return cls(batch_id, done.round, done.at, added, wasted, expected, lost)

    def to_bytes(self) -> bytes:
        """Return the line that is stored."""
        values = {
            "format": FORMAT,
            "batch_id": self.batch_id,
            "round": self.round,
            "at": self.at,
            "added": {
                currency: [[*group, tally.stored()] for group, tally in sorted(sums.items(), key=itemgetter(0))]
                for currency, sums in self.added.items()
            },
            **({} if self.wasted is None else {"wasted": {model: one.as_dict() for model, one in self.wasted.items()}}),
            **({"expected": self.expected} if self.expected else {}),
            **({"lost_workers": self.lost_workers} if self.lost_workers else {}),
        }
        return with_checksum(orjson.dumps(values)) + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes, place: str) -> "Summary":
        """Read a line that `to_bytes` made. Raises ValueError, KeyError, TypeError or AttributeError if `line` is no such line.

        Raises StoreTooNew, with a message that begins with `place`, if a newer release wrote the line.
        """
        values = orjson.loads(without_checksum(line))
        check_format(values, FORMAT, place)
        added = {
            currency: {
                (tenant, model, kind, template): Tally.from_dict(tally)
                for tenant, model, kind, template, tally in groups
            }
            for currency, groups in values["added"].items()
        }
        wasted = (
            {model: Usage.from_dict(one) for model, one in values["wasted"].items()} if "wasted" in values else None
        )
        at, expected = datetime.fromisoformat(values["at"]), values.get("expected", {})
        lost = values.get("lost_workers", {})
        return cls(values["batch_id"], values["round"], at, added, wasted, expected, lost)


def summary_name(batch_id: str, round_: int, at: datetime) -> str:
    """Return the file name of a round's summary. It holds the time, since a deleted batch may have had the same id and round."""
    return f"{batch_id}.{round_}.{at.astimezone(UTC):%Y%m%dT%H%M%S%f}.json"


def _wasted(sums: Mapping[str, Any] | None) -> Usage:
    """Return what was wasted, by the sums of one model in a `usage.json`; nothing if there are none."""
    return Usage.from_dict(sums["wasted"]) if sums else Usage()


def _sums(usage: Mapping[str, Any]) -> Mapping[tuple[str | None, Group], Tally]:
    """Return the tallies of a `usage.json`, by currency and group. The currency is None for rows that name none."""
    return {
        (one["currency"], (one["tenant"], one["model"], one["kind"], one["template"])): Tally.from_dict(one)
        for one in usage["groups"]
    }
