"""A batch is a folder: this module names its files, and defines the forms of the acceptance and the markers.

`batch.json` is the acceptance, and a folder without it is not a batch (rule 3 of jobs/PROTOCOL.md). A marker is a small file
that is created once and never changes; the process that creates it has decided. `rounds.py` reads and creates markers.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from jobs.findings import Verdict
from jobs.prices import Money

FORMAT: Final = 1
"""The version of the acceptance, markers, `usage.json` and summaries. A file of a higher version is refused when it is read."""

MOST_ROWS: Final = 100_000_000
"""A batch has at most this many rows. An index of outcomes takes a byte of memory for each row."""

UNAUDITED: Final = "unaudited"
"""This folder holds a note for each published round that needs an audit."""

UNREMEMBERED: Final = "unremembered"
"""This folder holds a note for each published round whose translations are to be written into the translation memory."""

REMEMBERED_KINDS: Final = frozenset({"translation"})
"""The kinds whose texts the translation memory keeps. Rounds of other batches get no note."""

MOST_ROUNDS: Final = 1_000_000
"""A batch has at most this many rounds."""


def _in_utc(at: datetime) -> datetime:
    """Return the time in UTC. Raises ValueError if UTC has no such time, as in the first hours of the year 1."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("UTC has no such time") from None


Count = Annotated[int, Field(ge=0, le=1 << 62)]
Rows = Annotated[int, Field(ge=0, le=MOST_ROWS)]
RoundNumber = Annotated[int, Field(ge=1, le=MOST_ROUNDS)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
LaneName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]+$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9._-]*$")]
Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

Status = Literal["completed", "failed", "cancelled", "expired"]
CloseReason = Literal["cancelled", "expired", "postponed", "over_budget"]
PUT_OFF: Final[frozenset[CloseReason]] = frozenset({"postponed", "over_budget"})
"""A round that was closed for one of these reasons leaves its rows without an outcome to a next round."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")  # a newer release may add fields


class StoredRecord(_Part):
    """A file of one JSON object that names the version of its form."""

    format: int = FORMAT


class LaneInput(_Part):
    """One lane of a batch: its model, and the rows, bytes and sha256 (in hex) of the file `input/<lane>.jsonl`.

    `cost` is the expected work of all its rows, in tokens.
    """

    model: str
    rows: Rows
    bytes: Count
    sha256: Sha256
    cost: Count = 0


class InputLayout(_Part):
    """The format of a batch's input file; for a table, also its columns and the delimiter of its cells.

    `has_unread` is True if intake refused a row that could not be read, so that only its text is known.
    """

    form: str = Field(pattern=r"^(jsonl|csv|openai|parquet)$")
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    has_unread: bool = False


class KeptDocument(_Part):
    """A document of a batch: a line of `documents/list.jsonl`.

    `name` is its relative path, as `guide/index.md`, and `form` the name of its format. `languages` are those that it is
    translated into. If `fault` is given, the document could not be read, and its bytes are not kept.
    """

    name: str
    form: str
    bytes: Count = 0
    sha256: Sha256 | None = None
    languages: tuple[str, ...] = ()
    fault: str | None = None


class DocumentSet(_Part):
    """The documents of a batch: how many, their bytes in sum, their languages, and the sha256 of `documents/list.jsonl`.

    `with_done` tells whether the rows include segments that were translated already in their document. `columns` are the columns
    of string tables by what they hold: `source`, `key`, `context`, `max_length`, or a language.
    """

    files: Rows
    bytes: Count
    source_language: str
    languages: tuple[str, ...]
    with_done: bool = False
    columns: Mapping[str, str] = {}
    list_sha256: Sha256


class QuoteTerms(_Part):
    """The batch is quoted from a sample of its rows before the others run (rule 49 of jobs/PROTOCOL.md).

    `goes_on` is True if the others run as soon as the quote is there, without an answer to it.
    """

    goes_on: bool = False


class Batch(StoredRecord):
    """`batch.json`: the acceptance. `rows` counts all rows of the input, and `refused` the rows that intake refused.

    `full_sha256` is the hash of the request in full; the id ends in the beginning of that hash (rule 4 of jobs/PROTOCOL.md).
    `options` are the options of the command as they were typed. `kinds` counts the accepted rows by kind. `extra_columns` are
    the columns of the user's file that were copied into the metadata; tables of results have these columns again. `layout`
    describes the user's file; it is None if no row was refused. `documents` describes the documents whose segments are the rows;
    it is None if the rows came as rows. `glossaries` are the files of terms that intake read, each by its path with its sha256;
    each row holds those of their terms that stand in its text. `quote` is None unless the batch is quoted before it runs.
    `budget` is what all its rows may be charged, without what operators added later (`budget-<n>.json`); None if the batch has no
    budget of its own.
    """

    batch_id: str
    name: str
    tenant: Tenant
    priority: int = Field(ge=0, le=9)
    deadline: Moment | None = None
    publish_at: Moment | None = None
    output_url: str | None = None
    output_form: str = Field(default="jsonl", pattern=r"^(jsonl|csv|openai|parquet|document)$")
    run_key: str
    rows: Rows = Field(ge=1)
    refused: Rows
    kinds: Mapping[str, Rows] = {}
    lanes: Mapping[LaneName, LaneInput]
    options: Mapping[str, str] = {}
    extra_columns: tuple[str, ...] = ()
    layout: InputLayout | None = None
    documents: DocumentSet | None = None
    glossaries: Mapping[str, Sha256] = {}
    quote: QuoteTerms | None = None
    budget: Money | None = None
    full_sha256: Sha256
    created_at: Moment

    @model_validator(mode="after")
    def _rows_add_up(self) -> "Batch":
        """Check that the rows of the lanes and the refused rows are all rows of the batch."""
        accepted = sum(lane.rows for lane in self.lanes.values())
        if accepted + self.refused != self.rows:
            raise ValueError(f"rows: {self.rows} is not the sum of {accepted} in lanes and {self.refused} refused")
        return self


class Closed(StoredRecord):
    """`closed-<round>.json`: no further row of this round is started. If `reason` is postponed or over_budget, the next round
    runs the rows that did not complete.

    If a budget closed the round, `stopped_by` says in words which. `budget_entry` is the number of the last entry of the log of
    budgets that was read then, and `until` is when the budget of a tenant begins anew; None if none stopped the batch. The next
    round opens once a later entry adds to the budget, or that time has come.
    """

    round: RoundNumber
    reason: CloseReason
    at: Moment
    budget_entry: Count | None = None
    until: Moment | None = None
    stopped_by: str | None = None


class Renewal(_Part):
    """Completed rows whose texts are alike, and are to be written anew. `avoid` are beginnings of texts not to be repeated."""

    rows: tuple[Rows, ...]
    avoid: tuple[str, ...] = ()


class Reopen(StoredRecord):
    """`reopen-<round>.json`: opens that round for the rows that did not complete, and for `rows` even if they completed.

    The round also runs the rows of `renews`. Each of them keeps its outcome of the round before, unless a new one takes its place
    (rule 44 of jobs/PROTOCOL.md).
    `continues` is True if the round follows a soft deadline: jobs that ran when the deadline passed may finish (rule 35 of
    jobs/PROTOCOL.md). `deletes` is None, except in the marker of a deletion: there it is the `created_at` of the batch to delete,
    and no round opens (rule 40).
    """

    round: RoundNumber
    rows: tuple[Rows, ...] | None = None
    renews: tuple[Renewal, ...] = ()
    deadline: Moment | None = None
    continues: bool = False
    deletes: Moment | None = None
    at: Moment


class Paused(StoredRecord):
    """`paused-<round>.json`: no further row of this round is started until `resumed-<round>.json` exists."""

    round: RoundNumber
    reason: str
    at: Moment


class Resumed(StoredRecord):
    """`resumed-<round>.json`: the pause is over, and further rows of the round start. The round is not paused a second time."""

    round: RoundNumber
    at: Moment


class Delivered(StoredRecord):
    """`delivered-<round>.json`: the outputs of the round were written to the batch's output URL."""

    round: RoundNumber
    url: str
    at: Moment


class PublishedFile(_Part):
    """One file of a published folder: the number of its lines, its size in bytes, and its sha256 in hex."""

    rows: Rows
    bytes: Count
    sha256: Sha256


class Done(StoredRecord):
    """`done-<round>.json`: the round is published, and its outcomes are final.

    `folder` is the published folder, relative to that of the batch, and `files` are its files by name. `counts` are rows by
    status, `codes` the failed rows by the code of their failure, and `verdicts` the judged rows by verdict.
    `segments_sha256` is the hash of the names of all segments
    that the publisher read.
    """

    round: RoundNumber
    folder: str = Field(pattern=r"^published/[1-9][0-9]*-[0-9A-Za-z]+$")
    counts: Mapping[Status, Rows]
    codes: Mapping[str, Rows] = {}
    verdicts: Mapping[Verdict, Rows] = {}
    files: Mapping[FileName, PublishedFile]
    segments_sha256: Sha256
    at: Moment

    def is_kept(self, rows: int, *, accept_review: bool) -> bool:
        """Whether all of so many rows completed, and can be published: none is for review, unless `accept_review`."""
        return self.counts.get("completed", 0) == rows and (accept_review or not self.verdicts.get("review"))

    @model_validator(mode="after")
    def _is_of_one_round(self) -> "Done":
        """Check that the folder is one of this round, and that the published files are described."""
        if not self.folder.startswith(f"published/{self.round}-"):
            raise ValueError(f"folder: {self.folder} is not of round {self.round}")
        if missing := {"output.jsonl", "errors.jsonl", "usage.json"} - self.files.keys():
            raise ValueError(f"files: {min(missing)} is missing")
        if sum(self.verdicts.values()) > self.counts.get("completed", 0):
            raise ValueError("verdicts: more than completed rows")
        if self.files["output.jsonl"].rows != self.counts.get("completed", 0):
            raise ValueError("counts: completed is not the number of rows in output.jsonl")
        if self.files["errors.jsonl"].rows != sum(self.counts.values()) - self.counts.get("completed", 0):
            raise ValueError("counts: they are not the number of rows in output.jsonl and errors.jsonl")
        return self


class _Sums(_Part):
    """The six counts of a usage, as `usage.json` holds them."""

    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    device_ns: int
    device_cost: int
    charge: int


class _ModelSums(_Sums):
    rows: Rows
    wasted: _Sums


class _GroupSums(_Sums):
    rows: Rows
    currency: str | None
    tenant: str
    model: str
    kind: str
    template: str


class UsageFile(StoredRecord, _ModelSums):
    """`usage.json`: the fields that its readers need. `jobs/publishing/ledger.py` makes all of it."""

    round: RoundNumber
    currency: str
    models: Mapping[str, _ModelSums]
    groups: tuple[_GroupSums, ...]


class BatchPaths:
    """The paths of one batch's files, relative to the root of the store. The docstring of a method says what lies at the path.

    `open_hint` is an empty file: it says that the batch is open (rule 5 of jobs/PROTOCOL.md). `undelivered` is an empty file: it
    says that the batch owes outputs to its output URL (rule 38). `refused` has the rows that intake refused, as they came.
    `document_list` names the documents whose segments are the rows. `sample` names the rows that may be drawn to quote the batch,
    and `quoted` and `agreed` are the markers of the quote and of the answer to it.
    """

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id
        self.root = f"batches/{batch_id}"
        self.open_hint = f"open/{batch_id}"
        self.undelivered = f"undelivered/{batch_id}"
        self.acceptance = f"{self.root}/batch.json"
        self.refused = f"{self.root}/refused.jsonl"
        self.document_list = f"{self.root}/documents/list.jsonl"
        self.sample = f"{self.root}/sample.json"
        self.quoted = f"{self.root}/quoted-1.json"
        self.agreed = f"{self.root}/agreed-1.json"
        self.segments = f"{self.root}/segments"
        self.compacted = f"{self.root}/compacted"

    def drawn(self, draw: int) -> str:
        """The marker of a draw of the sample, from the second on."""
        return f"{self.root}/drawn-{draw}.json"

    def unsummed(self, round_: int) -> str:
        """The note that this round needs a summary (rule 39 of jobs/PROTOCOL.md)."""
        return f"unsummed/{self.batch_id}.{round_}"

    def unaudited(self, round_: int) -> str:
        """The note that this round needs an audit (rule 45 of jobs/PROTOCOL.md)."""
        return f"{UNAUDITED}/{self.batch_id}.{round_}"

    def unremembered(self, round_: int) -> str:
        """The note that the round's translations are to be written into the translation memory (rule 46)."""
        return f"{UNREMEMBERED}/{self.batch_id}.{round_}"

    def audit(self, round_: int) -> str:
        """The audit of the round's texts. It is no marker: no outcome depends on it."""
        return f"{self.root}/audit-{round_}.json"

    def input(self, lane: str) -> str:
        """The normalised requests of one lane, a line each."""
        return f"{self.root}/input/{lane}.jsonl"

    def document(self, number: int) -> str:
        """The bytes of a document, by its place in the list of documents, from 0."""
        return f"{self.root}/documents/{number}"

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

    def budget(self, number: int) -> str:
        """An entry in the log of the batch's budgets: what may be fed, or what was added to the budget."""
        return f"{self.root}/budget-{number}.json"

    def delivered(self, round_: int) -> str:
        """The marker that the outputs of the round are at the output URL."""
        return f"{self.root}/delivered-{round_}.json"

    def published(self, round_: int, nonce: str) -> str:
        """The folder that one publisher writes (rule 19 of jobs/PROTOCOL.md)."""
        return f"{self.root}/published/{round_}-{nonce}"
