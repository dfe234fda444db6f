"""The field `checks` of a row: what it changes of checks of content. It is read when the row is accepted, so that no row fails by
it at night.
"""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from jobs.checks.registry import refuse_wrong
from jobs.did_you_mean import did_you_mean
from jobs.errors import RequestError
from jobs.findings import CheckSettings, Severity

_SETTINGS: Final[TypeAdapter[CheckSettings]] = TypeAdapter(CheckSettings)


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """Return the field with each check as an object. Raises ValueError for an unknown check, severity or limit."""
    try:
        settings = _SETTINGS.validate_python(given)
        refuse_wrong(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
        wrong = first["input"]
        like = did_you_mean(wrong.casefold(), list(Severity)) if isinstance(wrong, str) else ""
        wanted = "give fail, review, note or off, or an object with severity and limits"
        raise ValueError(f"{where}: {wanted}; {wrong!r:.60} is none{like}") from None
    except RequestError as error:
        raise ValueError(str(error)) from None
    return {code: one.model_dump(mode="json", exclude_none=True) for code, one in settings.items()}


RowChecks = Annotated[dict[str, Any], Field(max_length=100), AfterValidator(checked)]
"""The type of the field."""
