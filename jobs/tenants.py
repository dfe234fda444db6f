"""Tenants: what share of the fleet each of them gets. Whom usage is billed to is named elsewhere."""

from pydantic import BaseModel, ConfigDict, Field


class TenantSettings(BaseModel):
    """`[tenants.<name>]`. While several tenants wait, one of weight 2 gets twice the work done of one of weight 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: int = Field(default=1, ge=1, le=1000)
    rows_in_flight: int | None = Field(default=None, ge=1)
