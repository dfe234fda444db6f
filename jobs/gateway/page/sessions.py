"""Sessions of the page: a signed cookie says which key a browser has signed in with, and until when.

The cookie holds the id of the key and a random number, and neither the key nor its HMAC. Its signature covers the key's HMAC too.
The tokens of forms follow from that number, so the gateways of a store need no memory of who has signed in. The signatures are
HMACs under secrets that follow from the server's secret.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from jobs.submissions.keys import Key, Keys

SESSION_AGE: Final = timedelta(hours=12)
"""A session ends after this long."""

_COOKIE: Final = re.compile(r"([0-9a-f]{16})\.([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")
_NUMBER: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has signed in with a key. `number` is random, and tells the session from others of the key."""

    key: Key
    number: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes sessions and the tokens of forms, and knows them again."""

    keys: Keys
    clock: Callable[[], datetime]

    def begin(self, key: Key) -> Session:
        """Return a new session of a key."""
        return Session(key, secrets.token_hex(16), self.clock() + SESSION_AGE)

    def cookie_of(self, session: Session) -> str:
        """Return the cookie of a session."""
        body = f"{session.key.id}.{int(session.ends_at.timestamp())}.{session.number}"
        return f"{body}.{self._signature('session', body, session.key.hmac_sha256)}"

    def of(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it is not ours, has ended, or its key is revoked. Raises StoreUnavailable."""
        matched = _COOKIE.fullmatch(cookie)
        key = None if matched is None else self.keys.find(matched[1])
        if matched is None or key is None:
            return None
        body, _, signature = cookie.rpartition(".")
        is_ours = hmac.compare_digest(self._signature("session", body, key.hmac_sha256), signature)
        ends_at = datetime.fromtimestamp(int(matched[2]), UTC)
        if not is_ours or ends_at <= self.clock() or self.keys.is_revoked(key.id):
            return None
        return Session(key, matched[3], ends_at)

    def token(self, number: str) -> str:
        """Return the token that forms of a session have, or of a browser that has not signed in."""
        return self._signature("form", number)

    def is_token(self, number: str, given: str) -> bool:
        """Whether a form has the token of this session."""
        return bool(_NUMBER.fullmatch(number)) and hmac.compare_digest(self.token(number).encode(), given.encode())

    def _signature(self, what: str, *parts: str) -> str:
        secret = hmac.digest(self.keys.secret, f"page {what}".encode(), hashlib.sha256)
        return hmac.digest(secret, "\0".join(parts).encode(), hashlib.sha256).hex()


def new_number() -> str:
    """Return a random number for a browser that has not signed in."""
    return secrets.token_hex(16)
