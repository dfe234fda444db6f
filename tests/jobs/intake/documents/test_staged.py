"""Shows jobs/intake/documents/staged.py and how intake keeps documents: hostile files, and a process that dies."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import load_batch
from jobs.documents.batches.kept import read_list
from jobs.errors import RequestError, StoreUnavailable
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.intake.refusals import AllRefused, StrictRefused
from jobs.publishing.retention import delete_batch
from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.jobs.intake.dying_store import Dying
from tests.support.documents.batches import SETTINGS, accept_documents, kept, outcomes_of, requests_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.md", b"\x00\x01\x02" * 500, "binary"),
        ("a.po", b"\x89PNG\r\n\x1a\n\x00\x00", "valid|binary|neither"),
        ("a.po", b"PK\x03\x04 zip", "compressed"),
        ("a.po", gzip.compress(b'msgid "a"\nmsgstr ""\n', mtime=0), "compressed"),
        ("a.po", b'msgid "Open it"\nmsgstr "\n', "quote"),
        ("a.po", b'{"a": "Open it"}', "neither a comment"),
        ("a.po", b'msgid "a \xff"\nmsgstr ""\n', "not valid utf-8"),
        ("a.json", b'{"a": "Open', "line 1"),
        ("a.json", b"", "a.json"),
        ("a.xlf", b"<xliff", "a.xlf"),
        ("a.srt", b"no times here\n", "a.srt"),
        ("a.html", b"<meta charset=no-such><p>Open it", "no-such"),
        ("a.yaml", b"a: [", "a.yaml"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_its_reason(
    store: Store, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RequestError, match=message) as refused:
        accept_documents(store, tmp_path / name)
    assert name in str(refused.value)
    assert store.list("batches") == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.md", b"", "a.md: no text to translate"),
        ("a.po", b"", "a.po: no text to translate"),
        ("a.md", b"```\ncode\n```\n", "a.md: no text to translate"),
        ("a.json", b'{"a": 1, "b": "%s"}', "a.json: no text to translate"),
        (
            "a.po",
            b'msgid ""\nmsgstr "Language: fr\\n"\n\nmsgid "Open"\nmsgstr "Ouvrir"\n',
            "the only segment is translated",
        ),
    ],
)
def test_a_document_without_anything_to_translate_makes_no_batch(
    store: Store, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RequestError, match=message):
        accept_documents(store, tmp_path / name)
    assert store.list("batches") == []


def test_a_bad_plural_header_is_replaced(store: Store, tmp_path: Path) -> None:
    data = b'msgid ""\nmsgstr "Plural-Forms: nplurals=9; plural=__import__(1);\\n"\n\n'
    data += b'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n'
    (tmp_path / "a.po").write_bytes(data)
    assert len(requests_of(store, accept_documents(store, tmp_path / "a.po", to="pl").batch)) == 3


def test_two_documents_of_one_file_are_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    for name in ("en/a.md", "a.md"):
        (tmp_path / name).write_text("# Open it")
    with pytest.raises(RequestError, match=r"a\.md and en/a\.md would both be written to fr/a\.md"):
        accept_documents(store, tmp_path / "en/a.md", tmp_path / "a.md")
    (tmp_path / "B.md").write_text("# Open it")
    (tmp_path / "b.md").write_text("# Open it")
    with pytest.raises(RequestError, match="would both be written"):
        accept_documents(store, tmp_path / "B.md", tmp_path / "b.md")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "article"}, "it takes --kind translation, not article"),
        ({"set": ()}, "no source_language"),
        ({"set": ("source_language=en",)}, "no target_language"),
        ({"set": ("source_language=en", "target_language=en")}, "is the source_language"),
        ({"set": ("source_language=en", "target_language=fr", "colour=red")}, "no kind has a field 'colour'"),
        ({"document": "srt"}, "a.md"),
    ],
)
def test_wrong_options(store: Store, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    (tmp_path / "a.md").write_text("# Open it")
    given = {"kind": "translation", "set": ("source_language=en", "target_language=fr"), **options}
    with pytest.raises(RequestError, match=message):
        accept_file(store, str(tmp_path / "a.md"), IntakeOptions(**given), SETTINGS, "k")


def test_documents_go_into_a_folder_and_rows_are_no_documents(store: Store, tmp_path: Path) -> None:
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"text": "Hello", "source_language": "en", "target_language": "fr"}\n')
    options = IntakeOptions(kind="translation", output_url=f"{tmp_path}/out/", output_form="document")
    with pytest.raises(RequestError, match="the rows came as rows"):
        accept_file(store, rows, options, SETTINGS, "k")


def test_strict_refuses_all_documents_if_one_cannot_be_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Open it")
    (tmp_path / "b.md").write_bytes(b"\xff")
    with pytest.raises(StrictRefused, match=r"b\.md"):
        accept_documents(store, tmp_path / "a.md", tmp_path / "b.md", strict=True)
    with pytest.raises(AllRefused, match="the only row was refused"):
        accept_documents(store, tmp_path / "b.md")


def test_limits_of_inputs_hold(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": "Open it", "b": "Close it", "c": "Save it"}')
    options = IntakeOptions(kind="translation", set=("source_language=en", "target_language=fr"))
    for limit, message in (({"input_rows": 2}, "more than 2 rows"), ({"input_bytes": 20}, "more than 20 bytes")):
        with pytest.raises(RequestError, match=message):
            accept_file(store, str(tmp_path / "a.json"), options, SETTINGS.model_copy(update=limit), "k")
    assert store.list("batches") == []


def test_the_batch_depends_on_every_byte_and_name(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": "Open it"}')
    first = accept_documents(store, path)
    assert accept_documents(store, path).batch == first.batch
    assert not accept_documents(store, path).created
    path.write_text('{"a": "Open it"}\n')
    second = accept_documents(store, path).batch
    path.rename(tmp_path / "b.json")
    third = accept_documents(store, tmp_path / "b.json").batch
    assert len({first.batch.batch_id, second.batch_id, third.batch_id}) == 3


def test_many_segments_are_told_apart_on_disk(store: Store, tmp_path: Path) -> None:
    values = {str(n): f"Open file {n % 30}" for n in range(60)}
    (tmp_path / "a.json").write_bytes(orjson.dumps(values))
    from jobs.intake.accept import accept
    from jobs.intake.documents.opening import open_input
    from jobs.kinds.registry import load_kinds

    options = IntakeOptions(kind="translation", set=("source_language=en", "target_language=fr"), name="a")
    with open_input([str(tmp_path / "a.json")], options, SETTINGS) as (lines, _):
        batch = accept(
            store, lines, options, kinds=load_kinds(), settings=SETTINGS, run_key="k", names_in_memory=5
        ).batch
    assert (batch.rows, batch.refused) == (30, 0)


@pytest.mark.parametrize("writes", range(10))
def test_killed_at_any_write_there_is_no_batch_or_a_whole_one(tmp_path: Path, writes: int) -> None:
    """The writes: the id of the store, an input, two documents, their list, a refused row, its segment, batch.json, the hint."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.md").write_text("# Open it")
    (folder / "b.md").write_text("# Close it")
    (folder / "c.md").write_bytes(b"\xff")
    dying = Dying(str(tmp_path / "store"), writes)
    try:
        accept_documents(dying, folder)
    except StoreUnavailable:
        assert dying.left < 0
    store = open_store(str(tmp_path / "store"))
    (batch_id,) = store.list("batches") or [""]
    whole = load_batch(store, batch_id) is not None if batch_id else False
    assert whole == (writes >= 8)
    again = accept_documents(store, folder)
    assert again.created is not whole
    assert batch_id in ("", again.batch.batch_id)
    assert kept(store, again.batch) == ["0", "1", "list.jsonl"]
    assert [one.name for one in read_list(store, again.batch)] == ["a.md", "b.md", "c.md"]
    assert store.read(BatchPaths(again.batch.batch_id).document(0)) == b"# Open it"


def test_retention_deletes_the_documents(shelf: Any, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Open it")
    batch = accept_documents(shelf.store, tmp_path / "a.md").batch
    shelf.write(batch.batch_id, outcomes_of(shelf.store, batch))
    shelf.publish(batch.batch_id)
    assert delete_batch(shelf.store, batch.batch_id, clock=shelf.clock)
    assert shelf.store.list(BatchPaths(batch.batch_id).root) == []
