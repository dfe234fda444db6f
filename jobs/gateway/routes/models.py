"""/v1/models: the models that rows may name."""

from typing import Any

from fastapi import APIRouter

from jobs.gateway.access import AtDesk, Reader
from jobs.gateway.errors import ApiError

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", summary="List models")
def models(desk: AtDesk, key: Reader) -> dict[str, Any]:
    """List the models of the catalog, and the other names that stand for them."""
    settings = desk.settings
    return {"object": "list", "data": [_object(name) for name in (*settings.catalog, *settings.aliases)]}


@router.get("/{model:path}", summary="Look at a model")
def model(model: str, desk: AtDesk, key: Reader) -> dict[str, Any]:
    """Return one model."""
    if desk.settings.known_models.named(model) is None:
        raise ApiError(404, f"no model {model[:100]!r}: GET /v1/models lists them", "model_not_found", "model")
    return _object(model)


def _object(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "nightpress"}
