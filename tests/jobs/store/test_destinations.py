"""Shows jobs/store/destinations.py: which places are of this machine, and that a file appears there whole or not at all."""

from pathlib import Path

import fsspec
import pytest

from jobs.errors import RequestError
from jobs.store.destinations import file_in, is_folder, write_destination
from jobs.urls import local_path


@pytest.mark.parametrize(
    ("place", "path"),
    [
        pytest.param("out/a.csv", Path("out/a.csv"), id="a path"),
        pytest.param("file:///data/a b.csv", Path("/data/a b.csv"), id="a URL of this machine"),
        pytest.param("s3://bucket/a.csv", None, id="a URL of another"),
    ],
)
def test_which_places_are_of_this_machine(place: str, path: Path | None) -> None:
    assert local_path(place) == path


def test_what_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert [is_folder(place) for place in (str(tmp_path), f"file://{tmp_path}", "s3://bucket/a/", "new/")] == [True] * 4
    assert [is_folder(place) for place in (f"{tmp_path}/file", f"{tmp_path}/new", "s3://bucket/a")] == [False] * 3


@pytest.mark.parametrize(
    ("place", "file"),
    [
        pytest.param("out", "out/a", id="a folder"),
        pytest.param("out/", "out/a", id="with its slash"),
        pytest.param("/", "/a", id="the root"),
        pytest.param("s3://bucket/x/", "s3://bucket/x/a", id="a URL"),
    ],
)
def test_a_file_in_a_folder(place: str, file: str) -> None:
    assert file_in(place, "a") == file


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, scheme: str) -> None:
    place = f"{scheme}{tmp_path}/new/file"
    with write_destination(place, {}, with_folders=True) as file:
        file.write(b"old")
    with pytest.raises(ZeroDivisionError), write_destination(place, {}) as file:
        file.write(b"%d" % (1 // 0))
    with fsspec.open(place) as read:
        assert read.read() == b"old"
    if scheme != "memory://":
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), write_destination(str(tmp_path / "none" / "file"), {}):
        pass
    with (
        pytest.raises(RequestError, match="cannot write nowhere://a: nothing here writes to such URLs"),
        write_destination("nowhere://a", {}),
    ):
        pass
