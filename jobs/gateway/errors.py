"""Errors as OpenAI's clients know them: `{"error": {"message", "type", "param", "code"}}` for every answer from 400 on."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from jobs.errors import ConflictError, NightpressError, NoBatch, RequestError, StoreDamaged, UnavailableError
from jobs.logs import logger

RETRY_AFTER_S: Final = 5
"""A client is told to come again after so many seconds when the storage or the queue is away."""

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


class ApiError(HTTPException):
    """An answer from 400 on. FastAPI lets it through wherever it is raised, also while a body is read.

    Args:
        status: The status of HTTP.
        message: One sentence for a person.
        code: A stable word for programs.
        param: The field at fault.
        retry_after_s: After how many seconds another try makes sense.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s


def error_response(error: ApiError) -> JSONResponse:
    """Return the answer of an error."""
    kind = _TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    body = {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, error.status, headers)


def api_error(error: NightpressError) -> ApiError:
    """Return what an error of ours means over HTTP."""
    message = str(error)
    if isinstance(error, NoBatch):
        return ApiError(404, message, "not_found")
    if isinstance(error, ConflictError):
        return ApiError(409, message, "conflict")
    if isinstance(error, RequestError):
        return ApiError(400, message, "invalid_request")
    if isinstance(error, StoreDamaged):
        logger().error("gateway.damaged", error=message)
        return ApiError(500, "a file of the storage is damaged: ask the operator", "storage_damaged")
    if isinstance(error, UnavailableError):
        logger().warning("gateway.unavailable", error=message)
        return ApiError(
            503, "the storage or the queue does not answer: try again", "unavailable", retry_after_s=RETRY_AFTER_S
        )
    return ApiError(500, message, "server_error")


def add_handlers(app: FastAPI) -> None:
    """Let every error of the app be answered in OpenAI's form."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(NightpressError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - the app registers it for this type
    return error_response(error)


async def _on_our_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NightpressError)  # noqa: S101 - the app registers it for this type
    return error_response(api_error(error))


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the app registers it for this type
    return error_response(_invalid(error.errors()))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the app registers it for this type
    messages = {
        404: (f"there is no {request.url.path[:200]} here: docs/clients.md lists the endpoints", "unknown_url"),
        405: (f"{request.method[:20]} is not a method of {request.url.path[:200]}", "method_not_allowed"),
    }
    message, code = messages.get(error.status_code, (str(error.detail), "invalid_request"))
    answer = error_response(ApiError(error.status_code, message, code))
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """Return the methods of the path of a request, which several routes may have."""
    paths: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    alike = (methods for path, methods in paths.items() if compile_path(path)[0].match(request.url.path))
    return {method.upper() for methods in alike for method in methods}


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    logger().error("gateway.failed", path=request.url.path, error=f"{type(error).__name__}: {error}"[:500])
    return error_response(ApiError(500, "the gateway failed on this request: look at its log", "server_error"))


def _invalid(faults: Sequence[Mapping[str, Any]]) -> ApiError:
    """Return the first fault of a body, a query or a path as an answer."""
    first = faults[0]
    where = [str(part) for part in first["loc"][1:] if not str(part).startswith(("function-", "constrained-"))]
    param = ".".join(where) or None
    reason = re.sub(r"^(Value error|Assertion failed), ", "", str(first["msg"]))
    if first["type"] == "extra_forbidden":
        reason = "there is no such parameter: remove it"
    elif first["type"] == "missing":
        reason = "it is missing: add it"
    elif first["type"] == "json_invalid":
        param, reason = None, "the body is not JSON"
    message = f"{param}: {reason}" if param else reason
    return ApiError(400, message[:1000], "invalid_request", param)
