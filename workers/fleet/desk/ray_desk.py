"""The desk of a store as a named Ray actor. The name is in a namespace of the store, so two stores on a cluster have two desks.

Ray gives a name to one actor only, which decides between commands that begin at the same time. The desk of a supervisor in the
foreground ends with it. The desk of a detached one is detached too, and Ray starts it again.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import ray

from workers.fleet.desk.seat import Holder, Orders, Seat, Wish

NAME: Final = "desk"
ANSWER_S: Final = 10.0
"""A desk must answer within this many seconds."""


def namespace_of(store_id: str) -> str:
    """Return the Ray namespace of a store: all named actors of its fleet are in it."""
    return f"nightpress-{store_id}"


class RayDesk:
    """The desk in `namespace`, as the supervisor `holder` uses it."""

    def __init__(self, namespace: str, holder: Holder) -> None:
        self._namespace = namespace
        self._holder = holder
        self._actor: Any = None
        self._asked: Any = None
        self._orders = Orders()

    def take(self) -> Holder | None:
        is_kept = self._holder.kind == "detached"
        try:
            self._actor = (
                ray.remote(num_cpus=0, max_restarts=-1 if is_kept else 0)(Seat)
                .options(name=NAME, namespace=self._namespace, lifetime="detached" if is_kept else None)
                .remote(self._holder)
            )
        except ValueError:  # the name is taken
            return self._take_over()
        return None

    def join(self, wish: Wish) -> None:
        with contextlib.suppress(ValueError, ray.exceptions.RayError):
            ray.get_actor(NAME, namespace=self._namespace).join.remote(self._holder.id, wish)

    def beat(self, figures: Mapping[str, Any]) -> Orders:
        if self._asked is None:
            if self._actor is None and self.take() is not None:
                return Orders(is_lost=True)
            self._asked = self._actor.sit.remote(self._holder.id, figures)
        if ray.wait([self._asked], timeout=0)[0]:
            asked, self._asked = self._asked, None
            try:
                self._orders = ray.get(asked)
            except ray.exceptions.ActorUnavailableError:  # it is started again
                pass
            except ray.exceptions.RayError:
                self._actor = None
        return self._orders

    def leave(self) -> None:
        if self._actor is not None:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.kill(self._actor)
            self._actor = None

    def _take_over(self) -> Holder | None:
        """Ask the desk that has the name for its seat. Returns None if the seat is ours, or else who holds it."""
        try:
            actor = ray.get_actor(NAME, namespace=self._namespace)
            holder: Holder | None = ray.get(actor.take.remote(self._holder), timeout=ANSWER_S)
        except (ValueError, ray.exceptions.RayError, TimeoutError):  # it ends at this moment, or is just started
            return Holder("", "foreground", "", 0, "")
        self._actor = actor if holder is None else None
        return holder


def show(namespace: str) -> Mapping[str, Any] | None:
    """Return what the desk in a namespace shows; None if there is none."""
    with contextlib.suppress(ValueError, ray.exceptions.RayError, TimeoutError):
        actor = ray.get_actor(NAME, namespace=namespace)
        shown: Mapping[str, Any] = ray.get(actor.show.remote(), timeout=ANSWER_S)
        return shown
    return None


def order(namespace: str, stops: int) -> None:
    """Tell the supervisor that holds the desk in a namespace to stop: 1 drains, 2 ends at once. Nothing is done without one."""
    with contextlib.suppress(ValueError, ray.exceptions.RayError, TimeoutError):
        ray.get(ray.get_actor(NAME, namespace=namespace).order.remote(stops), timeout=ANSWER_S)


def clear(namespace: str) -> None:
    """End the desk in a namespace, whoever holds its seat."""
    with contextlib.suppress(ValueError, ray.exceptions.RayError):
        ray.kill(ray.get_actor(NAME, namespace=namespace))
