"""A summary says what one published round of a batch added to the accounts. It is a line of JSON with a checksum.

A round adds the difference between its `usage.json` and that of the round before. Rows that the round carried are in both and
cancel out, so no row is counted twice and the sum of a past month never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from jobs.batches.batch import FORMAT, Done
from jobs.store.checksum import with_checksum, without_checksum
from jobs.store.damage import check_format
from jobs.usage import Remembered, Usage

Group = tuple[str, str, str, str]
"""Tenant, model, kind, and the shortened hash of the template, which is empty if a row's first prompt came from no template."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of completed rows, what they used, how many of them have the verdicts `fit` and `review`, and what the translation
    memory answered.
    """

    rows: int = 0
    usage: Usage = field(default_factory=Usage)
    fit: int = 0
    review: int = 0
    memory: Remembered = field(default_factory=Remembered)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.rows + other.rows,
            self.usage + other.usage,
            self.fit + other.fit,
            self.review + other.review,
            self.memory + other.memory,
        )

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(
            self.rows - other.rows,
            self.usage - other.usage,
            self.fit - other.fit,
            self.review - other.review,
            self.memory - other.memory,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers of rows and the six counts of the usage; as `memory`, the memory's four counts if it was asked."""
        counts = {"rows": self.rows, "fit": self.fit, "review": self.review, **self.usage.as_dict()}
        return {**counts, "memory": self.memory.as_dict()} if any(self.memory.counts) else counts

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tally":
        """Read what `as_dict` made, or a group of a `usage.json`. Earlier releases wrote no `fit`, `review` and `memory`."""
        fit, review = (int(values.get(verdict, 0)) for verdict in ("fit", "review"))
        return cls(
            int(values["rows"]), Usage.from_dict(values), fit, review, Remembered.from_dict(values.get("memory"))
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """The amounts that one round of one batch added, by currency and group. `at` is the time when the round was published."""

    batch_id: str
    round: int
    at: datetime
    added: Mapping[str, Mapping[Group, Tally]]

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
        return cls(batch_id, done.round, done.at, added)

    def to_bytes(self) -> bytes:
        """Return the line that is stored."""
        values = {
            "format": FORMAT,
            "batch_id": self.batch_id,
            "round": self.round,
            "at": self.at,
            "added": {
                currency: [[*group, tally.as_dict()] for group, tally in sorted(sums.items())]
                for currency, sums in self.added.items()
            },
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
        return cls(values["batch_id"], values["round"], datetime.fromisoformat(values["at"]), added)


def summary_name(batch_id: str, round_: int, at: datetime) -> str:
    """Return the file name of a round's summary. It holds the time, since a deleted batch may have had the same id and round."""
    return f"{batch_id}.{round_}.{at.astimezone(UTC):%Y%m%dT%H%M%S%f}.json"


def _sums(usage: Mapping[str, Any]) -> Mapping[tuple[str | None, Group], Tally]:
    """Return the tallies of a `usage.json`, by currency and group. The currency is None for rows that name none."""
    return {
        (one["currency"], (one["tenant"], one["model"], one["kind"], one["template"])): Tally.from_dict(one)
        for one in usage["groups"]
    }
