"""A batch is a folder: its paths, its acceptance, and the markers of its rounds.

`batch.json` is the acceptance; a folder without it is not a batch. Markers (`closed-`, `done-`, `reopen-`, `paused-` and
`resumed-<round>.json`) are created once and never change, and whoever creates one has decided. See `publish.py` for how a
round ends.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT: Final = 1
"""The version of the form of each record here and in the accounts. A record of a higher one is refused."""

Status = Literal["completed", "failed", "cancelled", "expired"]
CloseReason = Literal["cancelled", "expired", "postponed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer release may add fields


class _Record(_Part):
    format: int = FORMAT


class LaneInput(_Part):
    """One lane of a batch: its rows and bytes in `input/<lane>.jsonl`, and that file's sha256 in hex."""

    model: str
    rows: int
    bytes: int
    sha256: str


class Batch(_Record):
    """`batch.json`. `rows` counts all rows of the input, `refused` those that intake turned into failed rows."""

    batch_id: str
    name: str
    tenant: str
    priority: int = Field(ge=0, le=9)
    deadline: datetime | None = None
    publish_at: datetime | None = None
    output_url: str | None = None
    output_form: str = "jsonl"
    run_key: str
    rows: int
    refused: int
    kinds: Mapping[str, int] = {}
    lanes: Mapping[str, LaneInput]
    options: Mapping[str, str] = {}
    full_sha256: str
    created_at: datetime


class Closed(_Record):
    """`closed-<round>.json`: no further row of this round is started. Postponed: those rows come in the next round."""

    round: int
    reason: CloseReason
    at: datetime


class Reopen(_Record):
    """`reopen-<round>.json`: opens that round for the rows that did not complete, or for `rows` also where they did.

    `continues`: it follows a soft deadline, and what ran then may finish.
    """

    round: int
    rows: tuple[int, ...] | None = None
    deadline: datetime | None = None
    continues: bool = False
    at: datetime


class Paused(_Record):
    """`paused-<round>.json`: nothing of this round is started until `resumed-<round>.json` is there."""

    round: int
    reason: str
    at: datetime


class Resumed(_Record):
    """`resumed-<round>.json`: the round goes on, and is not paused again."""

    round: int
    at: datetime


class Delivered(_Record):
    """`delivered-<round>.json`: the round's outputs are where the batch wants them."""

    round: int
    url: str
    at: datetime


class PublishedFile(_Part):
    """One file of a published folder."""

    rows: int
    bytes: int
    sha256: str


class Done(_Record):
    """`done-<round>.json`: this round's outcomes, for good. `counts` are by status; `files` by name in `folder`."""

    round: int
    folder: str
    counts: Mapping[Status, int]
    files: Mapping[str, PublishedFile]
    segments_sha256: str
    at: datetime


class BatchPaths:
    """Where the files of one batch stand, relative to the root of the store."""

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id
        self.root = f"batches/{batch_id}"
        self.open_hint = f"open/{batch_id}"
        self.undelivered = f"undelivered/{batch_id}"
        self.acceptance = f"{self.root}/batch.json"
        self.segments = f"{self.root}/segments"
        self.compacted = f"{self.root}/compacted"

    def unsummed(self, round_: int) -> str:
        """Its existence says that this published round may lack its summary."""
        return f"unsummed/{self.batch_id}.{round_}"

    def input(self, lane: str) -> str:
        """The normalised requests of one lane."""
        return f"{self.root}/input/{lane}.jsonl"

    def segment(self, name: str) -> str:
        """One immutable file of attempt outcomes."""
        return f"{self.segments}/{name}"

    def closed(self, round_: int) -> str:
        """Its existence stops the round."""
        return f"{self.root}/closed-{round_}.json"

    def given_up(self, round_: int) -> str:
        """Its existence closes the round that continues this one."""
        return f"{self.root}/given-up-{round_}.json"

    def done(self, round_: int) -> str:
        """Its existence ends the round."""
        return f"{self.root}/done-{round_}.json"

    def reopen(self, round_: int) -> str:
        """Its existence begins the round."""
        return f"{self.root}/reopen-{round_}.json"

    def paused(self, round_: int) -> str:
        """Its existence holds the round."""
        return f"{self.root}/paused-{round_}.json"

    def resumed(self, round_: int) -> str:
        """Its existence lets the round go on."""
        return f"{self.root}/resumed-{round_}.json"

    def delivered(self, round_: int) -> str:
        """Its existence says that the round's outputs were taken to the output URL."""
        return f"{self.root}/delivered-{round_}.json"

    def published(self, round_: int, nonce: str) -> str:
        """A publisher's own folder."""
        return f"{self.root}/published/{round_}-{nonce}"
