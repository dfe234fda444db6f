"""Shows jobs/store/services.py: what is done for Google's and Azure's storage alone. test_store.py shows the contract of stores.

Both run on servers of this machine, and the tests skip without them.
"""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog

from jobs.errors import StoreDeleteFailed, StoreTimeout, StoreUnavailable
from jobs.store import services
from jobs.store.opening import open_store
from jobs.store.remote_files import open_url, write_url
from jobs.store.store import Store
from tests.faults.storage.storage_faults import Proxy
from tests.support.stores.servers import BUCKET, Front

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")

URL = re.compile(r"http://127\.0\.0\.1:\d+")


def through(options: dict[str, str], url: str) -> dict[str, str]:
    """Return options of a server with another address in place of its own."""
    return {name: URL.sub(url, value) for name, value in options.items()}


def address(options: dict[str, str]) -> str:
    found = [match[0] for value in options.values() if (match := URL.search(value))]
    return found[0]


@pytest.fixture(params=["gs", "az"])
def cloud(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """The scheme of a cloud's storage, and the options of its server."""
    return request.param, request.getfixturevalue(f"{request.param}_options")


@pytest.mark.parametrize(
    "text", [b"a\n--==0==--\nb", b"--==0==", b"\r\n--==0==\r\n" * (300 << 10)], ids=["line", "all", "large"]
)
@pytest.mark.parametrize("how", ["create", "writer", "output"])
def test_a_text_is_kept_whole_whatever_stands_in_it(store: Store, how: str, text: bytes) -> None:
    """gcsfs sends small files between lines `--==0==`. A row's author must not be able to cut a file by writing one."""
    if how == "create":
        store.create("file", text)
    elif how == "writer":
        with store.writer("file") as file:
            file.write(text)
    else:
        with (
            write_url(f"{store.url}/file", getattr(store, "options", {}))
            if "://" in store.url
            else store.writer("file") as file
        ):
            file.write(text)
    assert store.read("file") == text


@pytest.mark.parametrize("operation", ["create", "writer", "read", "list", "delete"])
def test_a_cloud_that_never_answers_is_a_timeout(
    cloud: tuple[str, dict[str, str]], operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "ANSWER_S", 0.2)
    monkeypatch.setattr(services, "BETWEEN_S", 0.0)
    scheme, options = cloud
    proxy = Proxy.before(address(options))
    store = open_store(f"{scheme}://{BUCKET}/{uuid.uuid4().hex}", through(options, proxy.url))
    proxy.cut(silent=True)

    def written() -> None:
        with store.writer("file") as file:
            file.write(b"x")

    acts: dict[str, Callable[[], object]] = {
        "create": lambda: store.create("file", b"data"),
        "writer": written,
        "read": lambda: store.read("file"),
        "list": lambda: store.list("folder"),
        "delete": lambda: store.delete("file"),
    }
    with pytest.raises(StoreTimeout, match=r"cannot \w+ \w+: .*(?i:time)") as raised:
        acts[operation]()
    assert "\n" not in str(raised.value)
    asked_first = scheme == "az" and operation == "delete"  # whether the name is a file or a folder
    assert proxy.swallowed == services.TRIES * (2 if asked_first else 1)
    proxy.heal()
    monkeypatch.undo()  # a slow machine may take longer to answer
    store = open_store(store.url, store.options)
    assert store.create("file", b"later")
    assert store.read("file") == b"later"
    proxy.close()


def test_files_that_a_cloud_does_not_delete_are_named_and_the_night_goes_on(cloud: tuple[str, dict[str, str]]) -> None:
    scheme, options = cloud
    front = Front(urlsplit(address(options)).port or 0)
    with front.serving():
        url = f"http://127.0.0.1:{front.server_port}"
        store = open_store(f"{scheme}://{BUCKET}/{uuid.uuid4().hex}", through(options, url))
        for name in (names := [f"many/{n}" for n in range(5)]):
            store.create(name, b"x")
        front.refused = "DELETE"
        named = (
            r"cannot delete many/0, many/1, many/2 and 2 more: .+\. Give the credentials the right to delete \(.+\)$"
        )
        with pytest.raises(StoreDeleteFailed, match=named):
            store.delete("many")
        with pytest.raises(StoreDeleteFailed, match=named):
            store.delete_files(names)
        with structlog.testing.capture_logs() as logs:
            assert not store.discard(*names)
        assert [log["event"] for log in logs] == ["store.delete_failed"]
        assert store.list("many") == ["0", "1", "2", "3", "4"]
        front.refused = ""
        assert store.discard(*names)
        assert store.list("many") == []


@pytest.mark.parametrize("bucket", ["missing-bucket", "No.Such_Bucket!"])
def test_the_error_of_a_cloud_is_one_line(cloud: tuple[str, dict[str, str]], bucket: str) -> None:
    scheme, options = cloud
    store = open_store(f"{scheme}://{bucket}/x", options)
    with pytest.raises(StoreUnavailable, match=r"cannot (write|read) a: \w+") as raised:
        store.create("a", b"x")
    assert "\n" not in str(raised.value)


def test_a_key_that_is_not_the_account_s_is_refused_in_one_line(az_options: dict[str, str]) -> None:
    wrong = {"connection_string": re.sub(r"AccountKey=\w", "AccountKey=A", az_options["connection_string"])}
    with pytest.raises(StoreUnavailable, match=r"cannot (write|read) a: \w+") as raised:
        open_store(f"az://{BUCKET}/x", wrong).create("a", b"x")
    assert "\n" not in str(raised.value)


def test_files_go_to_urls_of_a_cloud_and_come_from_there(cloud: tuple[str, dict[str, str]]) -> None:
    scheme, options = cloud
    url = f"{scheme}://{BUCKET}/{uuid.uuid4().hex}/out.jsonl"
    for text in (b"one\n" * 10, b"two\n" * (2 << 20)):
        with write_url(url, options) as file:
            file.write(text)
        with open_url(url, options) as file:
            assert file.read(-1) == text


@pytest.mark.parametrize(
    ("url", "extra"),
    [("gs://bucket/x", "gcs"), ("gcs://bucket/x", "gcs"), ("az://c/x", "azure"), ("s3://bucket/x", "s3")],
)
def test_a_missing_package_is_named_with_its_extra(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("gcsfs", "gcsfs.core", "adlfs", "adlfs.spec", "aiohttp", "aiobotocore.session", "s3fs"):
        monkeypatch.setitem(sys.modules, package, None)
    for scheme in ("gs", "gcs", "az", "s3"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(StoreUnavailable, match=rf"pip install 'nightpress\[{extra}\]'"):
        open_store(url, {})


def test_azure_without_an_account_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs")
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreUnavailable, match=r"cannot use az://c/x: .*account_name"):
        open_store("az://c/x")


def test_a_store_of_a_cloud_travels_to_another_process(cloud: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    scheme, options = cloud
    url = f"{scheme}://{BUCKET}/{uuid.uuid4().hex}"
    open_store(url, options).create("a/b", b"x")
    program = (
        "import json, sys; from jobs.store.opening import open_store;"
        "store = open_store(sys.argv[1], json.loads(sys.argv[2]));"
        "print(store.list('a'), store.create('a/b', b'y'), store.create('a/c', b'z'))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, url, json.dumps(options)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert shown.stdout.split("\n")[0] == "['b'] False True"
