"""The detached supervisor: a named Ray actor that outlives the command that made it, and that Ray starts again wherever it dies.

It runs a function on a thread of its own until that returns, and then ends for good. It lives on the head: on a node that an
autoscaler has added, it would keep that node from being given back. The workers of its fleet are detached and named too
(`workers/fleet/actor.py`), so that it finds them when it is started again.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from jobs.logs import logger
from jobs.settings import Settings
from workers.fleet.actor import name_of_node
from workers.fleet.desk.seat import Holder
from workers.fleet.log_relay.worker_log import logs_folder
from workers.logs.files import open_log, path_of

NAME: Final = "supervisor"


@dataclass(frozen=True)
class KeptPlan:
    """What a detached supervisor does. `main` is a function of a module, which the node of the supervisor can import.

    Its parameters are this plan and the holder that the supervisor is.
    """

    namespace: str
    main: Callable[["KeptPlan", Holder], None]
    settings: Settings = field(repr=False)  # they may hold passwords
    models: tuple[str, ...] = ()
    workers: int | None = None


class KeptSupervisor:
    """The actor. It begins as soon as it is made, and again as often as Ray starts it again."""

    def __init__(self, plan: KeptPlan) -> None:
        context = ray.get_runtime_context()
        node = name_of_node(context.get_node_id(), ray.nodes())
        log = f"{plan.namespace}-{os.getpid()}"
        open_log(logs_folder(), log, plan.settings.log_level, node)
        self._holder = Holder(
            id=context.get_actor_id(),
            kind="detached",
            host=socket.gethostname(),
            pid=os.getpid(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            log=str(path_of(logs_folder(), log, "events")),
        )
        self._itself, self._plan = context.current_actor, plan
        threading.Thread(target=self._run, args=[plan], name="supervisor", daemon=True).start()

    def holder(self) -> tuple[Holder, tuple[str, ...], int | None]:
        """Return who this supervisor is, and the models and the number of workers of its plan."""
        return self._holder, self._plan.models, self._plan.workers

    def _run(self, plan: KeptPlan) -> None:
        try:
            plan.main(plan, self._holder)
        except BaseException as error:  # noqa: BLE001 - the process ends, and Ray starts it again
            logger().error("command.crashed", error=f"{type(error).__name__}: {error}", traceback="")
            os._exit(1)
        with contextlib.suppress(ray.exceptions.RayError):
            ray.kill(self._itself, no_restart=True)


def start(plan: KeptPlan) -> bool:
    """Start a detached supervisor. Returns whether it was started: False if one runs already."""
    actor_class = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)(KeptSupervisor)
    options = {"name": NAME, "namespace": plan.namespace, "lifetime": "detached", "scheduling_strategy": _on_the_head()}
    try:
        actor_class.options(**options).remote(plan)
    except ValueError:  # the name is taken
        return False
    return True


def find(namespace: str) -> Any:
    """Return the actor of the detached supervisor in a namespace; None if there is none."""
    with contextlib.suppress(ValueError, ray.exceptions.RayError):
        return ray.get_actor(NAME, namespace=namespace)
    return None


def holder_of(actor: Any, timeout_s: float) -> tuple[Holder, tuple[str, ...], int | None] | None:
    """Return what `KeptSupervisor.holder` does; None if the supervisor does not answer within `timeout_s` seconds."""
    with contextlib.suppress(ray.exceptions.RayError, TimeoutError):
        found: tuple[Holder, tuple[str, ...], int | None] = ray.get(actor.holder.remote(), timeout=timeout_s)
        return found
    return None


def end(actor: Any) -> None:
    """End a detached supervisor for good. Its workers stay."""
    with contextlib.suppress(ray.exceptions.RayError):
        ray.kill(actor, no_restart=True)


def _on_the_head() -> Any:
    """Return the strategy that puts an actor on the head, and elsewhere only if there is no head."""
    for node in ray.nodes():
        if node["Alive"] and "node:__internal_head__" in node["Resources"]:
            return NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
    return "DEFAULT"
