"""The webhooks of tenants. A change is a new file with the next number, so two changes at once cannot be lost in each other."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from jobs.batches.batch import Moment, StoredRecord, Tenant
from jobs.batches.rounds import now
from jobs.errors import ConflictError, RequestError
from jobs.store.store import Store
from jobs.submissions.files import NoFile
from jobs.submissions.records import read, to_bytes

EventType = Literal["batch.completed", "batch.failed", "batch.expired", "batch.cancelled"]
EVENT_TYPES: Final[tuple[EventType, ...]] = ("batch.completed", "batch.failed", "batch.expired", "batch.cancelled")

BOTH_FOR: Final = timedelta(hours=24)
"""After its secret was changed, an event is signed with the old one too for this long."""

LONGEST_URL: Final = 2_048
MOST_HOOKS: Final = 20
"""A tenant has at most this many webhooks."""

_ID: Final = re.compile(r"wh_[0-9a-f]{24}")


class Hook(StoredRecord):
    """A webhook: where which events go. `secret_number` counts its secrets; `off_because` tells why it was switched off."""

    id: str
    number: int
    tenant: Tenant
    url: str
    events: tuple[EventType, ...] = EVENT_TYPES
    enabled: bool = True
    off_because: str | None = None
    secret_number: int = 1
    secret_since: Moment
    created_at: Moment
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """The webhooks of one store. `secret` is the server's secret, from which those of the webhooks follow."""

    store: Store
    secret: bytes
    clock: Callable[[], datetime] = now

    def make(self, tenant: str, url: str, events: Sequence[EventType] = EVENT_TYPES) -> Hook:
        """Make a webhook. Raises RequestError if the URL is none, or if the tenant has too many webhooks."""
        check_url(url)
        if len(self.listed(tenant)) >= MOST_HOOKS:
            raise RequestError(f"there are {MOST_HOOKS} webhooks already: delete one first")
        at = self.clock()
        hook = Hook(
            id=f"wh_{secrets.token_hex(12)}",
            number=1,
            tenant=tenant,
            url=url,
            events=tuple(one for one in EVENT_TYPES if one in events),
            secret_since=at,
            created_at=at,
        )
        self.store.create(_path(hook), to_bytes(hook))
        return hook

    def get(self, tenant: str, hook_id: str) -> Hook:
        """Return a webhook. Raises NoFile if the tenant has none of this id."""
        found = self.find(tenant, hook_id)
        if found is None:
            raise NoFile(f"no webhook {hook_id[:40]}: GET /v1/webhooks lists them")
        return found

    def find(self, tenant: str, hook_id: str) -> Hook | None:
        """Return a webhook; None if the tenant has none of this id."""
        if not _ID.fullmatch(hook_id):
            return None
        folder = f"{_folder(tenant)}/{hook_id}"
        numbers = [int(name.removesuffix(".json")) for name in self.store.list(folder)]
        found = read(self.store, f"{folder}/{max(numbers)}.json", Hook) if numbers else None
        return None if found is None or found.deleted else found

    def listed(self, tenant: str) -> list[Hook]:
        """Return the webhooks of a tenant, the oldest first."""
        found = [self.find(tenant, hook_id) for hook_id in self.store.list(_folder(tenant))]
        return sorted((hook for hook in found if hook is not None), key=lambda hook: (hook.created_at, hook.id))

    def change(self, hook: Hook, changes: Mapping[str, Any]) -> Hook:
        """Change a webhook. Raises RequestError for a wrong URL, ConflictError if another change came first."""
        if "url" in changes:
            check_url(str(changes["url"]))
        changed = hook.model_copy(update={**changes, "number": hook.number + 1})
        if not self.store.create(_path(changed), to_bytes(changed)):
            raise ConflictError("the webhook was changed by another request at this moment: look at it, and try again")
        return changed

    def rotate(self, hook: Hook) -> Hook:
        """Give a webhook a new secret. The old one signs too for BOTH_FOR."""
        return self.change(hook, {"secret_number": hook.secret_number + 1, "secret_since": self.clock()})

    def secret_of(self, hook: Hook, number: int | None = None) -> str:
        """Return the secret of a webhook in the form `whsec_...`, by default the present one."""
        text = f"webhook {hook.id} {hook.secret_number if number is None else number}"
        return "whsec_" + base64.b64encode(hmac.digest(self.secret, text.encode(), hashlib.sha256)).decode()

    def signatures(self, hook: Hook, event_id: str, timestamp: int, body: bytes) -> str:
        """Return the header `webhook-signature` of Standard Webhooks: a signature for each secret that counts."""
        numbers = [hook.secret_number]
        if hook.secret_number > 1 and self.clock() < hook.secret_since + BOTH_FOR:
            numbers.append(hook.secret_number - 1)
        signed = f"{event_id}.{timestamp}.".encode() + body
        keys = [base64.b64decode(self.secret_of(hook, number).removeprefix("whsec_")) for number in numbers]
        return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in keys)


def check_url(url: str) -> None:
    """Raise RequestError if a text is no URL that a webhook can have."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise RequestError(f"url: give it at most {LONGEST_URL:,} printable ASCII characters")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise RequestError("url: give it a URL such as https://example.com/hook")
    if "@" in parts.netloc:
        raise RequestError("url: it holds a user or a password: leave them out, and check the signature instead")


def _folder(tenant: str) -> str:
    return f"webhooks/tenant-{tenant}/hooks"


def _path(hook: Hook) -> str:
    return f"{_folder(hook.tenant)}/{hook.id}/{hook.number}.json"
