"""`nightpress work --detach`, `work stop` and `work status`: a supervisor that outlives the command that started it.

It is a detached actor (`workers/fleet/desk/kept.py`), which Ray starts again where it dies. What it logs is in a file beside the
logs of Ray on its node; `work status` names the file.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import RequestError, UnavailableError
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.identity import make_id
from jobs.store.opening import open_store
from workers.commands.work import Work, known
from workers.fleet.cluster import chosen_address, connect
from workers.fleet.desk.seat import SILENT_S, Holder

if TYPE_CHECKING:
    from workers.fleet.desk.kept import KeptPlan

START_S: Final = 90.0
"""A detached supervisor must be up within this many seconds."""
LOOK_S: Final = 0.2
"""Seconds between two looks at whether a supervisor has started or ended."""
DESK_S: Final = 20.0
"""A supervisor that is told to stop, but has no desk for this many seconds, waits after a fault, and is ended at once."""
AGAIN_S: Final = 5.0
"""Seconds until a detached supervisor begins again after a fault. They double with each further fault."""
AGAIN_MAX_S: Final = 300.0
"""Most seconds until a detached supervisor begins again."""
HEALTHY_S: Final = 600.0
"""After this many seconds without a fault, earlier faults no longer count."""
CLUSTER: Final = "start one with `ray start --head`, or set ray_address"


def supervise(plan: "KeptPlan", holder: Holder) -> None:
    """Run the fleet of a detached supervisor until it is told to stop.

    After a fault, such as a model that is missing, begin again after a while: the workers go on meanwhile, and are adopted.
    """
    again_s = AGAIN_S
    while True:
        began = time.monotonic()
        try:
            Work(plan.settings, plan.models, plan.workers, holder=holder).run()
            return
        except (UnavailableError, RequestError) as error:
            again_s = AGAIN_S if time.monotonic() - began > HEALTHY_S else min(AGAIN_MAX_S, 2 * again_s)
            logger().error("fleet.restarting", error=str(error), again_s=again_s)
        time.sleep(again_s)


def detach(settings: Settings, models: Sequence[str], workers: int | None) -> str:
    """Start a detached supervisor. Returns a line for a person, also if one runs already.

    Raises:
        RequestError: A model is unknown, no Redis is set, no cluster outlives this command, or a detached supervisor runs already
            with other options.
        UnavailableError: Redis, the storage or the cluster does not answer, or the supervisor does not start.
    """
    for alias in models:
        known(alias, settings)
    if settings.redis_url is None:
        raise RequestError("--detach needs a Redis that outlives this command: set NIGHTPRESS_REDIS_URL")
    store = open_store(settings.store_url, settings.store_options, settings.file_mode_bits)
    with contextlib.closing(RedisQueue.from_settings(settings, store)) as queue:
        queue.ping()
    namespace = _join(settings)
    from workers.fleet.desk import kept, ray_desk

    plan = kept.KeptPlan(namespace, supervise, settings, tuple(models), workers)
    shown = ray_desk.show(namespace)
    started = kept.start(plan)
    holder = _await_start(namespace, plan)
    where = f"on {holder.host} (process {holder.pid}); its log is {holder.log}"
    if not started:
        return f"a detached supervisor runs already, since {holder.since}, {where}"
    if shown is not None and shown["holder"]["kind"] == "foreground":
        other = shown["holder"]
        return (
            f"started a detached supervisor {where}. It stands by while the `nightpress work` on {other['host']} (process "
            f"{other['pid']}) runs, and takes over when that ends"
        )
    return f"started a detached supervisor {where}"


def stop(settings: Settings, *, now: bool) -> str:
    """Stop the fleet of the store on the cluster, whoever runs it, and wait until it has ended. Returns a line for a person.

    Without `now`, rows that are nearly done finish. Raises UnavailableError if the cluster does not answer, or if the fleet has
    not ended in time.
    """
    namespace = _join(settings)
    from workers.fleet.actor import RayCluster
    from workers.fleet.desk import kept, ray_desk

    if (
        ray_desk.show(namespace) is None
        and kept.find(namespace) is None
        and not RayCluster("", namespace=namespace).left()
    ):
        return "no fleet of this store runs on this cluster"
    until = time.monotonic() + settings.drain_s + START_S
    seen_at = time.monotonic()
    while time.monotonic() < until:
        shown, supervisor = ray_desk.show(namespace), kept.find(namespace)
        if shown is not None:
            seen_at = time.monotonic()
            ray_desk.order(namespace, 2 if now else 1)
            if supervisor is None and (shown["holder"]["kind"] == "detached" or shown["silent_s"] >= SILENT_S):
                ray_desk.clear(namespace)  # its supervisor was ended for good
        elif supervisor is None:
            for found in RayCluster("", namespace=namespace).left():
                found.handle.kill()
            return "the fleet of this store has ended"
        elif now or time.monotonic() - seen_at > DESK_S:
            kept.end(supervisor)
        time.sleep(LOOK_S)
    raise UnavailableError("the fleet has not ended in time: nightpress work stop --now")


def status(settings: Settings) -> Mapping[str, Any] | None:
    """Return how the fleet of the store on the cluster is, as `Seat.show` tells it; None if there is none.

    Raises UnavailableError if the cluster does not answer.
    """
    namespace = _join(settings)
    from workers.fleet.desk import ray_desk

    return ray_desk.show(namespace)


def status_lines(shown: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of `work status` for a person."""
    holder, fleet = shown["holder"], shown["fleet"]
    kind = "a detached supervisor" if holder["kind"] == "detached" else "a `nightpress work`"
    yield f"{kind} on {holder['host']} (process {holder['pid']}), since {holder['since']}"
    if holder["log"]:
        yield f"log: {holder['log']}"
    if shown["stops"] or fleet.get("state") == "draining":
        yield "it is stopping"
    if shown["silent_s"] > 5:
        yield f"nothing was heard of it for {shown['silent_s']:.0f} s"
    if shown["joined"]:
        yield f"{shown['joined']} more of these commands stand by"
    for model, one in fleet.get("models", {}).items():
        yield f"{model}: {one['up']} workers of {one['asked']} asked for, {one['loaded']} loaded, {one['rows']} rows to do"


def _join(settings: Settings) -> str:
    """Join the cluster that is set or found, and return the namespace of the store."""
    if chosen_address(settings.ray_address) is None:
        raise RequestError(f"this needs a Ray cluster that outlives this command: {CLUSTER}")
    namespace_id = make_id(open_store(settings.store_url, settings.store_options, settings.file_mode_bits))
    connect(settings.ray_address)
    from workers.fleet.desk.ray_desk import namespace_of

    return namespace_of(namespace_id)


def _await_start(namespace: str, plan: "KeptPlan") -> Holder:
    """Wait until the detached supervisor answers, and return who it is. Raises RequestError if it has another plan."""
    from workers.fleet.desk import kept

    until = time.monotonic() + START_S
    while time.monotonic() < until:
        supervisor = kept.find(namespace)
        found = None if supervisor is None else kept.holder_of(supervisor, until - time.monotonic())
        if found is not None:
            holder, models, workers = found
            if (models, workers) != (plan.models, plan.workers):
                options = "".join([*(f" --model {one}" for one in models), f" --workers {workers}" if workers else ""])
                raise RequestError(
                    f"a detached supervisor runs already on {holder.host}, with {options.strip() or 'no options'}: "
                    "nightpress work stop, and then again"
                )
            return holder
        time.sleep(LOOK_S)
    raise UnavailableError(
        f"the detached supervisor has not started within {START_S:.0f} s. Look into Ray's logs on the head "
        "(session_latest/logs), and end it with nightpress work stop --now"
    )
