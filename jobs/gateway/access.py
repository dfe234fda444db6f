"""Access: which key a request has, whether the key may do what is asked, and how often it may ask."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request

from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.submissions.keys import Key, Scope

MOST_METERS: Final = 10_000
"""The pace of at most this many keys is remembered at once."""

WRONG_A_MINUTE: Final = 60
"""An address may try this many wrong keys in a minute."""


@dataclass
class Meters:
    """Counts requests by name, each within a limit a minute: a bucket that fills evenly. Safe to share between threads."""

    monotonic: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, name: str, a_minute: int) -> float:
        """Take one request from a bucket. Returns 0, or in how many seconds there is one again."""
        at = self.monotonic()
        with self._lock:
            if len(self._buckets) >= MOST_METERS:
                self._buckets.clear()
            left, seen = self._buckets.get(name, (float(a_minute), at))
            left = min(float(a_minute), left + (at - seen) * a_minute / 60)
            if left < 1:
                self._buckets[name] = (left, at)
                return (1 - left) * 60 / a_minute
            self._buckets[name] = (left - 1, at)
            return 0.0


def desk_of(request: Request) -> Desk:
    """Return the desk of the app."""
    desk: Desk = request.app.state.desk
    return desk


def key_of(request: Request, desk: Annotated[Desk, Depends(desk_of)]) -> Key:
    """Return the key of a request. Raises ApiError 401 if it has none that is right, and 429 if it comes too often."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    address = f"address {request.client.host if request.client else ''}"
    meters: Meters = request.app.state.meters
    if scheme.lower() != "bearer" or not text:
        raise ApiError(401, "give a key: Authorization: Bearer np_...", "invalid_api_key")
    key = desk.keys.of(text.strip())
    if key is None:  # only wrong keys count, since many clients may share the address of a proxy
        if wait_s := meters.wait_s(address, WRONG_A_MINUTE):
            raise ApiError(
                429, "too many wrong keys came from this address", "rate_limit_exceeded", None, _whole(wait_s)
            )
        raise ApiError(401, "the key is not known, or was revoked", "invalid_api_key")
    a_minute = key.quotas.requests_a_minute
    if a_minute is not None and (wait_s := meters.wait_s(f"key {key.id}", a_minute)):
        raise ApiError(
            429, f"the key may make {a_minute} requests a minute", "rate_limit_exceeded", None, _whole(wait_s)
        )
    return key


def scoped(scope: Scope) -> Callable[[Key], Key]:
    """Return a dependency: the key of the request, if it has this scope. Raises ApiError 403 otherwise."""

    def require(key: Annotated[Key, Depends(key_of)]) -> Key:
        if scope not in key.scopes:
            raise ApiError(
                403, f"the key may not {scope}: its scopes are {', '.join(key.scopes)}", "insufficient_scope"
            )
        return key

    return require


def _whole(seconds: float) -> int:
    return max(1, int(seconds + 0.999))


AtDesk = Annotated[Desk, Depends(desk_of)]
Reader = Annotated[Key, Depends(scoped("read"))]
Submitter = Annotated[Key, Depends(scoped("submit"))]
Canceller = Annotated[Key, Depends(scoped("cancel"))]
Admin = Annotated[Key, Depends(scoped("admin"))]
