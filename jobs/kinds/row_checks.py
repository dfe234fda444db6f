"""Row checks make the checker of a row, from the settings of the worker, of the row's tenant, and of the row itself."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from jobs.batches.request_row import RowRequest
from jobs.checks.checker import UNCHECKED, Checker
from jobs.errors import RequestError, RowError
from jobs.kinds.kind import Kind, contract_of
from jobs.settings import Settings

RowChecks = Callable[[RowRequest, Kind, BaseModel], Checker]
"""Returns the checker of a row, given the row, its kind and its request. Raises RowError if the row's `checks` cannot be read."""


def unchecked(row: RowRequest, kind: Kind, request: BaseModel) -> Checker:
    """Return a checker that finds nothing."""
    return UNCHECKED


def row_checks(settings: Settings, model: str) -> RowChecks:
    """Return the row checks of a worker on `model`. If outputs of the model are not checked, they find nothing."""
    if not settings.catalog[model].is_checked:
        return unchecked

    def checker(row: RowRequest, kind: Kind, request: BaseModel) -> Checker:
        try:
            return checker_of(settings, row, kind, request.model_dump(mode="json", by_alias=True))
        except (RequestError, ValueError) as error:
            raise RowError("bad_record", f"the settings of checks do not fit: {error}") from error

    return checker


def checker_of(settings: Settings, row: RowRequest, kind: Kind, values: Mapping[str, Any]) -> Checker:
    """Return the checker of a row whose request has these `values`. The tenant's settings come after the general ones, and the
    row's own come last.

    Raises RequestError or ValueError if a setting cannot be read.
    """
    tenant = settings.tenants.get(row.tenant)
    changed = (settings.checks, tenant.checks if tenant else {}, row.check_settings)
    return Checker.over(kind.name, values, contract_of(kind), changed, settings.max_regenerations)
