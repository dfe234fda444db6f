"""The report of an audit: figures by kind and tenant, and clusters of rows that have something in common.

A report is stored beside the published round, so a field that a newer release has added is ignored.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.checks.batch.limits import AuditLimits
from jobs.findings import Severity

Code = Literal["near_duplicate", "same_opening", "inconsistent", "reused"]

SEVERITIES: Final = {
    "near_duplicate": Severity.REVIEW,
    "same_opening": Severity.REVIEW,
    "inconsistent": Severity.REVIEW,
    "reused": Severity.NOTE,
}


class Cluster(BaseModel):
    """Rows that have something in common. A row with several variants stands in it once for each of them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: Code
    severity: Severity
    kind: str
    tenant: str
    rows: int = Field(description="How many rows there are in it.")
    row_numbers: tuple[int, ...] = Field(description="The first of its rows; all of them, unless they are too many.")
    custom_ids: tuple[str, ...] = Field(description="The custom_ids of these rows; a row without one has its number.")
    beginning: str = Field(description="The beginning of the text of its first row.")
    beginnings: tuple[str, ...] = Field(description="Some beginnings of its texts that differ from each other.")
    share: float = Field(description="Its part of the rows of its kind and tenant.")


class Figures(BaseModel):
    """The figures of the rows of a kind and tenant. A row with several variants counts once for each of them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    tenant: str
    rows: int
    near_duplicate: int = Field(description="Rows that have a near-duplicate.")
    same_opening: int = Field(description="Rows whose opening too many rows have.")
    inconsistent: int = Field(description="Rows whose source has another target too.")
    reused: int = Field(description="Rows whose target another source has too.")
    repeating: int = Field(description="Rows that repeat another one: its text, or an opening that too many have.")
    collapse: float = Field(description="The share of these rows.")
    sampled: int = Field(description="The rows from which the figures below come.")
    distinct_1: float | None = Field(
        description="The share of different words in the sample. None: there is no sample."
    )
    distinct_2: float | None = Field(description="The share of different pairs of words in the sample.")
    self_bleu: float | None = Field(description="The mean BLEU of a text against the others of the sample.")
    compression: float | None = Field(description="How many times smaller the sample becomes by compression.")
    over: tuple[str, ...] = Field(description="The figures that are beyond their limits.")


class Audit(BaseModel):
    """What an audit found. A row with several variants counts in `rows` once for each of them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rows: int
    limits: AuditLimits
    figures: tuple[Figures, ...]
    clusters: tuple[Cluster, ...]
    clusters_left_out: int = Field(description="Clusters that are not named, because there are too many.")

    @property
    def collapse(self) -> float:
        """The highest share of rows of a kind and tenant that repeat another one; 0.0 if there is no row."""
        return max((one.collapse for one in self.figures), default=0.0)

    @property
    def is_varied(self) -> bool:
        """Whether every figure is within its limit."""
        return not any(one.over for one in self.figures)
