"""Shows jobs/store/destinations.py: a file appears at a path or URL as a whole, or not at all."""

from pathlib import Path

import fsspec
import pytest

from jobs.errors import RequestError
from jobs.store.destinations import FolderDestination, file_in, is_folder, replace_file, write_destination


def test_a_trailing_slash_or_a_folder_of_this_machine_means_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert [is_folder(url) for url in (str(tmp_path), f"file://{tmp_path}", "s3://bucket/a/", "new/")] == [True] * 4
    assert [is_folder(url) for url in (f"{tmp_path}/file", f"{tmp_path}/new", "s3://bucket/a")] == [False] * 3


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        pytest.param("out", "out/a", id="a folder"),
        pytest.param("out/", "out/a", id="with its slash"),
        pytest.param("/", "/a", id="the root"),
        pytest.param("s3://bucket/x/", "s3://bucket/x/a", id="a URL"),
    ],
)
def test_the_path_or_url_of_a_file_in_a_folder(folder: str, file: str) -> None:
    assert file_in(folder, "a") == file


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}{tmp_path}/new/file"
    with write_destination(url, {}, with_folders=True) as file:
        file.write(b"old")
    with pytest.raises(ZeroDivisionError), write_destination(url, {}) as file:
        file.write(b"%d" % (1 // 0))
    with fsspec.open(url) as read:
        assert read.read() == b"old"
    if scheme != "memory://":
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_destination_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), write_destination(str(tmp_path / "none" / "file"), {}):
        pass
    with (
        pytest.raises(RequestError, match="cannot write nowhere://a: such URLs are read-only or unknown"),
        write_destination("nowhere://a", {}),
    ):
        pass


def test_a_file_replaces_another_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120)  # this name is as long as a name can be
    path.write_bytes(b"old")
    with replace_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replace_file(path) as file:
        file.write(b"%d" % (1 // 0))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replace_file(path) as one, replace_file(path) as other:
        one.write(b"1" * 9)
        other.write(b"2")
    assert path.read_bytes() == b"1" * 9


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "nowhere" / "file"):
        pass


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_files_of_a_folder_appear_whole_and_replace_others(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}{tmp_path}/new/folder"
    folder = FolderDestination(url, {})
    for name, data in (("a", b"1"), ("b", b""), ("a", b"2")):
        folder.write(name, data)
    with fsspec.open(f"{url}/a" if scheme else f"file://{url}/a") as file:
        assert file.read() == b"2"
    if scheme != "memory://":
        assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == ["a", "b"]


def test_a_file_of_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        FolderDestination(str(tmp_path), {}).write("taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize("name", ["taken", "missing/file"])
def test_a_file_that_cannot_be_written_is_named_by_its_own_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises((IsADirectoryError, FileNotFoundError)) as raised, replace_file(tmp_path / name) as target:
        target.write(b"x")
    assert raised.value.filename == str(tmp_path / name)
