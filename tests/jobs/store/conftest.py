"""Fixtures for the tests of stores: the object stores of three clouds, each on a server of this machine."""

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.support.stores.servers import BUCKET, azure, google

KINDS = ["local", "s3", "gs", "az"]


def listening(port: int, until: Callable[..., Any]) -> Callable[[], object]:
    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    return lambda: until(answers, 60, "the server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def gs_options(until: Callable[..., Any]) -> Iterator[dict[str, str]]:
    """The options of a server of Google Cloud Storage that runs for the whole session, with one bucket."""
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # as our own code sets it
    port = free_port()
    with google(port, listening(port, until)) as options:
        yield options


@pytest.fixture(scope="session")
def az_options(until: Callable[..., Any]) -> Iterator[dict[str, str]]:
    """The options of a server of Azure Blob Storage that runs for the whole session, with one container."""
    port = free_port()
    with azure(port, listening(port, until)) as options:
        yield options


@pytest.fixture
def open_kind(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Store]:
    """Opens an empty store of a kind."""

    def opened(kind: str) -> Store:
        if kind == "local":
            return open_store(str(tmp_path / "store"))
        if kind == "memory":
            return open_store(f"memory://{uuid.uuid4().hex}")
        return open_store(f"{kind}://{BUCKET}/{uuid.uuid4().hex}", request.getfixturevalue(f"{kind}_options"))

    return opened


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, open_kind: Callable[[str], Store]) -> Store:
    """An empty store of each kind, also of the clouds that other tests leave out."""
    return open_kind(request.param)


@pytest.fixture(params=[*KINDS, "memory"])
def any_store(request: pytest.FixtureRequest, open_kind: Callable[[str], Store]) -> Store:
    """An empty store of each kind, and the memory of fsspec."""
    return open_kind(request.param)
