"""An imitation of the Ray that a fleet sees: actors that wait for room, come to life, end when told to, and are killed.

Whoever waits is served in the unkindest order, the last first, and on the emptiest node. Time passes when a test says so.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from workers.worker.worker import WorkerPlan


@dataclass(frozen=True, eq=False)
class Reference:
    ready: Callable[[], bool]
    handle: "Handle"


@dataclass(eq=False)
class Handle:
    """One actor. Its methods are called as those of Ray's handles."""

    cluster: "ImitatedRay"
    plan: WorkerPlan
    needs: Counter[str]
    slow: bool = False
    node: Counter[str] | None = None
    stopped_at: float = float("inf")
    killed: bool = False

    @property
    def alive(self) -> bool:
        return self.node is not None and not self.slow

    @property
    def stopped(self) -> bool:
        return self.stopped_at <= self.cluster.seconds

    def _answers(self) -> bool:
        return self.killed or self.alive

    def _has_ended(self) -> bool:
        return self.killed or (self.alive and self.cluster.seconds >= self.stopped_at + self.cluster.draining_s)

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any) -> Reference:
            if name == "stop":
                self.stopped_at = self.cluster.seconds
            return Reference(self._has_ended if name == "run" else self._answers, self)

        method = SimpleNamespace(remote=call)
        return SimpleNamespace(remote=call, options=lambda **_: method)


@dataclass
class ImitatedRay:
    """A cluster of nodes, each with what is free on it. `said` is what each worker says of itself.

    A worker drains for `draining_s`, and what was freed is given away after `freeing_s`.
    """

    nodes: Sequence[Counter[str]]
    seconds: float = 0.0
    actors: list[Handle] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    slow: bool = False
    draining_s: float = 0.0
    freeing_s: float = 0.0
    freed_at: float = float("-inf")

    def __post_init__(self) -> None:
        self._totals = [dict(node) for node in self.nodes]

    def take_the_place_of_ray(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("remote", "wait", "get", "kill", "available_resources", "cluster_resources"):
            monkeypatch.setattr(ray, name, getattr(self, name))
        monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": total} for total in self._totals])
        monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="127.0.0.1:1"))

    def monotonic(self) -> float:
        return self.seconds

    def place(self) -> None:
        """Give room to whoever waits."""
        if self.seconds - self.freed_at < self.freeing_s:
            return
        for actor in reversed(self.waiting()):
            fitting = [node for node in self.nodes if all(node[kind] >= n for kind, n in actor.needs.items())]
            if fitting:
                actor.node = max(fitting, key=lambda node: sum(node.values()))
                actor.node.subtract(actor.needs)

    def at_work(self) -> list[Handle]:
        return [actor for actor in self.actors if actor.alive and not actor.stopped and not actor.killed]

    def waiting(self) -> list[Handle]:
        return [actor for actor in self.actors if actor.node is None and not actor.killed]

    # -- what a fleet calls -----------------------------------------------------------------------------------------

    def remote(self, *, num_cpus: float, num_gpus: float, **_: Any) -> Any:
        needs = Counter({kind: n for kind, n in (("CPU", num_cpus), ("GPU", num_gpus)) if n})

        def start(plan: WorkerPlan) -> Handle:
            self.actors.append(Handle(self, plan, needs, self.slow))
            return self.actors[-1]

        return lambda _: SimpleNamespace(remote=start)

    def wait(self, references: list[Reference], *, timeout: float, **_: Any) -> tuple[list[Reference], list[Reference]]:
        self.seconds += timeout
        ready = [one for one in references if one.ready()]
        return ready, [one for one in references if not one.ready()]

    def get(self, reference: Reference, **_: Any) -> Any:
        if reference.handle.killed:
            raise ray.exceptions.RayActorError
        return {"worker": reference.handle.plan.worker, **self.said}

    def kill(self, handle: Any) -> None:
        if not isinstance(handle, Handle):
            raise ValueError(f"ray.kill() only supported for actors. Got: {type(handle)}.")
        if handle.node is not None and not handle.killed:
            handle.node.update(handle.needs)
            self.freed_at = self.seconds
        handle.killed = True

    def available_resources(self) -> dict[str, float]:
        return {kind: n for kind, n in sum(self.nodes, Counter()).items() if n}

    def cluster_resources(self) -> dict[str, float]:
        return dict(sum((Counter(total) for total in self._totals), Counter()))
