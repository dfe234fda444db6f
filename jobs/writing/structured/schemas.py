"""Schemas: whether a row's JSON schema can be kept, and what in a value breaks it.

The library jsonschema-rs validates (MIT; drafts 4 to 2020-12). Nothing is fetched: a schema that refers to another file is
refused. Formats are assertions here: a `date` is a date of the calendar, and a format that is not known is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import jsonschema_rs
import orjson

from jobs.writing.structured.branches import MOST, evaluations
from jobs.writing.structured.dialect import DRAFTS, Path, draft_of, pointer, subschemas, unheld

CACHED: Final = 256
"""This many schemas are kept ready. The rows of a batch mostly share one."""

MAX_FAULTS: Final = 3
"""A message names at most this many places of a value that break its schema."""

_CLIPPED: Final = 160
"""A value or a message of the validator is shown in at most this many characters."""

_MASK: Final = "it"
"""The word by which the validator's messages call a value, which may be long."""

_SHOWN: Final = 60
"""A value of at most this many characters is shown beside such a message."""

_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class Refusal(NamedTuple):
    """The reason why a schema is refused: `not_a_schema` or `schema_unsupported`, and a sentence that begins with its place."""

    code: Literal["not_a_schema", "schema_unsupported"]
    message: str


def refusal(schema: Any) -> Refusal | None:
    """Return why a row may not have this schema; None if answers can be held to it."""
    try:
        key = orjson.dumps(schema)
    except TypeError:
        return _unsupported((), "the schema is nested too deeply: nest it less deeply")
    return _compiled(key)[1]


def faults(schema: Any, value: Any) -> list[str]:
    """Return what in a value breaks a schema: at most `MAX_FAULTS` sentences, each with its place. Raises ValueError for a
    schema that `refusal` refuses.
    """
    if (refused := refusal(schema)) is not None:
        raise ValueError(refused.message)
    validator, _ = _compiled(orjson.dumps(schema))
    assert validator is not None  # noqa: S101 - there is one if there is no refusal
    found: list[str] = []
    for error in validator.iter_errors(value):
        shown = _shown(error.instance)
        found.append(f"at {_place(error.instance_path)}: {_clipped(error.message)}{shown and f' (it is {shown})'}")
        if len(found) == MAX_FAULTS:
            break
    return found


@lru_cache(CACHED)
def _compiled(key: bytes) -> tuple[jsonschema_rs.Validator | None, Refusal | None]:
    schema = orjson.loads(key)
    draft = draft_of(schema)
    if draft is None:
        known = ", ".join(DRAFTS.values())
        return None, _unsupported(
            ("$schema",), f"$schema names no known draft (they are {known}): correct or remove it"
        )
    try:
        validator = jsonschema_rs.validator_for(
            schema, validate_formats=True, ignore_unknown_formats=False, offline=True, mask=_MASK
        )
    except jsonschema_rs.ValidationError as error:
        return None, _refusal_of(schema, error)
    except ValueError as error:
        return None, _unsupported((), f"the schema cannot be read ({_clipped(str(error))}): nest it less deeply")
    if (first := next(unheld(schema, draft), None)) is not None:
        return None, _unsupported(first.path, first.reason)
    if evaluations(schema) > MOST:
        reason = f"a value is held to more than {MOST:,} schemas at once, through branches of branches: simplify them"
        return None, _unsupported((), reason)
    return validator, None


def _refusal_of(schema: Any, error: jsonschema_rs.ValidationError) -> Refusal:
    path = tuple(error.instance_path)
    reason = error.message.partition("\n")[0]
    if reason.startswith("Unknown format"):
        return _unsupported(
            path, f"format {_value_at(schema, path)!r} is not known in this draft: write a pattern, or remove it"
        )
    if not path and (reference := _broken_reference(schema, reason)) is not None:
        return reference
    return Refusal("not_a_schema", f"at {_place(path)}: {_clipped(reason)}: correct it")


def _broken_reference(schema: Any, reason: str) -> Refusal | None:
    """Return the refusal of the reference that an error of the validator is about; None if the schema has none.

    The error names no place. So the reference is looked for: one to another file, or one whose target the error names.
    """
    references = list(_references(schema))
    for path, target in references:
        if not target.startswith("#"):
            return _unsupported(
                path, f"{path[-1]} refers to {_clipped(target)!r}, and nothing is fetched: put it into $defs"
            )
    for path, target in references:
        if target.lstrip("#") in reason:
            return Refusal("not_a_schema", f"at {pointer(path)}: the schema has no {_clipped(target)!r}: correct it")
    return None


def _references(schema: Any) -> Iterator[tuple[Path, str]]:
    for path, one in subschemas(schema):
        for name in _REFERENCES:
            if isinstance(target := one.get(name), str):
                yield (*path, name), target


def _unsupported(path: Path, reason: str) -> Refusal:
    return Refusal("schema_unsupported", f"at {_place(path)}: {reason}")


def _place(path: Sequence[str | int]) -> str:
    return pointer(path) or "the root"


def _value_at(schema: Any, path: Path) -> Any:
    for part in path:
        if isinstance(schema, Mapping):
            schema = schema.get(str(part))
        elif isinstance(schema, list) and isinstance(part, int):
            schema = schema[part]
    return schema


def _shown(value: Any) -> str:
    shown = orjson.dumps(value).decode()
    return shown if len(shown) <= _SHOWN else ""


def _clipped(text: str) -> str:
    return text if len(text) <= _CLIPPED else text[: _CLIPPED - 1] + "\N{HORIZONTAL ELLIPSIS}"
