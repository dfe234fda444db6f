"""Shows how jobs/store/destinations.py replaces: a file is replaced as a whole, or stays as it was."""

from pathlib import Path

import pytest

from jobs.store.destinations import replace_file


def test_a_file_appears_whole_in_place_of_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120)  # as long as a name can be
    path.write_bytes(b"old")
    with replace_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replace_file(path) as file:
        file.write(b"%d" % (1 // 0))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replace_file(path) as one, replace_file(path) as other:
        one.write(b"1" * 9)
        other.write(b"2")
    assert path.read_bytes() == b"1" * 9


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "nowhere" / "file"):
        pass
