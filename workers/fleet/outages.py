"""What a command says while Redis or the storage is away: one line when it goes, one when it is back, and it goes on.

A damaged file is not away: it is named, once, and only its batch waits for it. Knows how to start an embedded server again
that died under the command; a server of the user's is only waited for.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.errors import QueueUnavailable, StoreDamaged, StoreUnavailable, UnavailableError
from workers.fleet import embedded_redis


class Outages:
    """Waits with `say`, which is given an event and a line for a person. `folder` is that of an embedded server."""

    def __init__(self, say: Callable[[str, str], None], folder: Path | None = None) -> None:
        self._say = say
        self._folder = folder
        self._away: dict[str, str] = {}
        self._damage: set[str] = set()

    @contextlib.contextmanager
    def waited_for(self) -> Iterator[None]:
        """Whatever is away in this block is said, once; the block ends where it was. All is back when it gets through.

        What is damaged is named once; whoever raises it has met all else.
        """
        try:
            yield
        except StoreDamaged as error:
            self._name(str(error))
            self._say_back()
        except (QueueUnavailable, StoreUnavailable) as error:
            self._note(error)
        else:
            self._say_back()

    def _say_back(self) -> None:
        for event, name in self._away.items():
            self._say(event, f"{name} is back; going on")
        self._away.clear()

    def _name(self, damage: str) -> None:
        if damage not in self._damage:
            self._damage.add(damage)
            self._say("store.damaged", f"{damage.rstrip('.')}. Its batch waits for it, and no other does")

    def _note(self, error: UnavailableError) -> None:
        is_queue = isinstance(error, QueueUnavailable)
        back = "queue.back" if is_queue else "store.back"
        if back not in self._away:
            self._away[back] = "Redis" if is_queue else "the storage"
            what = f"{str(error).rstrip('.')}. Waiting for it; it goes on by itself when {self._away[back]} is back"
            self._say("queue.unavailable" if is_queue else "store.unavailable", what)
        if is_queue and self._folder is not None:
            with contextlib.suppress(UnavailableError):  # said already; the next round tries again
                embedded_redis.revive(self._folder)
