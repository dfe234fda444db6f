"""Makes the reference of a kind: its fields in words, its checks, an example row as JSON Lines and CSV, and its JSON Schema."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from jobs.intake.row_fields import Envelope
from jobs.kinds.kind import Kind

_UNBOUNDED: Final = 1 << 62
"""A limit of this size or more only says that the number fits into 64 bits, so it is not shown."""


class FieldInWords(NamedTuple):
    """A field of a row: its name, its type with limits and default (`integer, 50 to 5000, default 400`), and its meaning."""

    name: str
    type: str
    meaning: str


def fields_of(model: type[BaseModel], quote: str = "") -> Iterator[FieldInWords]:
    """Yield the fields of a request in words, in their order. `quote` stands around each value of an enumeration."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        needed = "required" if name in required else _default(field)
        described = ", ".join(part for part in (_type(field, quote), needed) if part)
        yield FieldInWords(name, described, field.get("description", ""))


def row_schema(kind: Kind) -> dict[str, Any]:
    """Return a JSON Schema (draft 2020-12) of the rows of a kind: its own fields, and those that any row may have."""
    own, any_row = kind.request_type.model_json_schema(), Envelope.model_json_schema()
    name = {"const": kind.name, "description": any_row["properties"]["kind"]["description"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A row of kind {kind.name}",
        "type": "object",
        "properties": {**any_row["properties"], "kind": name, **own["properties"]},
        "required": ["kind", *own.get("required", ())],
        "additionalProperties": False,
        **({"$defs": defs} if (defs := {**any_row.get("$defs", {}), **own.get("$defs", {})}) else {}),
    }


def example_row(kind: Kind) -> dict[str, Any]:
    """Return an example row of a kind, which intake accepts if the kind gives one. Otherwise each required field holds a text
    such as `your topic`.
    """
    given = getattr(kind, "example", None)
    if not isinstance(given, Mapping):
        required = kind.request_type.model_json_schema().get("required", ())
        given = {name: f"your {name}" for name in required}
    return {"custom_id": f"{kind.name}-1", "kind": kind.name, **given}


def example_csv(kind: Kind) -> str:
    """Return the example row as CSV with a header. The texts of a list are joined by `|`, and objects are written as JSON."""
    row = example_row(kind)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(row)
    writer.writerow(map(_cell, row.values()))
    return text.getvalue()


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, [], {}) else f"default {json.dumps(default)}"


def _type(field: Mapping[str, Any], quote: str) -> str:
    """Return the type of a field in words, with its limits, such as `integer, 50 to 5000`."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(one, quote) for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field:
        return "one of " + ", ".join(f"{quote}{one}{quote}" for one in field["enum"])
    if "$ref" in field:
        return "object"
    words = str(field.get("type", "any"))
    if words == "array":
        words = "list of objects" if "$ref" in field["items"] else f"list of {field['items'].get('type', 'value')}s"
    least = field.get("minimum", field.get("exclusiveMinimum"))
    most = field.get("maximum", field.get("exclusiveMaximum"))
    if least is not None and most is not None and most < _UNBOUNDED:
        words += f", {least:g} to {most:g}"
    if (length := field.get("maxLength")) is not None:
        words += f" of at most {length:,} characters"
    if (items := field.get("maxItems")) is not None:
        words += f", at most {items:,}"
    return words


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return "|".join(value)
    return json.dumps(value, ensure_ascii=False)
