"""This module reads the `options` of `[models.<alias>]` into an engine's own settings."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from jobs.errors import ModelUnavailable

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def parse_options(engine: str, into: type[OptionsT], options: Mapping[str, Any]) -> OptionsT:
    """Return a model's options as an instance of `into`, the settings class of the engine named `engine`.

    Raises:
        ModelUnavailable: An option is unknown, or its value is wrong.
    """
    if unknown := sorted(set(options) - set(into.model_fields)):
        known = ", ".join(into.model_fields)
        raise ModelUnavailable(f"the {engine} engine does not know the option {', '.join(unknown)}; it knows {known}")
    try:
        return into.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ModelUnavailable(f"the {engine} engine's option {name} is wrong: {first['msg']}") from error
