"""A batch is a folder: this module names its files, and defines the forms of the acceptance and the markers.

`batch.json` is the acceptance, and a folder without it is not a batch (rule 3 of jobs/PROTOCOL.md). A marker is a small file
that is created once and never changes; the process that creates it has decided. `rounds.py` reads and creates markers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT: Final = 1
"""The version of the acceptance, markers, `usage.json` and summaries. A file of a higher version is refused when it is read."""

Status = Literal["completed", "failed", "cancelled", "expired"]
CloseReason = Literal["cancelled", "expired", "postponed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer release may add fields


class _Record(_Part):
    format: int = FORMAT


class LaneInput(_Part):
    """One lane of a batch: its model, and the rows, bytes and sha256 (in hex) of the file `input/<lane>.jsonl`."""

    model: str
    rows: int
    bytes: int
    sha256: str


class Batch(_Record):
    """`batch.json`: the acceptance. `rows` counts all rows of the input, and `refused` the rows that intake refused.

    `full_sha256` is the hash of the request in full; the id ends in the beginning of that hash (rule 4 of jobs/PROTOCOL.md).
    `options` are the options of the command as they were typed. `kinds` counts the accepted rows by kind. `extra_columns` are the
    columns of the user's file that were taken along in the metadata, and that tables of results have again.
    """

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
    extra_columns: tuple[str, ...] = ()
    full_sha256: str
    created_at: datetime


class Closed(_Record):
    """`closed-<round>.json`: no further row of this round is started. If `reason` is postponed, the next round runs the rest."""

    round: int
    reason: CloseReason
    at: datetime


class Reopen(_Record):
    """`reopen-<round>.json`: opens that round for the rows that did not complete, and for `rows` even if they completed.

    `continues` is True if the round follows a soft deadline: jobs that ran when the deadline passed may finish (rule 35 of
    jobs/PROTOCOL.md).
    """

    round: int
    rows: tuple[int, ...] | None = None
    deadline: datetime | None = None
    continues: bool = False
    at: datetime


class Paused(_Record):
    """`paused-<round>.json`: no further row of this round is started until `resumed-<round>.json` exists."""

    round: int
    reason: str
    at: datetime


class Resumed(_Record):
    """`resumed-<round>.json`: the pause is over, and further rows of the round start. It is not paused a second time."""

    round: int
    at: datetime


class Delivered(_Record):
    """`delivered-<round>.json`: the outputs of the round were written to the batch's output URL."""

    round: int
    url: str
    at: datetime


class PublishedFile(_Part):
    """One file of a published folder: its lines, its bytes, and its sha256 in hex."""

    rows: int
    bytes: int
    sha256: str


class Done(_Record):
    """`done-<round>.json`: the round is published, and its outcomes are final.

    `folder` is the published folder, relative to that of the batch, and `files` are its files by name. `counts` are rows by
    status. `segments_sha256` is the hash of the names of all segments that the publisher read.
    """

    round: int
    folder: str
    counts: Mapping[Status, int]
    files: Mapping[str, PublishedFile]
    segments_sha256: str
    at: datetime


class BatchPaths:
    """The paths of one batch's files, relative to the root of the store. The docstring of a method says what lies at the path.

    `open_hint` is an empty file: it says that the batch is open (rule 5 of jobs/PROTOCOL.md). `undelivered` is an empty file: it
    says that the batch owes outputs to its output URL (rule 38).
    """

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id
        self.root = f"batches/{batch_id}"
        self.open_hint = f"open/{batch_id}"
        self.undelivered = f"undelivered/{batch_id}"
        self.acceptance = f"{self.root}/batch.json"
        self.segments = f"{self.root}/segments"
        self.compacted = f"{self.root}/compacted"

    def unsummed(self, round_: int) -> str:
        """The note that this round needs a summary (rule 39 of jobs/PROTOCOL.md)."""
        return f"unsummed/{self.batch_id}.{round_}"

    def input(self, lane: str) -> str:
        """The normalised requests of one lane, a line each."""
        return f"{self.root}/input/{lane}.jsonl"

    def segment(self, name: str) -> str:
        """A segment: one immutable file of attempt outcomes."""
        return f"{self.segments}/{name}"

    def closed(self, round_: int) -> str:
        """The marker that closes the round: no further row of the round starts."""
        return f"{self.root}/closed-{round_}.json"

    def given_up(self, round_: int) -> str:
        """The marker that the batch was cancelled while it was postponed: the next round is closed as soon as it begins."""
        return f"{self.root}/given-up-{round_}.json"

    def done(self, round_: int) -> str:
        """The marker that publishes the round."""
        return f"{self.root}/done-{round_}.json"

    def reopen(self, round_: int) -> str:
        """The marker that opens the round."""
        return f"{self.root}/reopen-{round_}.json"

    def paused(self, round_: int) -> str:
        """The marker that pauses the round."""
        return f"{self.root}/paused-{round_}.json"

    def resumed(self, round_: int) -> str:
        """The marker that resumes a paused round."""
        return f"{self.root}/resumed-{round_}.json"

    def delivered(self, round_: int) -> str:
        """The marker that the outputs of the round are at the output URL."""
        return f"{self.root}/delivered-{round_}.json"

    def published(self, round_: int, nonce: str) -> str:
        """The folder that one publisher writes (rule 19 of jobs/PROTOCOL.md)."""
        return f"{self.root}/published/{round_}-{nonce}"
