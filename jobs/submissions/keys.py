"""Keys of clients: who may do what over HTTP, and within which limits.

A key is shown once, when it is made. The store keeps its HMAC under the server's secret, so neither a reader of the store nor one
of the secret alone can use a key. A key belongs to one tenant, and sees nothing of the others. It is revoked by a marker.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from jobs.batches.batch import Moment, Sha256, StoredRecord, Tenant
from jobs.batches.rounds import now
from jobs.errors import RequestError
from jobs.prices import Money
from jobs.store.fan_out import each
from jobs.store.store import Store
from jobs.submissions.files import NoFile
from jobs.submissions.places import KEYS, REVOKED
from jobs.submissions.records import read, to_bytes

Scope = Literal["submit", "read", "cancel", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("submit", "read", "cancel", "admin")
"""What a key may do: upload files and submit batches, read its tenant's, cancel and retry them; make and revoke keys."""

KNOWN_FOR_S: Final = 5.0
"""A key that was looked up is known for this long, so a revoked key may be used for as many seconds more."""

MOST_KNOWN: Final = 10_000
"""At most this many keys are remembered at once, wrong ones among them."""

_KEY: Final = re.compile(r"np_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_ID: Final = re.compile(r"[0-9a-f]{16}")


class Quotas(StoredRecord):
    """The limits of a key; None: no limit of its own.

    `file_bytes` is the most bytes of a file, `open_batches` the most batches that have not ended, `rows_a_day` the most rows
    that are admitted in a day (UTC), `requests_a_minute` the most requests, and `budget` what one batch may be charged at most.
    """

    file_bytes: Annotated[int, Field(ge=1)] | None = None
    open_batches: Annotated[int, Field(ge=1)] | None = None
    rows_a_day: Annotated[int, Field(ge=1)] | None = None
    requests_a_minute: Annotated[int, Field(ge=1)] | None = None
    budget: Money | None = None


class Key(StoredRecord):
    """A key as the store keeps it: everything but the key itself."""

    id: str
    name: str
    tenant: Tenant
    scopes: tuple[Scope, ...]
    quotas: Quotas = Quotas()
    hmac_sha256: Sha256
    created_at: Moment

    @property
    def prefix(self) -> str:
        """The beginning of the key, by which people recognise it."""
        return f"np_{self.id}_"


@dataclass
class Keys:
    """The keys of a store. Safe to share between threads.

    Attributes:
        store: The storage.
        secret: The server's secret.
        clock: Returns the time, in UTC.
        monotonic: Returns seconds, for how long a key is known.
    """

    store: Store
    secret: bytes
    clock: Callable[[], datetime] = now
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[bytes, tuple[float, Key | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, name: str, tenant: str, scopes: Collection[Scope], quotas: Quotas | None = None) -> tuple[Key, str]:
        """Make a key. Returns its record and the key itself, which cannot be had again. Raises RequestError."""
        if not scopes or (unknown := [one for one in scopes if one not in SCOPES]):
            raise RequestError(f"scopes: {', '.join(unknown) if scopes else 'none'}: give some of {', '.join(SCOPES)}")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", tenant):
            raise RequestError(f"tenant {tenant!r}: give it 1 to 64 letters, digits, dots, hyphens or underscores")
        if len(name) > 200 or not name.isprintable():
            raise RequestError("name: give it at most 200 printable characters")
        id_ = secrets.token_hex(8)
        text = f"np_{id_}_{secrets.token_urlsafe(32)}"
        key = Key(
            id=id_,
            name=name,
            tenant=tenant,
            scopes=tuple(one for one in SCOPES if one in scopes),
            quotas=quotas or Quotas(),
            hmac_sha256=self._hmac(text).hex(),
            created_at=self.clock(),
        )
        self.store.create(f"{KEYS}/{id_}.json", to_bytes(key))
        return key, text

    def of(self, text: str) -> Key | None:
        """Return the key that a client sent; None if there is no such key, or if it is revoked. Raises StoreUnavailable."""
        digest = self._hmac(text)
        at = self.monotonic()
        with self._lock:
            known = self._known.get(digest)
        if known is not None and at - known[0] < KNOWN_FOR_S:
            return known[1]
        found = self._looked_up(text, digest)
        with self._lock:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[digest] = (at, found)
        return found

    def get(self, key_id: str) -> Key:
        """Return the record of a key that is not revoked. Raises NoFile if there is none."""
        found = self.find(key_id)
        if found is None or self.is_revoked(key_id):
            raise NoFile(f"no key {key_id[:40]}: GET /v1/keys lists them")
        return found

    def find(self, key_id: str) -> Key | None:
        """Return the record of a key, even if it is revoked; None if there is none."""
        return read(self.store, f"{KEYS}/{key_id}.json", Key) if _ID.fullmatch(key_id) else None

    def listed(self) -> Sequence[Key]:
        """Return the keys that are not revoked, the newest first."""
        revoked = set(self.store.list(REVOKED))
        ids = [name.removesuffix(".json") for name in self.store.list(KEYS)]
        found = each(self.find, [one for one in ids if one not in revoked], self.store.reads_at_once)
        return sorted((key for key in found if key is not None), key=lambda key: key.created_at, reverse=True)

    def revoke(self, key_id: str) -> Key:
        """Revoke a key, within KNOWN_FOR_S seconds everywhere. Raises NoFile if there is no such key."""
        key = self.get(key_id)
        self.store.create(f"{REVOKED}/{key.id}", b"")
        with self._lock:
            self._known.clear()
        return key

    def is_revoked(self, key_id: str) -> bool:
        """Whether a key was revoked."""
        return self.store.exists(f"{REVOKED}/{key_id}")

    def _looked_up(self, text: str, digest: bytes) -> Key | None:
        matched = _KEY.fullmatch(text)
        key = None if matched is None else self.find(matched[1])
        # The comparison is made for unknown keys too, and takes as long for each.
        is_right = hmac.compare_digest(bytes.fromhex(key.hmac_sha256) if key is not None else b"\0" * 32, digest)
        return key if key is not None and is_right and not self.is_revoked(key.id) else None

    def _hmac(self, text: str) -> bytes:
        return hmac.digest(self.secret, text.encode(errors="replace"), hashlib.sha256)


def server_secret(given: str | None, cache_dir: Path) -> bytes:
    """Return the secret of the server: the one of the settings, or a random one that is kept in a private file.

    Gateways on several machines need the same secret, so they need the setting. Raises RequestError if it is too short.
    """
    if given is not None:
        if len(given) < 32:
            raise RequestError(
                "gateway_secret: give it 32 characters and more, such as those of `openssl rand -hex 32`"
            )
        return given.encode()
    path = cache_dir.expanduser() / "gateway-secret"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        new = path.with_name(f".gateway-secret-{secrets.token_hex(4)}")
        new.touch(mode=0o600, exist_ok=False)
        new.write_text(secrets.token_hex(32))
        try:
            path.hardlink_to(new)
        finally:
            new.unlink()
    return path.read_text().strip().encode()
