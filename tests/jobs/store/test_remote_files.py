"""Shows jobs/store/remote_files.py: files at URLs, and the errors of their file systems."""

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from jobs.errors import RequestError, StoreUnavailable
from jobs.store.opening import open_store
from jobs.store.remote_files import open_url, write_url


def test_a_url_whose_server_is_away_raises_store_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = {"endpoint_url": "http://127.0.0.1:9", "key": "test", "secret": "test"}
    with pytest.raises(StoreUnavailable, match="cannot read s3://bucket/x"), open_url("s3://bucket/x", options):
        pass
    with pytest.raises(StoreUnavailable, match="cannot write s3://bucket/x"), write_url("s3://bucket/x", options):
        pass


def test_any_error_of_a_file_system_becomes_store_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_url_that_cannot_be_written_is_refused_before_the_file_is_made() -> None:
    refused = pytest.raises(RequestError, match=r"cannot write https://a/b\?\*\*\*: such URLs are read-only")
    with refused, write_url("https://a/b?c=d", {}):
        pytest.fail("it was made")


def test_a_file_that_ends_early_is_an_error(s3_options: dict[str, str]) -> None:
    store = open_store("s3://nightpress/ends", s3_options)
    store.create("early", b"x" * 100_000)
    with open_url("s3://nightpress/ends/early", s3_options) as file:
        store.delete("early")
        with pytest.raises(StoreUnavailable, match="early to its end"):
            file.read(100_000)
