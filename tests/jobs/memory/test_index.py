"""The index answers from the files of the store alone, keeps step with them, and is made anew if it is lost or damaged."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import StoreUnavailable
from jobs.memory import merging
from jobs.memory.entry import Entry, Query, source_hash
from jobs.memory.files import Forgotten, folder_of, forget, list_names, round_name, write_section
from jobs.memory.index import MemoryIndex
from jobs.memory.merging import merge_files
from jobs.store.local import LocalStore
from jobs.store.store import Store

AT = datetime(2026, 12, 1, 1, 30, 0, 5, tzinfo=UTC)
SAVE = Entry("Save", "Sichern", "en", "de", AT, model="m", template="t", verdict="fit", batch="b-1", row=3)
QUERY = Query(("Save",), "en", "de", model="m", template="t")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture
def index(store: Store, tmp_path: Path) -> Iterator[MemoryIndex]:
    made = MemoryIndex(store, "acme", tmp_path / "cache" / "acme.sqlite")
    yield made
    made.close()


def put(store: Store, *entries: Entry, n: int = 1, tenant: str = "acme") -> str:
    name = round_name("b", n, AT)
    write_section(store, tenant, name, entries)
    return name


def target(index: MemoryIndex, query: Query = QUERY, segment: str = "Save") -> str | None:
    found = index.known(query, segment)
    return found.target if found else None


def test_what_was_written_is_known(store: Store, index: MemoryIndex) -> None:
    index.refresh()
    assert index.is_empty
    put(store, SAVE)
    index.refresh()
    assert index.known(QUERY, "Save") == SAVE
    assert index.size == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"context": "menu"}, id="another context"),
        pytest.param({"terms": "ab"}, id="other terms"),
        pytest.param({"formality": "formal"}, id="another formality"),
        pytest.param({"model": "n"}, id="another model"),
        pytest.param({"template": "u"}, id="another template"),
        pytest.param({"target_language": "fr"}, id="another target"),
        pytest.param({"source_language": "nl"}, id="another source"),
    ],
)
def test_a_models_entry_answers_the_same_question_only(
    store: Store, index: MemoryIndex, change: dict[str, Any]
) -> None:
    put(store, SAVE)
    index.refresh()
    assert target(index, replace(QUERY, **change)) is None
    assert target(index, segment="save") is None


@pytest.mark.parametrize(
    ("entries", "context", "wanted"),
    [
        pytest.param(
            [replace(SAVE, target="A", origin="editor", model="", template="")], "", "A", id="editor over model"
        ),
        pytest.param([replace(SAVE, target="A", origin="editor")], "menu", "A", id="an editor without context, in any"),
        pytest.param(
            [replace(SAVE, target="A", origin="editor", context="menu")], "", "Sichern", id="not another context"
        ),
        pytest.param(
            [replace(SAVE, target="A", origin="editor"), replace(SAVE, target="B", origin="editor", context="menu")],
            "menu",
            "B",
            id="the same context first",
        ),
        pytest.param(
            [
                replace(SAVE, target="late", origin="editor", at=AT + timedelta(microseconds=1)),
                replace(SAVE, target="early", origin="editor"),
            ],
            "",
            "late",
            id="the later editor",
        ),
        pytest.param([replace(SAVE, target="late", at=AT + timedelta(days=1))], "", "late", id="the later model"),
        pytest.param(
            [replace(SAVE, target="old", origin="editor", at=AT - timedelta(days=900))], "", "old", id="an old editor"
        ),
    ],
)
def test_which_entry_wins(store: Store, index: MemoryIndex, entries: list[Entry], context: str, wanted: str) -> None:
    put(store, SAVE)
    put(store, *entries, n=2)
    index.refresh()
    assert target(index, replace(QUERY, context=context)) == wanted


def test_tenants_are_apart(store: Store, index: MemoryIndex, tmp_path: Path) -> None:
    put(store, SAVE, tenant="other")
    index.refresh()
    assert target(index) is None


@pytest.mark.parametrize(
    ("segment", "wanted"),
    [
        pytest.param(
            "Water the tomatoes early in the evening.", "Gieße die Tomaten früh am Morgen.", id="an end changed"
        ),
        pytest.param(
            "Always water the tomatoes early in the morning.", "Gieße die Tomaten früh am Morgen.", id="a word more"
        ),
        pytest.param(
            "Water the tomatoes early in the morning.", "Gieße die Tomaten früh am Morgen.", id="the same text"
        ),
        pytest.param("Close the window", None, id="nothing alike"),
        pytest.param("ab", None, id="too short"),
        pytest.param("", None, id="empty"),
        pytest.param('"""', None, id="quotes"),
        pytest.param("\0\0\0\0", None, id="zero bytes"),
    ],
)
def test_the_most_similar_source(store: Store, index: MemoryIndex, segment: str, wanted: str | None) -> None:
    put(
        store,
        replace(SAVE, source="Water the tomatoes early in the morning.", target="Gieße die Tomaten früh am Morgen."),
        replace(SAVE, source="Pick the tomatoes late in the year.", target="Ernte die Tomaten spät im Jahr."),
        replace(SAVE, source="Water the tomatoes early in the morning.", target="Arrose", target_language="fr"),
    )
    index.refresh()
    found = index.similar(QUERY, segment, 0.75)
    assert (found[0].target if found else None) == wanted


def test_a_threshold_is_kept(store: Store, index: MemoryIndex) -> None:
    put(store, replace(SAVE, source="abcdefghij"))
    index.refresh()
    found = index.similar(QUERY, "abcdefghxx", 0.8)
    assert found is not None
    assert found[1] == pytest.approx(0.8)
    assert index.similar(QUERY, "abcdefghxx", 0.81) is None


def test_a_file_is_read_once_and_a_section_counts_once(store: Store, index: MemoryIndex) -> None:
    for n in range(3):
        put(store, replace(SAVE, row=n), n=n)
    index.refresh()
    assert merge_files(store, "acme", all_files=True)
    assert len(list_names(store, "acme").sections) == 1
    index.refresh()
    assert index.size == 3
    put(store, replace(SAVE, row=0), n=0)  # an errand that was killed writes its file once more
    index.refresh()
    assert index.size == 3
    assert merge_files(store, "acme", all_files=True)
    index.refresh()
    assert index.size == 3
    assert len(list_names(store, "acme").sections) == 1


def test_many_files_are_merged(store: Store, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "SINGLE_FILES", 3)
    for n in range(3):
        put(store, replace(SAVE, row=n), n=n)
    assert not merge_files(store, "acme")
    put(store, SAVE, n=9)
    assert merge_files(store, "acme")
    assert list_names(store, "acme").single == ()
    index.refresh()
    assert index.size == 4


def test_what_is_forgotten_is_gone_everywhere(store: Store, index: MemoryIndex, tmp_path: Path) -> None:
    other = replace(SAVE, source="Close", target="Schließen")
    put(store, SAVE, other, replace(SAVE, target="Enregistrer", target_language="fr"))
    index.refresh()
    forget(store, "acme", Forgotten(AT, source_hash("Save"), "de"))
    index.refresh()
    assert target(index) is None
    assert target(index, segment="Close") == "Schließen"
    assert index.size == 2
    put(store, SAVE, n=7)  # a note that was left writes it again
    index.refresh()
    assert target(index) is None
    later = replace(SAVE, target="neu", at=AT + timedelta(seconds=1))
    put(store, later, n=8)
    index.refresh()
    assert target(index) == "neu"
    assert merge_files(store, "acme", all_files=True)
    (merged,) = list_names(store, "acme").sections
    assert b"Sichern" not in store.read(f"{folder_of('acme')}/{merged}")
    fresh = MemoryIndex(store, "acme", tmp_path / "fresh.sqlite")
    fresh.refresh()
    assert target(fresh) == "neu"
    fresh.close()
    forget(store, "acme", Forgotten(AT + timedelta(days=1)))
    index.refresh()
    assert index.is_empty
    assert index.similar(QUERY, "Save all", 0.3) is None


def test_a_memory_that_was_deleted_is_left_out(store: Store, index: MemoryIndex) -> None:
    put(store, SAVE)
    index.refresh()
    store.delete("memory/acme")
    index.refresh()
    assert index.is_empty
    assert index.similar(QUERY, "Save", 0.5) is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda data: b"".join(data.splitlines(keepends=True)[:-1]), id="without its end"),
        pytest.param(lambda data: data.replace(b"Sichern", b"Sichert"), id="a letter changed"),
        pytest.param(lambda data: b"".join(data.splitlines(keepends=True)[::2]), id="a line lost"),
        pytest.param(lambda data: b"\xff\xfe", id="no text"),
        pytest.param(lambda data: data.replace(b'"format":1', b'"format":2'), id="checksum of the head"),
    ],
)
def test_a_damaged_file_is_named_and_passed_over(
    store: Store, index: MemoryIndex, tmp_path: Path, damage: object
) -> None:
    good = put(store, replace(SAVE, source="Close", target="Schließen"))
    name = put(store, SAVE, n=2)
    path = tmp_path / "store" / "memory" / "acme" / name
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(damage(whole))  # type: ignore[operator]
    index.refresh()
    assert target(index) is None
    assert target(index, segment="Close") == "Schließen"
    assert [name in str(fault) for fault in index.faults] == [True]
    merge_files(store, "acme", all_files=True)
    assert good not in list_names(store, "acme").single
    assert name in list_names(store, "acme").single
    path.write_bytes(whole)  # it is restored
    index.refresh()
    assert target(index) == "Sichern"
    assert index.faults == []


@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 100, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_index_is_made_anew(store: Store, tmp_path: Path, content: bytes) -> None:
    put(store, SAVE)
    path = tmp_path / "one.sqlite"
    path.write_bytes(content)
    index = MemoryIndex(store, "acme", path)
    index.refresh()
    assert target(index) == "Sichern"
    index.close()


def test_an_index_that_is_damaged_while_it_is_used_is_made_anew(store: Store, tmp_path: Path) -> None:
    put(store, *(replace(SAVE, source=f"Save {n}", row=n) for n in range(500)))
    path = tmp_path / "one.sqlite"
    index = MemoryIndex(store, "acme", path)
    index.refresh()
    index.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    assert target(index, segment="Save 7") == "Sichern"
    index.close()


def test_an_index_of_another_form_is_made_anew(store: Store, tmp_path: Path) -> None:
    put(store, SAVE)
    path = tmp_path / "one.sqlite"
    with sqlite3.connect(path) as table:
        table.execute("CREATE TABLE entries (other TEXT)")
        table.execute("PRAGMA user_version=9")
    table.close()
    index = MemoryIndex(store, "acme", path)
    index.refresh()
    assert target(index) == "Sichern"
    index.close()


def test_a_disk_that_takes_no_index_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="cache_dir"):
        MemoryIndex(store, "acme", tmp_path / "file" / "acme.sqlite")


def test_several_processes_read_in_at_once(store: Store, tmp_path: Path) -> None:
    for n in range(5):
        put(store, *(replace(SAVE, source=f"{n} {m}", row=m) for m in range(200)), n=n)

    def read(_: int) -> int:
        index = MemoryIndex(store, "acme", tmp_path / "shared.sqlite")
        index.refresh()
        try:
            return index.size
        finally:
            index.close()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, range(8))) == [1000] * 8
