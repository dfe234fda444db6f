"""The field `checks` of a row: what it changes of checks of content. It is read when the row is accepted, so that no row fails by
it at night.
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from jobs.checks.registry import refuse_wrong
from jobs.errors import RequestError
from jobs.findings import CheckSettings

_SETTINGS: Final[TypeAdapter[CheckSettings]] = TypeAdapter(CheckSettings)


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """Return the field with each check as an object. Raises ValueError for an unknown check, severity or limit."""
    try:
        settings = _SETTINGS.validate_python(given)
        refuse_wrong(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
        raise ValueError(f"{where}: give fail, review, note or off, or an object with severity and limits") from None
    except RequestError as error:
        raise ValueError(str(error)) from None
    return {code: one.model_dump(mode="json", exclude_none=True) for code, one in settings.items()}


RowChecks = Annotated[dict[str, Any], Field(max_length=100), AfterValidator(checked)]
"""The type of the field."""
