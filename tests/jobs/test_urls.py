"""Shows jobs/urls.py, and that messages of a store hide its password."""

from pathlib import Path

import pytest

from jobs.errors import NightpressError
from jobs.store.opening import open_store
from jobs.urls import local_path, redacted, scheme


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("/a/b@c?d", "/a/b@c?d", id="a path"),
        pytest.param("s3://bucket/a@b/c", "s3://bucket/a@b/c", id="nothing to hide"),
        pytest.param("sftp://ann:s3cret@host/a", "sftp://ann:***@host/a", id="password"),
        pytest.param("https://t0ken@host/a?key=1", "https://***@host/a?***", id="token and query"),
        pytest.param("ftp://ann:p@ss@host", "ftp://ann:***@host", id="an at sign in it"),
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
