"""Findings: what a check of content found in an output, and the verdict on the row.

A *check* measures one clause of the contract that a publishable output keeps (jobs/checks/README.md lists them). If the clause is
broken, the check makes *findings*, each with a severity. The most severe finding decides the verdict of the row.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Limit = int | float | bool | str | tuple[str, ...]
"""The value of a limit, such as the most characters of a title."""

Verdict = Literal["fit", "review", "failed"]
"""`fit`: can be published as it is. `review`: a person must decide. `failed`: breaks its contract."""


class Severity(StrEnum):
    """How bad it is that a clause is broken."""

    FAIL = "fail"
    """The text is asked for again. If the clause is still broken after the tries, the row fails with the code of the check."""
    REVIEW = "review"
    """The row completes, and its verdict is `review`."""
    NOTE = "note"
    """The row completes, and its receipt has the finding."""
    OFF = "off"
    """The check is not run."""


class Place(BaseModel):
    """Where in an output a clause is broken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str = Field(description="The field of the output, such as `title`.")
    start: int = Field(ge=0, description="The first character, counted from 0, in Unicode code points.")
    end: int = Field(ge=0, description="The character after the last one.")


class Finding(BaseModel):
    """A broken clause."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(description="The check, such as `wrong_language`.")
    severity: Severity = Field(description="How bad it is.")
    message: str = Field(description="What is wrong, in a sentence, with the words of the output.")
    measured: Limit | None = Field(default=None, description="What was measured.")
    limit: Limit | None = Field(default=None, description="The limit of what was measured.")
    where: Place | None = Field(
        default=None, description="The place. None: the whole output, or something that it lacks."
    )
    tries: int = Field(default=1, ge=1, description="How often the text was asked for.")


def _as_setting(given: object) -> object:
    return {"severity": given} if isinstance(given, str) else given


class CheckSetting(BaseModel):
    """A change of a check by settings, a tenant, a kind or a row: its severity, and limits by name."""

    model_config = ConfigDict(frozen=True, extra="allow")

    severity: Severity | None = Field(default=None, description="fail, review, note or off. None: as it is.")

    @property
    def limits(self) -> Mapping[str, object]:
        """The changed limits by name. jobs/checks/registry.py checks their names and types."""
        return self.model_extra or {}


CheckSettings = Mapping[str, Annotated[CheckSetting, BeforeValidator(_as_setting)]]
"""Code of a check -> its changed severity and limits. A single text, such as `off`, is the severity."""

_ORDER: Final = (Severity.FAIL, Severity.REVIEW)
_VERDICTS: Final[tuple[Verdict, ...]] = ("failed", "review")


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict on a row with these findings."""
    found = {finding.severity for finding in findings}
    return next((verdict for severity, verdict in zip(_ORDER, _VERDICTS, strict=True) if severity in found), "fit")
