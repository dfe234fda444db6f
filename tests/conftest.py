"""The stores that tests run over: a local folder, and an S3 server of our own on a free port."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from jobs.storage import Store

BUCKET = "nightpress"


@pytest.fixture(scope="session")
def s3_options() -> Iterator[dict[str, str]]:
    """The options of an S3 server that runs for the whole session, with one bucket."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "test", "secret": "test"}
    fsspec.filesystem("s3", **options).mkdir(BUCKET)
    yield options
    server.stop()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return Store.open(str(tmp_path / "store"))
    return Store.open(f"s3://{BUCKET}/{uuid.uuid4().hex}", request.getfixturevalue("s3_options"))
