"""The OpenAPI description of the gateway: what FastAPI makes of the endpoints, with keys and errors as they are here."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_ERRORS: Final = {
    "400": "The request is wrong.",
    "401": "There is no right key.",
    "403": "The key may not do this.",
    "404": "There is no such thing.",
    "409": "The thing is in a state in which this cannot be done.",
    "413": "The body is too large.",
    "429": "The key asked too often, or for too much.",
    "503": "The storage or the queue is away: come again.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of an app, which is made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    made = get_openapi(title=app.title, version="1", description=app.description, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form of errors, which is not used
        schemas.pop(name, None)
    schemas["Error"] = _ERROR
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in made["paths"].items():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            if path not in _OPEN:
                operation["security"] = [{"key": []}]
                for status, text in _ERRORS.items():
                    operation["responses"].setdefault(status, _answer(text))
    app.openapi_schema = made
    return made


def form_of(field: str, *more: str) -> dict[str, Any]:
    """Return the description of a form with a file in `field`, and texts in `more`."""
    texts: dict[str, Any] = {name: {"type": "string"} for name in more}
    if "purpose" in texts:
        texts["purpose"]["enum"] = ["batch"]
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [field, *more[:1]],
        "properties": {field: {"type": "string", "format": "binary"}, **texts},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def stream_of(kind: str) -> dict[int | str, dict[str, Any]]:
    """Return the description of an answer that is a stream of this media type."""
    return {200: {"content": {kind: {"schema": {"type": "string"}}}}}


def _answer(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
