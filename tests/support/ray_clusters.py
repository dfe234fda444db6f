"""Ray clusters for tests. They ask for a token, as the clusters of users do."""

import contextlib
import os
from collections.abc import Iterator, MutableMapping
from typing import Any

from ray.cluster_utils import Cluster

from workers.fleet import ray_access
from workers.fleet.cluster import read_token_again

VARIABLES = (ray_access.MODE, ray_access.TOKEN, ray_access.TOKEN_PATH)


@contextlib.contextmanager
def ray_cluster(env: MutableMapping[str, str], **head: Any) -> Iterator[Cluster]:
    """Start a cluster with a head. Commands that run with `env` have the cluster's token."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    ray_access.use_private_token()
    read_token_again()
    env.update({name: os.environ[name] for name in VARIABLES[:2]})
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **head})
    try:
        yield cluster
    finally:
        cluster.shutdown()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        read_token_again()
