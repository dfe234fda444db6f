"""Joins a Ray cluster: the one at an address, the one that is found, or a local one.

`workers/fleet/handles.py` says what a fleet asks of a cluster; `workers/fleet/actor.py` implements that with Ray. Ray is imported
only when a cluster is joined, since importing it takes a second.
"""

import contextlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from jobs.catalog import ModelCard
from jobs.errors import UnavailableError
from workers.fleet.gcs_watch import listens
from workers.fleet.handles import Cluster

_HOST_AND_PORT: Final = re.compile(r"[^/]+:\d+")


def connect(address: str | None, *, local: bool = False) -> Cluster:
    """Join the Ray cluster at `address`. Without an address, join the cluster that is found, or else start a local one.

    With `local`, always start a local one. If this process has already joined a cluster, use that one.

    Raises UnavailableError if no cluster answers at `address`.
    """
    if address is not None and _HOST_AND_PORT.fullmatch(address) and not listens(address):
        raise UnavailableError(_no_cluster(address, "nothing listens there"))  # Ray itself would try for minutes
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "NO_COLOR" in os.environ or not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    import ray  # only now, because Ray reads the settings above at import

    from workers.fleet.actor import RayCluster

    if ray.is_initialized():
        return RayCluster("the Ray of this process")
    if local:
        with sigterm_handler_kept():
            ray.init(
                address="local",
                num_cpus=max(2, os.cpu_count() or 1),
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False,
            )
        return RayCluster("a local Ray")
    try:
        with sigterm_handler_kept():
            ray.init(address=address or "auto", log_to_driver=True, logging_level=logging.ERROR)
    except ConnectionError as error:
        if address is not None:
            raise UnavailableError(_no_cluster(address, str(error))) from None
        return connect(None, local=True)
    return RayCluster(address or "the Ray cluster that was found")


def _no_cluster(address: str, reason: str) -> str:
    return f"no Ray cluster at {address}: {reason}. Start one with `ray start --head`."


@contextlib.contextmanager
def sigterm_handler_kept() -> Iterator[None]:
    """Put back the SIGTERM handler after the block. Ray installs its own handler, which would end the command before its drain.

    Only the main thread can set handlers; in other threads this does nothing. So if another thread joins Ray, the main thread
    must be in such a block until Ray is joined.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ours)


def needs_of(card: ModelCard, cluster: Cluster) -> Mapping[str, float]:
    """Return the resources that one worker of a model needs, the scarcest first.

    A worker needs a core. It also needs `num_gpus` GPUs, often a fraction, if its model can use a GPU and the cluster has any.
    """
    if card.engine == "stub" or card.device == "cpu" or not card.num_gpus or cluster.capacity().total("GPU") <= 0:
        return {"CPU": 1.0}
    return {"GPU": card.num_gpus, "CPU": 1.0}


def workers_per_lane(card: ModelCard, cluster: Cluster) -> int:
    """Return the default number of workers of a lane, at least 1.

    It is as many as the GPUs hold if the model runs on GPUs, else the number of cores less one.
    """
    capacity, gpus = cluster.capacity(), needs_of(card, cluster).get("GPU")
    if gpus is not None:
        return max(1, int(capacity.total("GPU") / gpus))
    return max(1, int(capacity.total("CPU")) - 1)
