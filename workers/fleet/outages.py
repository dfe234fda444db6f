"""Reports outages to a person: once that Redis or the storage is away, and once that it is back. The command waits meanwhile.

A damaged file is no outage: it is reported once, and only the batch that needs the file waits. If an embedded server has died, it
is started again. If the user's own server has died, the command only waits for it.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.errors import QueueUnavailable, StoreDamaged, StoreUnavailable, UnavailableError
from workers.fleet import embedded_redis
from workers.worker.outage import Outage, event_of


class Outages:
    """Waits for Redis and the storage. `report` is called with the name of a log event and a line for a person.

    `folder` is the folder of the embedded server, if the command has one.
    """

    def __init__(self, report: Callable[[str, str], object], folder: Path | None = None) -> None:
        self._report = report
        self._folder = folder
        self._redis = Outage()
        self._storage = Outage()
        self._damage: set[str] = set()

    @contextlib.contextmanager
    def waited_for(self) -> Iterator[None]:
        """If the block meets an outage or a damaged file, end the block and report the fault once.

        If the block ends without a fault, or meets only a damaged file, Redis and the storage are back; this is reported once.
        """
        try:
            yield
        except StoreDamaged as error:
            self._name(str(error))
            self._end()
        except (QueueUnavailable, StoreUnavailable) as error:
            self._begin(error)
        else:
            self._end()

    def _end(self) -> None:
        if self._redis.end():
            self._report("queue.back", "Redis is back; going on")
        if self._storage.end():
            self._report("store.back", "the storage is back; going on")

    def _name(self, damage: str) -> None:
        if damage not in self._damage:
            self._damage.add(damage)
            self._report("store.damaged", f"{damage.rstrip('.')}. Its batch waits for it, and no other does")

    def _begin(self, error: UnavailableError) -> None:
        is_queue = isinstance(error, QueueUnavailable)
        outage, name = (self._redis, "Redis") if is_queue else (self._storage, "the storage")
        if outage.begin(error):
            fault = str(error).rstrip(".")
            self._report(event_of(error), f"{fault}. Waiting for it; it goes on by itself when {name} is back")
        if is_queue and self._folder is not None:
            with contextlib.suppress(UnavailableError):  # the outage is reported already; the next fault tries again
                embedded_redis.revive(self._folder)
