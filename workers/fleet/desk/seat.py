"""The seat at the desk of a store: which supervisor holds it, what other commands wish, and whether it was told to stop.

On one cluster all fleets of a store are one, so only the supervisor that holds the seat makes workers. The desk is an actor with
a name (`ray_desk.py`); this is what it does, without Ray. The holder tells it again and again how the fleet is. A holder that is
silent for long loses the seat to the next supervisor that asks for it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Protocol

SILENT_S: Final = 30.0
"""Seconds of silence after which a supervisor loses the seat to another."""
MEMBER_S: Final = 15.0
"""Seconds of silence after which the wish of another command no longer counts."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A supervisor. `id` is unique; a detached supervisor keeps it when it is started again. `since` is a time in RFC 3339."""

    id: str
    kind: Literal["foreground", "detached"]
    host: str
    pid: int
    since: str
    log: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a command wants of the fleet: the models, or () for all that open batches need, and the workers of each, or None."""

    models: tuple[str, ...] = ()
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What the holder of a seat has to do. `stops`: 0 go on, 1 drain and end, 2 end at once. `is_lost`: another has the seat."""

    stops: int = 0
    wishes: tuple[Wish, ...] = ()
    is_lost: bool = False


class Desk(Protocol):
    """The desk of a store, as a supervisor uses it. None of the calls waits long."""

    def take(self) -> Holder | None:
        """Take the seat. Returns None if it is taken, or else who holds it."""
        ...

    def join(self, wish: Wish) -> None:
        """Tell the holder of the seat a wish. It counts for MEMBER_S seconds. Returns at once."""
        ...

    def beat(self, figures: Mapping[str, Any]) -> Orders:
        """Tell how the fleet is, and return the orders that were known last. Returns at once."""
        ...

    def leave(self) -> None:
        """Give the seat up, if it is ours."""
        ...


@dataclass
class Seat:
    """The state of a desk. It begins with the holder who made the desk."""

    holder: Holder
    monotonic: Callable[[], float] = time.monotonic
    _heard_at: float = field(init=False)
    _figures: Mapping[str, Any] = field(default_factory=dict)
    _stops: int = 0
    _members: dict[str, tuple[Wish, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heard_at = self.monotonic()

    def take(self, holder: Holder) -> Holder | None:
        """Give the seat to `holder` if it is its own, or if the present holder is silent. Returns None, or who holds it."""
        if holder.id != self.holder.id and self.silent_s < SILENT_S:
            return self.holder
        if holder.id != self.holder.id:
            self._stops = 0
        self.holder, self._heard_at = holder, self.monotonic()
        self._members.pop(holder.id, None)
        return None

    def sit(self, holder_id: str, figures: Mapping[str, Any]) -> Orders:
        """Note how the fleet of the holder is, and return its orders."""
        if holder_id != self.holder.id:
            return Orders(is_lost=True)
        self._heard_at, self._figures = self.monotonic(), figures
        return Orders(self._stops, tuple(wish for wish, _ in self._present().values()))

    def join(self, member: str, wish: Wish) -> None:
        """Note the wish of another command."""
        self._members[member] = (wish, self.monotonic())

    def order(self, stops: int) -> None:
        """Tell the holder to stop: 1 drains, 2 ends at once."""
        self._stops = max(self._stops, stops)

    def show(self) -> Mapping[str, Any]:
        """Return who holds the seat, what it told last and how many seconds ago, and how many commands have joined."""
        told = {"silent_s": round(self.silent_s, 1), "stops": self._stops, "joined": len(self._present())}
        return {"holder": asdict(self.holder), **told, "fleet": dict(self._figures)}

    @property
    def silent_s(self) -> float:
        """For how many seconds nothing was heard of the holder."""
        return self.monotonic() - self._heard_at

    def _present(self) -> Mapping[str, tuple[Wish, float]]:
        now = self.monotonic()
        self._members = {member: one for member, one in self._members.items() if now - one[1] < MEMBER_S}
        return self._members
