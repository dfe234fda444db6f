"""Tenants: how the work of the fleet is divided among those who are billed for it, and the terms of each."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from jobs.errors import RequestError
from jobs.findings import CheckSettings
from jobs.prices import Money, money_of
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


def _as_money(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return money_of(given, "the budget")
    except RequestError as error:
        raise ValueError(str(error)) from None


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name. UTC needs no database of time zones. Raises ZoneInfoNotFoundError, ValueError, OSError."""
    return UTC if name == "UTC" else ZoneInfo(name)


class TenantSettings(BaseModel):
    """`[tenants.<name>]` of the settings. While two tenants wait, weight 2 gets twice as much work done as weight 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: int = Field(default=1, ge=1, le=1000, description="Its part of the work, relative to other tenants.")
    rows_in_flight: int | None = Field(
        default=None, ge=1, description="Most of its rows that may be leased at once. None: no limit."
    )
    checks: CheckSettings = Field(default={}, description="What is changed of checks of content for its rows.")
    budget_a_day: Annotated[Money, BeforeValidator(_as_money)] | None = Field(
        default=None, description="What its rows may be charged in a day, such as 20EUR. None: no limit."
    )
    budget_a_month: Annotated[Money, BeforeValidator(_as_money)] | None = Field(
        default=None, description="What its rows may be charged in a month. None: no limit."
    )
    adapters: Mapping[str, str] = Field(
        default={}, description="The adapter for its rows that name none, by the alias of the model."
    )
    time_zone: str = Field(default="UTC", description="Where its days and months begin, such as Europe/Berlin.")
    terms: TermSettings = Field(
        default=TermSettings(), description="Its glossaries and names; they come before those of [terms]."
    )

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            zone_of(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {name!r}: give one such as UTC or Europe/Berlin") from None
        return name

    @property
    def zone(self) -> tzinfo:
        """The time zone of its days and months."""
        return zone_of(self.time_zone)

    @property
    def has_budget(self) -> bool:
        """Whether a budget of a day or a month limits the tenant's rows."""
        return self.budget_a_day is not None or self.budget_a_month is not None
