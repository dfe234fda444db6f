"""The desk: what all requests of a gateway share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from anyio import CapacityLimiter

from jobs.client import Client
from jobs.gateway.statuses import Statuses
from jobs.gateway.webhooks.courier import Courier, CourierThread
from jobs.gateway.webhooks.hooks import Hooks
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.submissions.clerk import Clerk, ClerkThread
from jobs.submissions.files import Files
from jobs.submissions.journal import Journal
from jobs.submissions.keys import Keys, server_secret

WRITERS: Final = 4
"""At most this many uploads are written to the store at once: each writer holds some megabytes. Others wait on local disk."""


@dataclass
class Desk:
    """What all requests share: the client, the journal, the keys, statuses, and the clerk that admits what was submitted."""

    client: Client

    @property
    def settings(self) -> Settings:
        """The settings of the gateway."""
        return self.client.settings

    @property
    def store(self) -> Store:
        """The storage."""
        return self.client.store

    @property
    def clock(self) -> Callable[[], datetime]:
        """Returns the time, in UTC."""
        return self.client.clock

    @cached_property
    def journal(self) -> Journal:
        """The submissions."""
        return Journal(self.store, self.clock)

    @cached_property
    def keys(self) -> Keys:
        """The keys of clients."""
        given = self.settings.gateway.secret
        secret = server_secret(None if given is None else given.get_secret_value(), self.settings.cache_dir)
        return Keys(self.store, secret, self.clock)

    @cached_property
    def statuses(self) -> Statuses:
        """The statuses of batches."""
        return Statuses(self.store, self.client.status_reader())

    @cached_property
    def clerk(self) -> ClerkThread:
        """Admits what was submitted."""
        clerk = Clerk(self.store, self.settings, self.settings.gateway.admissions, self.clock)
        return ClerkThread(clerk)

    @cached_property
    def hooks(self) -> Hooks:
        """The webhooks of tenants."""
        return Hooks(self.store, self.keys.secret, self.clock)

    @cached_property
    def courier(self) -> CourierThread:
        """Tells webhooks what has ended."""
        networks = self.settings.gateway.webhook_networks
        return CourierThread(Courier(self.journal, self.statuses, self.hooks, networks))

    @cached_property
    def writers(self) -> CapacityLimiter:
        """Bounds how many uploads are written to the store at once."""
        return CapacityLimiter(WRITERS)

    def files(self, tenant: str) -> Files:
        """Return the files of a tenant."""
        return Files(self.store, tenant, self.clock)
