"""A replica: a place of the fleet, for one worker of one model, and whoever works there at the moment.

It is *pending* from the start of its worker until Ray has found room for it, then *at work*, and *leaving* once it drains for
another model. Without a worker it is about to get one, unless it is *parked*: then it stands back for others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Replica:
    """`needs` are resources of the cluster by Ray's names, the scarcest first; `waiting_since` is since when its model has had
    work for it, and it had no room.
    """

    alias: str
    number: int
    handle: Any = None
    running: Any = None
    loaded: Any = None
    arrived: Any = None
    worker: str = ""
    needs: Mapping[str, float] = field(default_factory=dict)
    placed: bool = False
    leaving_until: float | None = None
    parked: bool = False
    waiting_since: float | None = None
    started: float = 0.0
    deaths: int = 0
    failed_starts: int = 0
    start_at: float = 0.0

    @property
    def pending(self) -> bool:
        """Whether its worker waits for room, or is just coming to life."""
        return self.handle is not None and not self.placed

    @property
    def leaving(self) -> bool:
        """Whether its worker drains for another model."""
        return self.leaving_until is not None

    @property
    def at_work(self) -> bool:
        """Whether its worker has come to life, and stays."""
        return self.placed and not self.leaving

    def vacate(self, *, parked: bool = False) -> None:
        """Its worker is gone. `parked` lets it have no other for now."""
        self.handle = self.running = self.loaded = self.arrived = None
        self.placed, self.leaving_until, self.parked = False, None, parked
