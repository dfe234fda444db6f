"""Joins a Ray cluster: the one at an address, the one that is found, or a local one.

`workers/fleet/handles.py` says what a fleet asks of a cluster; `workers/fleet/actor.py` implements that with Ray. Ray is imported
only when a cluster is joined, since importing it takes a second.
"""

import contextlib
import importlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from jobs import logs
from jobs.catalog import ModelCard
from jobs.errors import UnavailableError
from jobs.logs import logger
from workers.fleet.handles import Capacity, Cluster
from workers.fleet.nodes.needs import Node, needs, room_for
from workers.fleet.ray_access import START, found_address, require_token, use_private_token
from workers.logs import libraries

_HOST_AND_PORT: Final = re.compile(r"[^/]+:\d+")


def connect(address: str | None, *, local: bool = False, grows_to: Mapping[str, float] | None = None) -> Cluster:
    """Join the Ray cluster at `address`. Without an address, join the cluster that is found, or else start a local one.

    The address `auto` means a cluster that is found. The flag `local`, or the address `local`, always starts one. If this
    process has joined a cluster already, that cluster is used. `grows_to` says which resources a cluster may grow to.

    Raises UnavailableError if no cluster answers at `address`, if the cluster takes in clients without a token, or if Ray does
    not start.
    """
    _set_variables()
    import ray  # only now, because Ray reads these variables at import

    from workers.fleet.actor import RayCluster

    if ray.is_initialized():
        return RayCluster("the Ray of this process", is_private=address is None, grows_to=grows_to)
    address = None if local else chosen_address(address)
    with sigterm_handler_kept(), _one_line(address):
        if address is None:
            use_private_token()
            read_token_again()
            ray.init(
                address="local",
                num_cpus=max(2, os.cpu_count() or 1),
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False,
            )
        else:
            require_token(address)
            read_token_again()
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    ray._private.worker.print_to_stdstream = _ray_says  # noqa: SLF001 - Ray would print it on standard output, in colours
    if logs.is_json():
        libraries.give_up_handlers("ray")
    if address is None:
        return RayCluster("a local Ray of its own", is_private=True)
    return RayCluster(address, grows_to=grows_to)


def _set_variables() -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    if "NO_COLOR" in os.environ or not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")


def read_token_again() -> None:
    """Make Ray read its environment variables again. Otherwise it uses the values that it read at import, or for an earlier
    cluster.
    """
    raylet: Any = importlib.import_module("ray._raylet")
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


def leave() -> None:
    """Leave the cluster that this process has joined."""
    import ray

    ray.shutdown()


def chosen_address(address: str | None) -> str | None:
    """Return the address of the cluster that `connect` joins; None if it starts a local one.

    Raises UnavailableError if the address is `auto` and no cluster is found, or if it has another form than `host:port`.
    """
    found = found_address() if address in (None, "auto") else address
    if found == "local":
        return None
    if found is None and address == "auto":
        raise UnavailableError(
            f"no Ray cluster runs on this machine. Start one with `{START}`, or join one with its --address."
        )
    if found is not None and not _HOST_AND_PORT.fullmatch(found):
        raise UnavailableError(
            f"no Ray cluster at {found}: that is no address. Give host:port, as `ray start --head` prints it."
        )
    return found


@contextlib.contextmanager
def _one_line(address: str | None) -> Iterator[None]:
    """Raise UnavailableError, with a message of one line, for any error that `ray.init` raises."""
    where = "a local Ray does not start" if address is None else f"the Ray cluster at {address} cannot be joined"
    try:
        yield
    except UnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 - Ray raises plain Exception, RuntimeError, ValueError, OSError and its own
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise UnavailableError(f"{where}: {reason.rstrip('.')}. {_remedy(address)}") from None


def _remedy(address: str | None) -> str:
    if address is None:
        return "On a busy machine, try again; else look into /tmp/ray/session_latest/logs."
    return f"On this machine a node must run: `RAY_AUTH_MODE=token ray start --address={address}`."


def _ray_says(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
    """Log a message of Ray about the cluster, such as that a node died."""
    del ignore_prefix
    for text in data.get("lines", ()):
        logger().warning("ray.printed", text=" ".join(str(text).split()))


@contextlib.contextmanager
def sigterm_handler_kept() -> Iterator[Callable[[], None]]:
    """Put back the SIGTERM handler after the block. Ray installs its own handler, which would end the command before its drain.

    The block gets a function that puts the handler back at once. Only the main thread can set handlers; in other threads this
    does nothing. So if another thread joins Ray, the main thread must stay in such a block until Ray is joined.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    ours = signal.getsignal(signal.SIGTERM)

    def keep() -> None:
        signal.signal(signal.SIGTERM, ours)

    try:
        yield keep
    finally:
        keep()


def needs_of(card: ModelCard, cluster: Cluster) -> Mapping[str, float]:
    """Return the resources that one worker of a model needs, the scarcest first.

    A worker needs a core. It also needs its GPUs, often a share of one, if its model can use a GPU and the cluster has any.
    """
    capacity = cluster.capacity()
    return needs(card, nodes_of(capacity), may_grow=capacity.grown.get("GPU", 0.0) > 0)


def workers_that_fit(needed: Mapping[str, float], capacity: Capacity) -> int | None:
    """Return how many workers with these needs the empty nodes hold; None if the cluster can grow by further nodes."""
    return None if capacity.grown else sum(room_for(needed, node) for node in nodes_of(capacity))


def nodes_of(capacity: Capacity) -> list[Node]:
    """Return the nodes of a cluster with their labels."""
    labels = capacity.labels or [{}] * len(capacity.nodes)
    return [Node(resources, label) for resources, label in zip(capacity.nodes, labels, strict=True)]
