"""Row checks make the checker of a row, from the settings of the worker, of the row's tenant, and of the row itself."""

from collections.abc import Callable

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
        tenant = settings.tenants.get(row.tenant)
        try:
            changed = (settings.checks, tenant.checks if tenant else {}, row.check_settings)
            values = request.model_dump(mode="json", by_alias=True)
            return Checker.over(kind.name, values, contract_of(kind), changed, settings.max_regenerations)
        except (RequestError, ValueError) as error:
            raise RowError("bad_record", f"the settings of checks do not fit: {error}") from error

    return checker
