"""Answers: reads the JSON of an answer, and holds it to its schema.

Every answer is validated, also one whose engine was constrained by the schema while it wrote: no grammar can force all keywords.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from jobs.errors import CheckFailed
from jobs.writing.json_answers import json_of
from jobs.writing.structured.schemas import faults

_SHOWN_SCHEMA: Final = 4_000
"""A schema of at most this many characters is shown to the model when it is asked again."""

_WIDEST: Final = (-(1 << 63), (1 << 64) - 1)
"""The range of the integers that the JSON of an outcome can hold. Its objects and lists are nested at most 254 deep."""


def read_answer(text: str, schema: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the JSON of an answer as the model wrote it, taken out of a code fence, and its value.

    Raises:
        CheckFailed: `output_not_json` if the answer is no JSON that every reader reads alike; `schema_invalid` if it does not
            satisfy the schema.
    """
    try:
        found = json_of(text)
        value = json.loads(
            found, object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_no_number
        )
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckFailed("output_not_json", f"the answer is not JSON: {error}") from None
    if broken := faults(schema, value):
        raise CheckFailed("schema_invalid", f"the answer does not satisfy its schema: {'; '.join(broken)}")
    return found, value


def reminder(schema: Mapping[str, Any] | None) -> Sequence[str]:
    """Return what a model is reminded of when it is asked again: the form of its answer. Without a schema, that is nothing."""
    if schema is None:
        return ()
    shown = orjson.dumps(schema).decode()
    by_schema = f" that satisfies this JSON schema: {shown}" if len(shown) <= _SHOWN_SCHEMA else ""
    return (f"it must be JSON alone{by_schema}",)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice[:60]!r} twice")
    return found


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= 24 else _WIDEST[1] + 1
    if not _WIDEST[0] <= value <= _WIDEST[1]:
        raise ValueError("an integer has more than 64 bits")
    return value


def _number(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError("a number is too large")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
