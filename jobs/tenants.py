"""Tenants: how the work of the fleet is divided among those who are billed for it, and the terms of each."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from jobs.findings import CheckSettings
from jobs.urls import absolute

RowRight = Literal["tenant", "priority"]
RowsMaySet = frozenset[RowRight]
"""The fields that a row may set itself. The submitter of the batch decides the others."""


def _as_file(given: object) -> object:
    return {"path": given} if isinstance(given, str | Path) else given


class TermFile(BaseModel):
    """A file of terms: a table in CSV, or TBX. The languages are those of a table that has no columns for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(description="The file. A relative path begins at the folder where the command runs.")
    source_language: str | None = Field(default=None, description="The language of the column `source`.")
    target_language: str | None = Field(default=None, description="The language of the column `target`.")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not str(path).isprintable():
            raise ValueError("it holds a control character")
        return absolute(path)


class TermSettings(BaseModel):
    """`[terms]` and `[tenants.<name>.terms]` of the settings: the terms that intake gives to rows of translations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[Annotated[TermFile, BeforeValidator(_as_file)], ...] = Field(
        default=(),
        description="Glossaries: the path of each, or a table with path, source_language and target_language.",
    )
    do_not_translate: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\w")], ...] = (
        Field(default=(), description="Names and words that stay as they are, in their own case.")
    )


class TenantSettings(BaseModel):
    """`[tenants.<name>]` of the settings. While two tenants wait, weight 2 gets twice as much work done as weight 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: int = Field(default=1, ge=1, le=1000, description="Its part of the work, relative to other tenants.")
    rows_in_flight: int | None = Field(
        default=None, ge=1, description="Most of its rows that may be leased at once. None: no limit."
    )
    checks: CheckSettings = Field(default={}, description="What is changed of checks of content for its rows.")
    terms: TermSettings = Field(
        default=TermSettings(), description="Its glossaries and names; they come before those of [terms]."
    )
