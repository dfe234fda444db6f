"""Shows jobs/urls.py, and that no message of a store tells its password."""

import pytest

from jobs.errors import NightpressError
from jobs.store.opening import open_store
from jobs.urls import redacted, scheme


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("/a/b@c?d", "/a/b@c?d", id="a path"),
        pytest.param("s3://bucket/a@b/c", "s3://bucket/a@b/c", id="nothing to hide"),
        pytest.param("sftp://ann:s3cret@host/a", "sftp://ann:***@host/a", id="password"),
        pytest.param("https://t0ken@host/a?key=1", "https://***@host/a?***", id="token and query"),
        pytest.param("ftp://ann:p@ss@host", "ftp://ann:***@host", id="an at sign in it"),
    ],
)
def test_what_may_be_a_password_is_hidden(place: str, said: str) -> None:
    assert redacted(place) == said


def test_which_file_system_a_place_is_of() -> None:
    places = ("s3://a/b", "s3a://a/b", "gcs://a/b", "https://a?b=s3://c", "/a/b", "a:b")
    assert [scheme(place) for place in places] == ["s3", "s3", "gs", "https", "", ""]


def test_a_store_that_is_not_there_does_not_tell_its_password() -> None:
    with pytest.raises(NightpressError) as raised:
        open_store("nosuch://ann:s3cret@host/a").list("batches")
    assert "nosuch://ann:***@host/a" in str(raised.value)
    assert "s3cret" not in str(raised.value)
