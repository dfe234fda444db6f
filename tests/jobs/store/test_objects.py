"""Shows jobs/store/objects.py and jobs/store/services.py: what only object stores do. test_store.py shows the contract of
all stores.
"""

import re
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import fsspec
import pytest
import structlog
from fsspec.implementations.memory import MemoryFileSystem

from jobs.errors import StoreDeleteFailed, StoreTimeout, StoreUnavailable
from jobs.store import objects, services
from jobs.store.objects import ObjectStore
from jobs.store.opening import open_store
from jobs.store.remote_files import open_url, write_url
from tests.faults.storage.storage_faults import Proxy


class Together(BaseHTTPRequestHandler):
    """A server that answers the first request only after as many requests have come as a store sends at once."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[threading.Barrier]

    def do_GET(self) -> None:
        self.asked.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_s3_gets_as_many_requests_at_once_as_reads_at_once_says() -> None:
    at_once = ObjectStore.reads_at_once
    Together.asked = threading.Barrier(at_once)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Together)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = {"endpoint_url": f"http://127.0.0.1:{server.server_port}", "key": "test", "secret": "test"}
    store = open_store("s3://bucket/x", options)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            assert set(pool.map(store.read, map(str, range(at_once)))) == {b"ok"}
    finally:
        server.shutdown()
        server.server_close()


def test_an_upload_in_parts_holds_few_parts_in_memory(
    s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PART_BYTES", 5 << 20)
    store = open_store(f"s3://nightpress/{uuid.uuid4().hex}", s3_options)
    store.create("first", b"x")  # only this call opens a connection
    under_way, most = 0, 0

    def count(change: int) -> None:
        nonlocal under_way, most
        under_way += change
        most = max(most, under_way)

    events = store._fs.s3.meta.events  # type: ignore[attr-defined]
    events.register("before-send.s3.UploadPart", lambda **_: count(1))
    events.register("response-received.s3.UploadPart", lambda **_: count(-1))
    with store.writer("large") as file:
        file.write(b"x" * (30 << 20))
    assert 1 < most <= services.PARTS_AT_ONCE
    assert store.size("large") == 30 << 20


def test_s3_deletes_a_thousand_files_with_one_request(s3_options: dict[str, str]) -> None:
    store, asked = open_store(f"s3://nightpress/{uuid.uuid4().hex}", s3_options), []
    names = [f"many/{n}" for n in range(1001)]
    for name in names[:3] + names[-3:]:
        store.create(name, b"x")
    file_system = store._fs  # type: ignore[attr-defined]
    file_system.s3.meta.events.register("before-send.s3", lambda request, **_: asked.append(request.url))
    store.delete_files(names)
    assert store.list("many") == []
    assert [url for url in asked if "delete" in url] == asked[:2]


def test_files_that_s3_did_not_delete_are_named_although_its_answer_is_200(s3_options: dict[str, str]) -> None:
    """`discard` logs the failure once, and logs it again if a deletion has worked in between."""
    proxy = Proxy.before(s3_options["endpoint_url"])
    store = open_store(f"s3://nightpress/{uuid.uuid4().hex}", {**s3_options, "endpoint_url": proxy.url})
    for name in (names := [f"many/{n}" for n in range(5)]):
        store.create(name, b"x")
    right = r"cannot delete many/0, many/1, many/2 and 2 more: AccessDenied\. Give the credentials .*s3:DeleteObject"
    proxy.keeps = True
    try:
        with pytest.raises(StoreDeleteFailed, match=right):
            store.delete_files(names)
        with pytest.raises(StoreDeleteFailed, match=right):
            store.delete("many")
        with structlog.testing.capture_logs() as logs:
            assert not store.discard(*names)
            assert not store.discard("many/3")
        assert [log["event"] for log in logs] == ["store.delete_failed"]
        assert re.search(right, logs[0]["error"])
        assert store.list("many") == ["0", "1", "2", "3", "4"]
        proxy.keeps = False
        assert store.discard("many/3")
        assert store.list("many") == ["0", "1", "2", "4"]
        proxy.keeps = True
        with structlog.testing.capture_logs() as logs:
            assert not store.discard("many/4")
        assert len(logs) == 1
    finally:
        proxy.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "operation", ["create", "writer", "in parts", "read", "list", "delete", "to a URL", "from a URL"]
)
def test_an_s3_that_never_answers_is_a_timeout(
    operation: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write is sent whole at once. With `Expect: 100-continue` it would wait for ever."""
    from s3fs import S3FileSystem

    monkeypatch.setattr(S3FileSystem, "read_timeout", 0.2)
    proxy = Proxy.before(s3_options["endpoint_url"])
    options = {**s3_options, "endpoint_url": proxy.url}
    store = open_store(f"s3://nightpress/{uuid.uuid4().hex}", options)
    proxy.cut(silent=True)

    def delivered() -> None:
        with write_url(f"{store.url}/out", options) as file:
            file.write(b"data")

    def taken_in() -> None:
        with open_url(f"{store.url}/in", options):
            pass

    def written(size: int) -> None:
        with store.writer("file") as file:
            file.write(b"x" * size)

    acts: dict[str, Callable[[], object]] = {
        "create": lambda: store.create("file", b"data"),
        "writer": lambda: written(4),
        "in parts": lambda: written(2 * services.PART_BYTES + 1),
        "read": lambda: store.read("file"),
        "list": lambda: store.list("folder"),
        "delete": lambda: store.delete("file"),
        "to a URL": delivered,
        "from a URL": taken_in,
    }
    with pytest.raises(StoreUnavailable if "URL" in operation else StoreTimeout, match="Read timeout"):
        acts[operation]()
    assert proxy.swallowed == services.TRIES ** (2 if operation == "read" else 1)
    proxy.heal()
    assert store.create("file", b"later")
    assert store.read("file") == b"later"
    proxy.close()


class Unanswered(MemoryFileSystem):  # type: ignore[misc]
    """A file system that carries out each write, and loses the reply."""

    protocol = "unanswered"
    store: ClassVar[dict[str, Any]] = {}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value, mode=mode, **kwargs)
        raise TimeoutError("no reply")

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        super().put_file(lpath, rpath, mode=mode, **kwargs)
        raise TimeoutError("no reply")


def test_after_a_lost_reply_the_file_is_read_back() -> None:
    fsspec.register_implementation("unanswered", Unanswered, clobber=True)
    store = open_store("unanswered://here")
    assert store.create("file", b"mine")
    assert not store.create("file", b"yours")
    with store.writer("streamed") as file:
        file.write(b"whole")
    assert store.read("streamed") == b"whole"


class Contended(MemoryFileSystem):  # type: ignore[misc]
    """A file system that answers 409 a few times before it writes."""

    protocol = "contended"
    store: ClassVar[dict[str, Any]] = {}
    answers = 0

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if Contended.answers > 0:
            Contended.answers -= 1
            raise OSError("ConditionalRequestConflict")
        super().pipe_file(path, value, mode=mode, **kwargs)


def test_a_conflict_is_tried_again() -> None:
    fsspec.register_implementation("contended", Contended, clobber=True)
    store = open_store("contended://here")
    Contended.answers = objects.CONFLICT_TRIES - 1
    assert store.create("file", b"mine")
    Contended.answers = objects.CONFLICT_TRIES
    with pytest.raises(StoreUnavailable, match="stay in conflict"):
        store.create("other", b"mine")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("nosuch://bucket/x", "Protocol not known", id="unknown protocol"),
        pytest.param("s3://missing-bucket/x", "cannot write a", id="no such bucket"),
    ],
)
def test_the_error_of_a_service_is_one_line(url: str, message: str, s3_options: dict[str, str]) -> None:
    with pytest.raises(StoreUnavailable, match=message) as raised:
        open_store(url, s3_options).create("a", b"x")
    assert "\n" not in str(raised.value)


def test_an_s3_without_a_server_raises_store_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = {"endpoint_url": "http://127.0.0.1:9", "key": "test", "secret": "test"}
    with pytest.raises(StoreUnavailable, match="cannot list"):
        open_store("s3://bucket/x", options).list("a")
