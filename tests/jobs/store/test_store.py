"""Shows the contract of jobs/store/store.py, over a folder, the object stores of three clouds, and the memory of fsspec."""

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from jobs.errors import StoreUnavailable
from jobs.store.local import LocalStore
from jobs.store.opening import open_store
from jobs.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
"""aiohttp says so of each part that gcsfs sends; Python shows such warnings only where they are asked for."""


@pytest.mark.parametrize("first", [b"one", b""], ids=["bytes", "empty"])
@pytest.mark.parametrize("second", [b"two", b""], ids=["then bytes", "then empty"])
def test_create_never_overwrites(any_store: Store, first: bytes, second: bytes) -> None:
    assert any_store.create("a/b/file", first)
    assert any_store.create("a/b/file", second) == (first == second)
    assert any_store.read("a/b/file") == first


def test_of_two_writers_of_one_name_exactly_one_wins(store: Store) -> None:
    writers = 8
    barrier = threading.Barrier(writers)

    def write(n: int) -> bool:
        barrier.wait()
        return store.create("race/file", b"writer %d" % n)

    with ThreadPoolExecutor(writers) as pool:
        won = list(pool.map(write, range(writers)))
    assert won.count(True) == 1
    assert store.read("race/file") == b"writer %d" % won.index(True)


def test_writers_of_the_same_bytes_both_succeed(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: store.create("race/same", b"same"), range(4)))


def test_missing_files(any_store: Store) -> None:
    assert not any_store.exists("no/file")
    assert any_store.list("no") == []
    any_store.delete("no/file")
    for ask in (any_store.read, any_store.size, lambda path: any_store.read_range(path, 0, 1)):
        with pytest.raises(KeyError, match="no/file"):
            ask("no/file")
    with pytest.raises(KeyError, match="no/file"), any_store.reader("no/file"):
        pass


def test_list_gives_names_sorted_and_hides_dotted_ones(any_store: Store) -> None:
    for path in ("top/b", "top/a", "top/folder/deep/file", "top/.hidden", "topping"):
        any_store.create(path, b"x")
    assert any_store.list("top") == ["a", "b", "folder"]
    assert any_store.list("top/folder") == ["deep"]
    assert any_store.list("top/a") == [] or isinstance(any_store, LocalStore)


def test_list_shows_at_once_what_another_process_made(store: Store) -> None:
    other = pickle.loads(pickle.dumps(store))
    assert store.list("folder") == []
    other.create("folder/new", b"x")
    assert store.list("folder") == ["new"]
    assert store.exists("folder/new")
    other.delete("folder/new")
    assert store.list("folder") == []
    assert not store.exists("folder/new")


@pytest.mark.parametrize(
    ("offset", "length", "wanted"),
    [
        pytest.param(0, 4, b"0123", id="start"),
        pytest.param(3, 4, b"3456", id="middle"),
        pytest.param(8, 100, b"89", id="over the end"),
        pytest.param(10, 5, b"", id="at the end"),
        pytest.param(99, 5, b"", id="behind the end"),
        pytest.param(2, 0, b"", id="nothing"),
    ],
)
def test_read_range(any_store: Store, offset: int, length: int, wanted: bytes) -> None:
    any_store.create("file", b"0123456789")
    assert any_store.read_range("file", offset, length) == wanted


def test_reader_iterates_lines_and_seeks(any_store: Store) -> None:
    lines = [b"line %d\n" % n for n in range(1000)]
    any_store.create("lines", b"".join(lines))
    with any_store.reader("lines") as file:
        assert list(file) == lines
        file.seek(len(lines[0]))
        assert file.readline() == lines[1]
        file.seek(-len(lines[-1]), os.SEEK_END)
        assert file.read() == lines[-1]


@pytest.mark.parametrize("size", [0, 10, 33 << 20], ids=["empty", "small", "in parts"])
def test_writer_makes_a_whole_file(any_store: Store, size: int) -> None:
    data = b"x" * size
    with any_store.writer("folder/file") as file:
        file.write(data)
        assert not any_store.exists("folder/file")
    assert any_store.size("folder/file") == size
    with any_store.writer("folder/file") as file:
        file.write(data + b"other")
    assert any_store.size("folder/file") == size
    assert any_store.list("folder") == ["file"]


def test_a_writer_that_fails_leaves_nothing(any_store: Store) -> None:
    def fail() -> None:
        with any_store.writer("folder/file") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any_store.exists("folder/file")
    assert any_store.list("folder") == []


@pytest.mark.parametrize("size", [10, 33 << 20], ids=["one request", "in parts"])
def test_create_is_conditional_for_files_of_every_size(store: Store, size: int) -> None:
    assert store.create("file", b"a" * size)
    assert not store.create("file", b"b" * size)
    assert store.read_range("file", size - 2, 2) == b"aa"


def test_delete_takes_a_folder_with_everything_in_it(any_store: Store) -> None:
    for path in ("gone/a", "gone/deep/b", "kept/a"):
        any_store.create(path, b"x")
    any_store.delete("gone")
    any_store.delete("kept/missing")
    assert not any_store.exists("gone/deep/b")
    assert any_store.list("gone") == []
    assert any_store.list("kept") == ["a"]


def test_many_files_are_deleted_at_once_and_missing_ones_are_fine(any_store: Store) -> None:
    for n in range(6):
        any_store.create(f"many/{n}", b"x")
    any_store.create("many/deep/file", b"x")
    any_store.delete_files([])
    any_store.delete_files(["many/0", "many/missing", "many/2", "gone/too", "many/5"])
    assert any_store.list("many") == ["1", "3", "4", "deep"]
    assert any_store.list("many/deep") == ["file"]


def test_a_name_with_wildcards_is_not_a_pattern(any_store: Store) -> None:
    for name in ("b*", "bb", "c[1]/file", "c1/file"):
        any_store.create(f"odd/{name}", b"x")
    any_store.delete("odd/b*")
    any_store.delete("odd/c[1]")
    assert any_store.list("odd") == ["bb", "c1"]
    for name in ("d*", "dd"):
        any_store.create(f"odd/{name}", b"x")
    any_store.delete_files(["odd/d*"])
    assert any_store.list("odd") == ["bb", "c1", "dd"]


def test_check_passes_and_leaves_nothing(store: Store) -> None:
    store.check()
    assert store.list("check") == []


class Forgetful(MemoryFileSystem):  # type: ignore[misc]
    """A file system that accepts `mode="create"`, and overwrites files all the same."""

    protocol = "forgetful"
    store: ClassVar[dict[str, Any]] = {}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value, mode="overwrite", **kwargs)


class ForgetfulOfEmpty(MemoryFileSystem):  # type: ignore[misc]
    """A file system that overwrites a file in spite of `mode="create"` if the new file is empty."""

    protocol = "forgetful-of-empty"
    store: ClassVar[dict[str, Any]] = {}
    one_at_a_time: ClassVar[threading.Lock] = threading.Lock()

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        with self.one_at_a_time:
            super().pipe_file(path, value, mode=mode if value else "overwrite", **kwargs)


@pytest.mark.parametrize(
    ("system", "why"),
    [
        pytest.param(Forgetful, "two writers of one name did not end", id="both writers succeed"),
        pytest.param(ForgetfulOfEmpty, "it lets an empty file replace another", id="an empty file replaces another"),
    ],
)
def test_check_refuses_a_store_that_overwrites(system: type[MemoryFileSystem], why: str) -> None:
    fsspec.register_implementation(system.protocol, system, clobber=True)
    with pytest.raises(StoreUnavailable, match=rf"cannot be used: {why}.*Use a local disk"):
        open_store(f"{system.protocol}://here").check()


def test_a_name_that_is_freed_while_it_is_created_is_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is taken at first. Before the file is read back, another process deletes it."""
    assert store.create("note", b"one")
    read, freed = store.read, list[str]()

    def delete_first(path: str) -> bytes:
        if not freed:
            freed.append(path)
            store.delete(path)
        return read(path)

    monkeypatch.setattr(store, "read", delete_first)
    assert store.create("note", b"two")
    assert freed == ["note"]
    assert store.read("note") == b"two"
