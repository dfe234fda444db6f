"""/v1/estimates: what a file would take, before it is submitted."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from jobs.errors import RequestError
from jobs.gateway.access import AtDesk, Reader
from jobs.gateway.routes.batches import Extension
from jobs.operations.enqueue_options import EnqueueOptions
from jobs.operations.estimate import Estimate, Line
from jobs.prices import exact
from jobs.usage import Usage

router = APIRouter(prefix="/v1/estimates", tags=["estimates"])


class EstimateRequest(BaseModel):
    """The body of an estimate: an uploaded file, and how its rows are read."""

    model_config = ConfigDict(extra="forbid")

    input_file_id: str
    nightpress: Extension = Extension()


@router.post("", summary="Estimate a file")
def estimate(body: EstimateRequest, desk: AtDesk, key: Reader) -> dict[str, Any]:
    """Count the rows, the refused ones, the tokens and the money of a file. Nothing is submitted."""
    mine, ours = desk.files(key.tenant), body.nightpress
    record = mine.get(body.input_file_id)
    options: EnqueueOptions = {"tenant": key.tenant, "fields": ours.set, "name": record.filename}
    if ours.kind is None:
        options["format"] = "openai"
    else:
        options["kind"] = ours.kind
    if ours.model is not None:
        options["model"] = ours.model
    try:
        with mine.open(record.id) as file:
            found = desk.client.estimate(file, **options)
    except KeyError:
        raise RequestError("the file was deleted: upload it again") from None
    return _object(found, desk.settings.prices.currency)


def _object(found: Estimate, currency: str) -> dict[str, Any]:
    between = found.interval
    refusals = [
        {"line": one.line, "code": one.code, "param": one.field, "message": one.message} for one in found.refusals
    ]
    return {
        "object": "estimate",
        "rows": found.rows,
        "refused": found.refused,
        "codes": dict(found.faults),
        "refusals": refusals,
        "remarks": dict(found.remarks),
        "currency": currency,
        "usage": _usage(found.usage, currency),
        **({} if between is None else {"low": _usage(between[0], currency), "high": _usage(between[1], currency)}),
        "lines": [_line(line, currency) for line in found.lines],
    }


def _line(line: Line, currency: str) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "model": line.model,
        "rows": line.rows,
        "known_rows": line.known_rows,
        "basis": line.basis,
        "usage": _usage(line.usage, currency),
    }


def _usage(used: Usage, currency: str) -> dict[str, Any]:
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "device_s": used.device_ns / 1e9,
        "charge": exact(used.charge, currency),
        "device_cost": exact(used.device_cost, currency),
    }
