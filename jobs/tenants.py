"""Tenants: how the work of the fleet is divided among those who are billed for it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.findings import CheckSettings

RowRight = Literal["tenant", "priority"]
RowsMaySet = frozenset[RowRight]
"""The fields that a row may set itself. The submitter of the batch decides the others."""


class TenantSettings(BaseModel):
    """`[tenants.<name>]` of the settings. While two tenants wait, weight 2 gets twice as much work done as weight 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: int = Field(default=1, ge=1, le=1000, description="Its part of the work, relative to other tenants.")
    rows_in_flight: int | None = Field(
        default=None, ge=1, description="Most of its rows that may be leased at once. None: no limit."
    )
    checks: CheckSettings = Field(default={}, description="What is changed of checks of content for its rows.")
