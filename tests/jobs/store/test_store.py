"""Shows jobs/store/store.py and jobs/store/objects.py: one contract over a folder, an S3 server and fsspec's memory."""

import errno
import os
import pickle
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
import structlog
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from jobs.errors import RequestError, StoreDeleteFailed, StoreTimeout, StoreUnavailable
from jobs.store import objects as object_storage
from jobs.store.local import LocalStore
from jobs.store.objects import ObjectStore, open_url, write_url
from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.faults.storage_faults import Proxy


@pytest.fixture(params=["local", "s3", "memory"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "local":
            return open_store(str(tmp_path / "store"))
        case "s3":
            return open_store(f"s3://nightpress/{uuid.uuid4().hex}", request.getfixturevalue("s3_options"))
        case _:
            return open_store(f"memory://{uuid.uuid4().hex}")


@pytest.mark.parametrize("first", [b"one", b""], ids=["bytes", "empty"])
@pytest.mark.parametrize("second", [b"two", b""], ids=["then bytes", "then empty"])
def test_create_never_overwrites(any_store: Store, first: bytes, second: bytes) -> None:
    assert any_store.create("a/b/file", first)
    assert any_store.create("a/b/file", second) == (first == second)
    assert any_store.read("a/b/file") == first


def test_of_two_writers_of_one_name_exactly_one_wins(store: Store) -> None:
    writers = 8
    barrier = threading.Barrier(writers)

    def write(n: int) -> bool:
        barrier.wait()
        return store.create("race/file", b"writer %d" % n)

    with ThreadPoolExecutor(writers) as pool:
        won = list(pool.map(write, range(writers)))
    assert won.count(True) == 1
    assert store.read("race/file") == b"writer %d" % won.index(True)


def test_writers_of_the_same_bytes_both_succeed(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: store.create("race/same", b"same"), range(4)))


def test_what_is_missing(any_store: Store) -> None:
    assert not any_store.exists("no/file")
    assert any_store.list("no") == []
    any_store.delete("no/file")
    for ask in (any_store.read, any_store.size, lambda path: any_store.read_range(path, 0, 1)):
        with pytest.raises(KeyError, match="no/file"):
            ask("no/file")
    with pytest.raises(KeyError, match="no/file"), any_store.reader("no/file"):
        pass


def test_list_gives_names_sorted_and_hides_dotted_ones(any_store: Store) -> None:
    for path in ("top/b", "top/a", "top/folder/deep/file", "top/.hidden", "topping"):
        any_store.create(path, b"x")
    assert any_store.list("top") == ["a", "b", "folder"]
    assert any_store.list("top/folder") == ["deep"]
    assert any_store.list("top/a") == [] or isinstance(any_store, LocalStore)


def test_list_sees_what_another_process_just_made(store: Store) -> None:
    other = pickle.loads(pickle.dumps(store))
    assert store.list("folder") == []
    other.create("folder/new", b"x")
    assert store.list("folder") == ["new"]
    assert store.exists("folder/new")
    other.delete("folder/new")
    assert store.list("folder") == []
    assert not store.exists("folder/new")


@pytest.mark.parametrize(
    ("offset", "length", "wanted"),
    [
        pytest.param(0, 4, b"0123", id="start"),
        pytest.param(3, 4, b"3456", id="middle"),
        pytest.param(8, 100, b"89", id="over the end"),
        pytest.param(10, 5, b"", id="at the end"),
        pytest.param(99, 5, b"", id="behind the end"),
        pytest.param(2, 0, b"", id="nothing"),
    ],
)
def test_read_range(any_store: Store, offset: int, length: int, wanted: bytes) -> None:
    any_store.create("file", b"0123456789")
    assert any_store.read_range("file", offset, length) == wanted


def test_reader_iterates_lines_and_seeks(any_store: Store) -> None:
    lines = [b"line %d\n" % n for n in range(1000)]
    any_store.create("lines", b"".join(lines))
    with any_store.reader("lines") as file:
        assert list(file) == lines
        file.seek(len(lines[0]))
        assert file.readline() == lines[1]
        file.seek(-len(lines[-1]), os.SEEK_END)
        assert file.read() == lines[-1]


@pytest.mark.parametrize("size", [0, 10, 33 << 20], ids=["empty", "small", "in parts"])
def test_writer_makes_a_whole_file(any_store: Store, size: int) -> None:
    data = b"x" * size
    with any_store.writer("folder/file") as file:
        file.write(data)
        assert not any_store.exists("folder/file")
    assert any_store.size("folder/file") == size
    with any_store.writer("folder/file") as file:
        file.write(data + b"other")
    assert any_store.size("folder/file") == size
    assert any_store.list("folder") == ["file"]


def test_a_writer_that_fails_leaves_nothing(any_store: Store) -> None:
    def fail() -> None:
        with any_store.writer("folder/file") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any_store.exists("folder/file")
    assert any_store.list("folder") == []


@pytest.mark.parametrize("size", [10, 33 << 20], ids=["one request", "in parts"])
def test_create_on_s3_is_conditional_for_every_size(store: Store, size: int) -> None:
    assert store.create("file", b"a" * size)
    assert not store.create("file", b"b" * size)
    assert store.read_range("file", size - 2, 2) == b"aa"


def test_delete_takes_a_folder_with_all_that_it_holds(any_store: Store) -> None:
    for path in ("gone/a", "gone/deep/b", "kept/a"):
        any_store.create(path, b"x")
    any_store.delete("gone")
    any_store.delete("kept/missing")
    assert not any_store.exists("gone/deep/b")
    assert any_store.list("gone") == []
    assert any_store.list("kept") == ["a"]


def test_many_files_go_at_once_and_missing_ones_are_fine(any_store: Store) -> None:
    for n in range(6):
        any_store.create(f"many/{n}", b"x")
    any_store.create("many/deep/file", b"x")
    any_store.delete_files([])
    any_store.delete_files(["many/0", "many/missing", "many/2", "gone/too", "many/5"])
    assert any_store.list("many") == ["1", "3", "4", "deep"]
    assert any_store.list("many/deep") == ["file"]


def test_a_name_is_taken_as_it_is_written(any_store: Store) -> None:
    for name in ("b*", "bb", "c[1]/file", "c1/file"):
        any_store.create(f"odd/{name}", b"x")
    any_store.delete("odd/b*")
    any_store.delete("odd/c[1]")
    assert any_store.list("odd") == ["bb", "c1"]
    for name in ("d*", "dd"):
        any_store.create(f"odd/{name}", b"x")
    any_store.delete_files(["odd/d*"])
    assert any_store.list("odd") == ["bb", "c1", "dd"]


class Together(BaseHTTPRequestHandler):
    """Answers nobody before as many have asked as a store asks at once."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[threading.Barrier]

    def do_GET(self) -> None:
        self.asked.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_s3_is_asked_for_as_many_files_at_once_as_are_worth_it() -> None:
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


def test_an_upload_in_parts_has_few_of_them_in_memory(
    s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_storage, "PART_BYTES", 5 << 20)
    store = open_store(f"s3://nightpress/{uuid.uuid4().hex}", s3_options)
    store.create("first", b"x")  # it connects now
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
    assert 1 < most <= object_storage.PARTS_AT_ONCE
    assert store.size("large") == 30 << 20


def test_s3_takes_a_thousand_names_with_one_request(s3_options: dict[str, str]) -> None:
    store, asked = open_store(f"s3://nightpress/{uuid.uuid4().hex}", s3_options), []
    names = [f"many/{n}" for n in range(1001)]
    for name in names[:3] + names[-3:]:
        store.create(name, b"x")
    file_system = store._fs  # type: ignore[attr-defined]
    file_system.s3.meta.events.register("before-send.s3", lambda request, **_: asked.append(request.url))
    store.delete_files(names)
    assert store.list("many") == []
    assert [url for url in asked if "delete" in url] == asked[:2]


def test_files_that_s3_does_not_delete_are_named_although_it_answers_well(s3_options: dict[str, str]) -> None:
    """Of what nobody needs it is said once, and again when it had gone well meanwhile."""
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
def test_an_s3_that_takes_everything_and_answers_nothing_is_told(
    operation: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write is sent at once, too: one that first waits to be told to go on would wait for ever."""
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
        "in parts": lambda: written(2 * object_storage.PART_BYTES + 1),
        "read": lambda: store.read("file"),
        "list": lambda: store.list("folder"),
        "delete": lambda: store.delete("file"),
        "to a URL": delivered,
        "from a URL": taken_in,
    }
    with pytest.raises(StoreUnavailable if "URL" in operation else StoreTimeout, match="Read timeout"):
        acts[operation]()
    assert proxy.swallowed == object_storage.TRIES ** (2 if operation == "read" else 1)
    proxy.heal()
    assert store.create("file", b"later")
    assert store.read("file") == b"later"
    proxy.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_files_of_a_folder_that_may_not_be_written_stay(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.create("folder/file", b"x")
    (tmp_path / "folder").chmod(0o500)
    try:
        with pytest.raises(StoreDeleteFailed, match="cannot delete folder/file: Permission denied"):
            store.delete("folder/file")
    finally:
        (tmp_path / "folder").chmod(0o700)


def test_check_passes_and_leaves_nothing(store: Store) -> None:
    store.check()
    assert store.list("check") == []


class Forgetful(MemoryFileSystem):  # type: ignore[misc]
    """A file system that says yes to `mode="create"` and overwrites all the same."""

    protocol = "forgetful"
    store: ClassVar[dict[str, Any]] = {}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value, mode="overwrite", **kwargs)


class ForgetfulOfEmpty(MemoryFileSystem):  # type: ignore[misc]
    """One that does so where there is nothing to write."""

    protocol = "forgetful-of-empty"
    store: ClassVar[dict[str, Any]] = {}
    one_at_a_time: ClassVar[threading.Lock] = threading.Lock()

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        with self.one_at_a_time:
            super().pipe_file(path, value, mode=mode if value else "overwrite", **kwargs)


@pytest.mark.parametrize(
    ("system", "why"),
    [
        pytest.param(Forgetful, "two writers of one name did not end", id="both writers succeed"),
        pytest.param(ForgetfulOfEmpty, "it lets an empty file replace another", id="an empty file replaces another"),
    ],
)
def test_check_refuses_a_store_that_overwrites(system: type[MemoryFileSystem], why: str) -> None:
    fsspec.register_implementation(system.protocol, system, clobber=True)
    with pytest.raises(StoreUnavailable, match=rf"cannot be used: {why}.*Use a local disk"):
        open_store(f"{system.protocol}://here").check()


class Unanswered(MemoryFileSystem):  # type: ignore[misc]
    """A file system that takes each write and loses the reply."""

    protocol = "unanswered"
    store: ClassVar[dict[str, Any]] = {}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value, mode=mode, **kwargs)
        raise TimeoutError("no reply")

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        super().put_file(lpath, rpath, mode=mode, **kwargs)
        raise TimeoutError("no reply")


def test_a_lost_reply_is_settled_by_reading_back() -> None:
    fsspec.register_implementation("unanswered", Unanswered, clobber=True)
    store = open_store("unanswered://here")
    assert store.create("file", b"mine")
    assert not store.create("file", b"yours")
    with store.writer("streamed") as file:
        file.write(b"whole")
    assert store.read("streamed") == b"whole"


class Contended(MemoryFileSystem):  # type: ignore[misc]
    """A file system that answers 409 some times before it writes."""

    protocol = "contended"
    store: ClassVar[dict[str, Any]] = {}
    answers = 0

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if Contended.answers > 0:
            Contended.answers -= 1
            raise OSError("ConditionalRequestConflict")
        super().pipe_file(path, value, mode=mode, **kwargs)


def test_a_conflict_is_asked_again() -> None:
    fsspec.register_implementation("contended", Contended, clobber=True)
    store = open_store("contended://here")
    Contended.answers = object_storage.CONFLICT_TRIES - 1
    assert store.create("file", b"mine")
    Contended.answers = object_storage.CONFLICT_TRIES
    with pytest.raises(StoreUnavailable, match="stay in conflict"):
        store.create("other", b"mine")


def test_a_crash_between_the_temporary_file_and_its_link_leaves_nothing_visible(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    program = (
        "import os, sys; from jobs.store.local import LocalStore; os.link = lambda *a: os._exit(9);"
        "LocalStore(sys.argv[1]).create('folder/file', b'half')"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert ended.returncode == 9
    assert len(list((tmp_path / "folder").iterdir())) == 1
    assert store.list("folder") == []
    assert not store.exists("folder/file")
    assert store.create("folder/file", b"whole")
    assert store.read("folder/file") == b"whole"


def test_local_writes_leave_no_temporary_file(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.create("folder/file", b"one")
    store.create("folder/file", b"two")
    with store.writer("folder/file") as file:
        file.write(b"three")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_local_create_is_durable_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    link, fsync = os.link, os.fsync

    def synced(descriptor: int) -> None:
        calls.append("fsync folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "fsync file")
        fsync(descriptor)

    def linked(source: Path, target: Path) -> None:
        calls.append("link")
        link(source, target)

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    LocalStore(str(tmp_path)).create("folder/file", b"x")
    assert calls == ["fsync file", "link", "fsync folder"]


def test_faults_of_a_disk_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a file, and no folder")
    store = open_store(str(tmp_path / "file"))
    with pytest.raises(StoreUnavailable, match=r"cannot write .*: Not a directory") as raised:
        store.create("a", b"x")
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    store = LocalStore(str(tmp_path))
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        store.create("file", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("nosuch://bucket/x", "Protocol not known", id="unknown protocol"),
        pytest.param("s3://missing-bucket/x", "cannot write a", id="no such bucket"),
    ],
)
def test_faults_of_a_service_are_one_line(url: str, message: str, s3_options: dict[str, str]) -> None:
    with pytest.raises(StoreUnavailable, match=message) as raised:
        open_store(url, s3_options).create("a", b"x")
    assert "\n" not in str(raised.value)


def test_s3_without_a_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = {"endpoint_url": "http://127.0.0.1:9", "key": "test", "secret": "test"}
    with pytest.raises(StoreUnavailable, match="cannot list"):
        open_store("s3://bucket/x", options).list("a")


def test_a_url_without_a_server_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = {"endpoint_url": "http://127.0.0.1:9", "key": "test", "secret": "test"}
    with pytest.raises(StoreUnavailable, match="cannot read s3://bucket/x"), open_url("s3://bucket/x", options):
        pass
    with pytest.raises(StoreUnavailable, match="cannot write s3://bucket/x"), write_url("s3://bucket/x", options):
        pass


def test_a_file_system_of_a_url_may_raise_what_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreUnavailable, match="cannot use dir://a/b: "), open_url("dir://a/b", {}):
        pass
    with write_url("memory://strange/file", {}) as target:
        target.write(b"x")

    def refuse(*_: object) -> None:
        raise NotImplementedError

    with open_url("memory://strange/file", {}) as file:
        monkeypatch.setattr(MemoryFile, "read", refuse)
        with pytest.raises(StoreUnavailable, match="file to its end: NotImplementedError"):
            file.read(1)
    monkeypatch.setattr(MemoryFileSystem, "_open", refuse)
    with pytest.raises(StoreUnavailable, match="cannot write memory://a: "), write_url("memory://a", {}):
        pass


def test_what_cannot_be_written_to_is_refused_before_anything_is_made() -> None:
    refused = pytest.raises(RequestError, match=r"cannot write https://a/b\?\*\*\*: nothing here writes")
    with refused, write_url("https://a/b?c=d", {}):
        pytest.fail("it was made")


def test_a_url_that_ends_early_is_told(s3_options: dict[str, str]) -> None:
    store = open_store("s3://nightpress/ends", s3_options)
    store.create("early", b"x" * 100_000)
    with open_url("s3://nightpress/ends/early", s3_options) as file:
        store.delete("early")
        with pytest.raises(StoreUnavailable, match="early to its end"):
            file.read(100_000)


def test_a_local_store_loads_no_fsspec() -> None:
    program = (
        "import sys; from jobs.store.opening import open_store; open_store('x'); sys.exit('fsspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_local_folder_that_is_moved_away_is_not_an_empty_one(tmp_path: Path) -> None:
    """Nothing is made in its place, and all is there when it is back."""
    store = open_store(str(tmp_path / "store"))
    assert store.list("batches") == []
    store.create("batches/b/batch.json", b"{}")
    (tmp_path / "store").rename(tmp_path / "away")
    for act in (
        lambda: store.list("batches"),
        lambda: store.read("batches/b/batch.json"),
        lambda: store.exists("batches/b/batch.json"),
        lambda: store.create("batches/c/batch.json", b"{}"),
    ):
        with pytest.raises(StoreUnavailable, match="is gone: put it back"):
            act()
    assert not (tmp_path / "store").exists()
    (tmp_path / "away").rename(tmp_path / "store")
    assert store.list("batches") == ["b"]


def test_a_disk_that_turns_read_only_in_the_middle_of_a_write_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then what was begun cannot be cleared away either, which must not stand in place of the fault itself."""
    store = open_store(str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StoreUnavailable, match="Read-only file system"):
        store.create("a/b", b"x")
    assert store.list("a") == []
