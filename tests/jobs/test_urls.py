"""Shows jobs/urls.py, and that messages of a store hide its password."""

from pathlib import Path

import pytest

from jobs.errors import NightpressError
from jobs.store.opening import open_store
from jobs.urls import holds_secret, local_path, redacted, scheme


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("/a/b@c?d", "/a/b@c?d", id="a path"),
        pytest.param("s3://bucket/a@b/c", "s3://bucket/a@b/c", id="nothing to hide"),
        pytest.param("sftp://ann:s3cret@host/a", "sftp://ann:***@host/a", id="password"),
        pytest.param("https://t0ken@host/a?key=1", "https://***@host/a?***", id="token and query"),
        pytest.param("ftp://ann:p@ss@host", "ftp://ann:***@host", id="an at sign in it"),
        pytest.param("s3://key:se/cr/et@bucket/a", "s3://key:***@bucket/a", id="a slash in it"),
        pytest.param("hdfs://host:9000/a@b", "hdfs://host:9000/a@b", id="a port"),
    ],
)
def test_what_may_be_a_password_is_hidden(url: str, expected: str) -> None:
    assert redacted(url) == expected


def test_the_scheme_of_a_url_names_its_file_system() -> None:
    urls = ("s3://a/b", "s3a://a/b", "gcs://a/b", "https://a?b=s3://c", "/a/b", "a:b")
    assert [scheme(url) for url in urls] == ["s3", "s3", "gs", "https", "", ""]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("out/a.csv", Path("out/a.csv"), id="a path"),
        pytest.param("file:///data/a b.csv", Path("/data/a b.csv"), id="a URL of this machine"),
        pytest.param("s3://bucket/a.csv", None, id="a URL of another"),
    ],
)
def test_the_path_of_a_url_on_this_machine(url: str, path: Path | None) -> None:
    assert local_path(url) == path


def test_the_error_of_a_store_that_cannot_be_opened_hides_its_password() -> None:
    with pytest.raises(NightpressError) as raised:
        open_store("nosuch://ann:s3cret@host/a").list("batches")
    assert "nosuch://ann:***@host/a" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        *[
            pytest.param(url, True, id=url)
            for url in (
                "s3://key:secret@bucket/out/",
                "S3://K:S@b/x",
                "s3://k:s/with/slash@b/o",
                "s3://:secret@b/o",
                "sftp://bob%3Apw@host/a",
                "ftp://u:@h/x",
                "s3://b/o.jsonl?aws_secret_access_key=x",
                "az://c/o?sv=1&sig=abc",
                "s3://b/o?a%3Db",
                "gs://b/o#token=x",
                "simplecache::s3://k:s@b/o",
                "s3:/k:s@b/o",
                "file://u:p@h/x",
            )
        ],
        *[
            pytest.param(url, False, id=url)
            for url in (
                "s3://bucket/out/",
                "abfs://container@account.dfs.core.windows.net/p/",
                "sftp://bob@host:22/x",
                "hdfs://host:9000/x",
                "gs://b/what?/x",
                "s3://b/a#1.jsonl",
                "/tmp/out.jsonl",
                "./a?b=c",
                "a:b@c",
                "C:\\out",
            )
        ],
    ],
)
def test_a_secret_in_a_url_is_seen(url: str, holds: bool) -> None:
    assert holds_secret(url) is holds
