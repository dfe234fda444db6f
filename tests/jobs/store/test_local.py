"""Shows jobs/store/local.py: what only a local folder does. test_store.py shows the contract of all stores."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.errors import StoreDeleteFailed, StoreUnavailable
from jobs.store.local import LocalStore
from jobs.store.opening import open_store


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


def test_writes_leave_no_temporary_file(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.create("folder/file", b"one")
    store.create("folder/file", b"two")
    with store.writer("folder/file") as file:
        file.write(b"three")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_a_file_is_durable_before_it_is_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_error_of_a_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a file, and no folder")
    store = open_store(str(tmp_path / "file"))
    with pytest.raises(StoreUnavailable, match=r"cannot write .*: Not a directory") as raised:
        store.create("a", b"x")
    assert "\n" not in str(raised.value)


def test_the_error_of_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    store = LocalStore(str(tmp_path))
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        store.create("file", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everything")
def test_a_file_that_may_not_be_deleted_is_named(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.create("folder/file", b"x")
    (tmp_path / "folder").chmod(0o500)
    try:
        with pytest.raises(StoreDeleteFailed, match="cannot delete folder/file: Permission denied"):
            store.delete("folder/file")
    finally:
        (tmp_path / "folder").chmod(0o700)


def test_a_local_store_loads_no_fsspec() -> None:
    program = (
        "import sys; from jobs.store.opening import open_store; open_store('x'); sys.exit('fsspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_folder_that_was_moved_away_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """No new folder is made in its place, and all files are there when the folder is back."""
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


def test_a_disk_that_turns_read_only_during_a_write_is_named_as_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hidden file cannot be deleted either on such a disk. That second error must not hide the error of the write."""
    store = open_store(str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StoreUnavailable, match="Read-only file system"):
        store.create("a/b", b"x")
    assert store.list("a") == []
