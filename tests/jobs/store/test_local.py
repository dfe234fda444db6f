"""Shows jobs/store/local.py: what only a local folder does. test_store.py shows the contract of all stores."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.errors import StoreDeleteFailed, StoreUnavailable
from jobs.settings import Settings
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


@pytest.mark.parametrize(
    ("mode", "file_mode", "folder_mode"),
    [
        pytest.param("0600", 0o600, 0o700, id="by default"),
        pytest.param("0640", 0o640, 0o750, id="a group may read"),
        pytest.param("660", 0o660, 0o770, id="a group may write"),
        pytest.param("0644", 0o644, 0o755, id="everybody may read"),
        pytest.param("umask", 0o640, 0o750, id="as the umask says"),
    ],
)
def test_files_and_folders_have_the_mode_of_the_settings(
    tmp_path: Path, mode: str, file_mode: int, folder_mode: int
) -> None:
    settings = Settings(store_url=str(tmp_path / "a/store"), file_mode=mode)
    before = os.umask(0o027)
    try:
        store = open_store(settings.store_url, {}, settings.file_mode_bits)
        store.create("open/x", b"")
        with pickle.loads(pickle.dumps(store)).writer("batches/b/segments/s") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    made = [tmp_path / "a", *(tmp_path / "a").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {file_mode}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {folder_mode}
    assert len(made) == 8


def test_a_store_is_private_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    LocalStore(str(tmp_path / "store")).create("a", b"x")
    assert (tmp_path / "store/a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", ["0400", "0700", "0666x", "rw", "", "0611", "00600", "1600", 600])
def test_a_mode_that_no_file_of_a_store_may_have_is_refused(mode: object) -> None:
    with pytest.raises(ValidationError):
        Settings(file_mode=mode)


def test_folders_go_with_their_last_file_and_the_store_stays(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "store"))
    for name in ("a/b/c/one", "a/b/two"):
        store.create(name, b"x")
    store.delete("a/b/c/one")
    assert store.list("a/b") == ["two"]
    store.delete("a/b/two")
    assert (store.list(""), (tmp_path / "store").is_dir()) == ([], True)


def test_a_link_in_a_store_is_deleted_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"mine")
    store = LocalStore(str(tmp_path / "store"))
    store.create("batches/a/one", b"x")
    (tmp_path / "store/batches/a/link").symlink_to(outside)
    (tmp_path / "store/batches/b").symlink_to(outside)
    store.delete("batches/a")
    store.delete("batches/b")
    assert (store.list("batches"), (outside / "mine").read_bytes()) == ([], b"mine")


def test_writers_and_deleters_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Folders are made and deleted all the time. Still each call of `create` creates its file."""
    store, together = LocalStore(str(tmp_path)), threading.Barrier(4)

    def write(n: int) -> int:
        together.wait(20)
        return sum(store.create(f"batches/x/{n}/{i}", b"x") for i in range(100))

    def delete(_: int) -> int:
        together.wait(20)
        for _ in range(100):
            store.delete("batches/x")
        return 100

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda call: call(1), (write, delete, write, delete))] == [100] * 4


def test_a_folder_is_deleted_although_a_file_comes_into_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, rmdir, late = LocalStore(str(tmp_path)), Path.rmdir, ["late", "later"]
    store.create("batches/x/one", b"x")

    def rmdir_late(folder: Path) -> None:
        if folder.name == "x" and late:
            store.create(f"batches/x/{late.pop()}", b"x")
        rmdir(folder)

    monkeypatch.setattr(Path, "rmdir", rmdir_late)
    store.delete("batches/x")
    assert (late, store.list("batches")) == ([], [])


def test_a_folder_is_deleted_although_another_process_deletes_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, scandir = LocalStore(str(tmp_path)), os.scandir
    for name in ("a/one", "b/one", "c"):
        store.create(f"batches/x/{name}", b"x")

    def scandir_late(folder: Path) -> list[os.DirEntry[str]]:
        entries = list(scandir(folder))
        if Path(folder).name == "x":
            monkeypatch.setattr(os, "scandir", scandir)
            for gone in ("a", "c"):
                LocalStore(str(tmp_path)).delete(f"batches/x/{gone}")
        return entries

    monkeypatch.setattr(os, "scandir", scandir_late)
    store.delete("batches/x")
    assert store.list("batches") == []


@pytest.mark.parametrize("step", ["link", "mkdir", "fsync"])
def test_a_file_is_created_although_its_folder_goes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store, times = LocalStore(str(tmp_path)), [2]
    place: object = Path if step == "mkdir" else os
    real = getattr(place, step)

    def after_a_deletion(*given: object, **named: object) -> object:
        made = real(*given, **named) if step == "mkdir" else None
        if times[0]:
            times[0] -= 1
            shutil.rmtree(tmp_path / "batches", ignore_errors=True)
        return made if step == "mkdir" else real(*given, **named)

    monkeypatch.setattr(place, step, after_a_deletion)
    assert store.create("batches/x/one", b"x")
    assert store.read("batches/x/one") == b"x"


def test_a_stream_whose_folder_goes_meanwhile_says_what_happened(tmp_path: Path) -> None:
    def write() -> None:
        with LocalStore(str(tmp_path)).writer("batches/x/one") as file:
            file.write(b"x")
            shutil.rmtree(tmp_path / "batches")

    with pytest.raises(StoreUnavailable, match="was deleted while it was written"):
        write()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc")
@pytest.mark.parametrize("folder", ["/proc/x", "/proc/x/y", "/proc/self/x"])
def test_a_place_where_no_folder_can_be_made_is_named(folder: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot write /proc/.*: no folder can be made in /proc"):
        LocalStore(folder).create("a/b", b"")
