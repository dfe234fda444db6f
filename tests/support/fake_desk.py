"""A desk for tests: a Seat that several supervisors of one process share, without Ray."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workers.fleet.desk.seat import Holder, Orders, Seat, Wish


def holder(name: str, kind: Literal["foreground", "detached"] = "foreground") -> Holder:
    return Holder(name, kind, "gpu-1", 7, "2026-12-01T22:00:00+00:00")


@dataclass
class Room:
    """The place of the desk: empty, or with a seat. `seconds` is its time."""

    seat: Seat | None = None
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class FakeDesk:
    """The desk in a room, as `holder` uses it."""

    room: Room
    holder: Holder
    told: list[Mapping[str, Any]] = field(default_factory=list)

    def take(self) -> Holder | None:
        if self.room.seat is None:
            self.room.seat = Seat(self.holder, self.room.monotonic)
            return None
        return self.room.seat.take(self.holder)

    def join(self, wish: Wish) -> None:
        if self.room.seat is not None:
            self.room.seat.join(self.holder.id, wish)

    def beat(self, figures: Mapping[str, Any]) -> Orders:
        self.told.append(figures)
        return Orders(is_lost=True) if self.room.seat is None else self.room.seat.sit(self.holder.id, figures)

    def leave(self) -> None:
        if self.room.seat is not None and self.room.seat.holder.id == self.holder.id:
            self.room.seat = None
