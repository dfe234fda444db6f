"""Shows a batch of documents from its acceptance to its files: jobs/documents/batches and jobs/intake/documents together."""

import shutil
import subprocess
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.published import verify
from jobs.batches.request_row import RowRequest
from jobs.documents.batches.answers import UNSENT
from jobs.documents.batches.writing import FORM_MISSING, Report
from jobs.errors import RequestError, StoreDamaged
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.intake.column_options import columns_of
from jobs.operations.content.translated import write_translations
from jobs.store.local import LocalStore
from tests.support.documents.batches import SETTINGS, accept_documents, outcomes_of, requests_of, shouted

PO = b"""# Shop
msgid ""
msgstr ""
"Project-Id-Version: shop\\n"
"Content-Type: text/plain; charset=UTF-8\\n"

#: a.py:1
#, python-format
msgid "Add %(count)s apples"
msgstr ""

msgid "Close"
msgstr ""

msgctxt "verb"
msgid "Close"
msgstr ""

#, fuzzy
msgid "Open it"
msgstr "Ouvre"

msgid "Done"
msgstr "Fini"

#, python-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] ""
msgstr[1] ""
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def published(shelf: Any, batch: Batch, answer: Any = shouted) -> None:
    shelf.write(batch.batch_id, outcomes_of(shelf.store, batch, answer))
    shelf.publish(batch.batch_id)
    assert verify(shelf.store, batch.batch_id) == []


def written(shelf: Any, batch: Batch, out: Path, verdicts: Collection[Any] | None = None) -> Report:
    return write_translations(shelf.store, batch.batch_id, str(out), lambda _: {}, verdicts)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_catalogue_comes_back_in_each_language_with_other_strings_alone(
    shelf: Any, folder: Path, tmp_path: Path
) -> None:
    (folder / "messages.po").write_bytes(PO)
    batch = accept_documents(shelf.store, folder / "messages.po", to="fr,pl").batch
    published(shelf, batch)
    report = written(shelf, batch, tmp_path / "out")
    assert report.is_whole
    assert [(one.name, one.translated, one.left) for one in report.files] == [
        ("fr/messages.po", 7, 0),
        ("pl/messages.po", 7, 0),
    ]
    french, polish = (files_in(tmp_path / "out")[f"{one}/messages.po"].decode() for one in ("fr", "pl"))
    assert 'msgid "Close"\nmsgstr "CLOSE"' in french
    assert 'msgid "Open it"\nmsgstr "OPEN IT"' in french
    assert 'msgid "Done"\nmsgstr "Fini"' in french, "what is translated stays"
    assert polish.count("\nmsgstr[") == 3
    kept = [line for line in french.splitlines() if not line.startswith(("msgstr", '"Language', '"Plural'))]
    assert kept == [line for line in PO.decode().splitlines() if not line.startswith("msgstr")]


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="gettext is not installed")
def test_msgfmt_takes_the_catalogues(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "messages.po").write_bytes(PO)
    batch = accept_documents(shelf.store, folder / "messages.po", to="fr,pl,ar,ja,pt-BR").batch
    published(shelf, batch)
    assert written(shelf, batch, tmp_path / "out").is_whole
    for path in (tmp_path / "out").rglob("*.po"):
        subprocess.run(["msgfmt", "-c", "-o", "/dev/null", str(path)], check=True)


def test_equal_segments_are_one_row_for_each_language(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "a.json").write_text('{"x": "Open file", "y": "Open file", "z": "Close file"}')
    (folder / "b.json").write_text('{"q": "Open file"}')
    batch = accept_documents(shelf.store, folder / "a.json", folder / "b.json", to="fr,de").batch
    assert sorted(one.custom_id or "" for one in requests_of(shelf.store, batch)) == [
        *("a.json:de:/x", "a.json:de:/z", "a.json:fr:/x", "a.json:fr:/z")
    ]
    published(shelf, batch)
    written(shelf, batch, tmp_path / "out")
    assert files_in(tmp_path / "out") == {
        "de/a.json": b'{"x": "OPEN FILE", "y": "OPEN FILE", "z": "CLOSE FILE"}',
        "de/b.json": b'{"q": "OPEN FILE"}',
        "fr/a.json": b'{"x": "OPEN FILE", "y": "OPEN FILE", "z": "CLOSE FILE"}',
        "fr/b.json": b'{"q": "OPEN FILE"}',
    }


def test_a_request_has_what_the_kind_needs(shelf: Any, folder: Path) -> None:
    (folder / "messages.po").write_bytes(PO)
    first, *_, last = requests_of(shelf.store, accept_documents(shelf.store, folder / "messages.po", to="fr").batch)
    assert first.request == {
        "text": "Add %(count)s apples",
        "source_language": "en",
        "target_language": "fr",
        "format": "segment",
        "marks": [{"start": 4, "end": 13, "role": "alone"}],
    }
    assert first.custom_id == "messages.po:fr:1"
    assert first.metadata is not None
    assert {**first.metadata, "key": ""} == {
        "document": "messages.po",
        "language": "fr",
        "segment": "1",
        "line": 9,
        "key": "",
    }
    assert last.request["context"].startswith("for the numbers")


def test_all_sends_what_is_translated_too(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "fr.po").write_bytes(PO)
    few = accept_documents(shelf.store, folder / "fr.po").batch
    every = accept_documents(shelf.store, folder / "fr.po", with_done=True).batch
    assert (every.rows, every.batch_id != few.batch_id) == (few.rows + 1, True)
    published(shelf, every)
    written(shelf, every, tmp_path / "out")
    assert b'msgid "Done"\nmsgstr "DONE"' in files_in(tmp_path / "out")["fr.po"]


def test_a_document_that_says_a_language_is_translated_into_that_one_alone(
    shelf: Any, folder: Path, tmp_path: Path
) -> None:
    for language in ("fr", "de"):
        path = folder / f"locale/{language}/LC_MESSAGES/django.po"
        path.parent.mkdir(parents=True)
        path.write_text(f'msgid ""\nmsgstr "Language: {language}\\n"\n\nmsgid "Close it"\nmsgstr ""\n')
    batch = accept_documents(shelf.store, folder / "locale", to="fr,de").batch
    assert [one.custom_id for one in requests_of(shelf.store, batch)] == [
        *("de/LC_MESSAGES/django.po:de:1", "fr/LC_MESSAGES/django.po:fr:1")
    ]
    published(shelf, batch)
    written(shelf, batch, tmp_path / "out")
    assert sorted(files_in(tmp_path / "out")) == ["de/LC_MESSAGES/django.po", "fr/LC_MESSAGES/django.po"]


def test_a_folder_of_pages_keeps_its_folders(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "docs/guide").mkdir(parents=True)
    page = (
        b"---\ntitle: Growing tomatoes\ndraft: true\n---\n\n# Growing tomatoes\r\n\nWater `it` [now](https://x.org).\n"
    )
    (folder / "docs/guide/index.md").write_bytes(page)
    (folder / "docs/empty.md").write_bytes(b"```\ncode\n```\n")
    (folder / "docs/a.png").write_bytes(b"\x89PNG")
    (folder / "docs/package.json").write_text('{"name": "some text"}')
    (folder / "docs/.hidden.md").write_text("# Hidden")
    batch = accept_documents(shelf.store, folder / "docs", to="fr").batch
    published(shelf, batch)
    assert written(shelf, batch, tmp_path / "out").is_whole
    found = files_in(tmp_path / "out")
    assert sorted(found) == ["fr/empty.md", "fr/guide/index.md"]
    assert found["fr/empty.md"] == b"```\ncode\n```\n", "a page without words is whole too"
    assert found["fr/guide/index.md"] == page.replace(b"Growing tomatoes", b"GROWING TOMATOES").replace(
        b"Water `it` [now]", b"WATER `it` [NOW]"
    )


def test_rows_that_failed_stay_as_in_the_source_and_are_named(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "messages.po").write_bytes(PO)
    batch = accept_documents(shelf.store, folder / "messages.po", to="de").batch

    def answer(request: RowRequest) -> str | None:
        if request.request["text"].startswith("Add"):
            return None
        return "Datei" if request.request["text"] == "%d file" else shouted(request)

    published(shelf, batch, answer)
    report = written(shelf, batch, tmp_path / "out")
    assert not report.is_whole
    assert [(one.segment, one.line, one.code) for one in report.left] == [
        ("1", 9, "placeholders_changed"),
        *((f"6[{n}]", 27, "damaged_translation") for n in range(2)),
    ]
    made = files_in(tmp_path / "out")["de/messages.po"]
    assert b'msgid "Add %(count)s apples"\nmsgstr ""' in made
    assert b'msgstr[0] ""\nmsgstr[1] ""' in made, "no half of a plural"
    assert b'msgid "Close"\nmsgstr "CLOSE"' in made


def test_a_form_without_its_siblings_is_not_written(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "messages.po").write_bytes(PO)
    batch = accept_documents(shelf.store, folder / "messages.po", to="de").batch
    published(shelf, batch, lambda request: None if request.request["text"] == "%d file" else shouted(request))
    report = written(shelf, batch, tmp_path / "out")
    assert [(one.segment, one.code) for one in report.left] == [
        *(("6[0]", "placeholders_changed"), ("6[1]", FORM_MISSING))
    ]


def test_only_rows_of_a_verdict_are_written(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "a.json").write_text('{"x": "Open file", "y": "Close file"}')
    batch = accept_documents(shelf.store, folder / "a.json").batch
    outcomes = [replace(one, verdict="fit" if one.row else "review") for one in outcomes_of(shelf.store, batch)]
    shelf.write(batch.batch_id, outcomes)
    shelf.publish(batch.batch_id)
    report = written(shelf, batch, tmp_path / "out", ["fit"])
    assert [(one.segment, one.code) for one in report.left] == [("/x", "review")]
    assert files_in(tmp_path / "out") == {"fr/a.json": b'{"x": "Open file", "y": "CLOSE FILE"}'}


def test_an_unfinished_batch_gives_what_is_there(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "a.json").write_text('{"x": "Open file", "y": "Close file"}')
    batch = accept_documents(shelf.store, folder / "a.json").batch
    shelf.write(batch.batch_id, outcomes_of(shelf.store, batch)[:1])
    report = written(shelf, batch, tmp_path / "out")
    assert [(one.translated, one.left, one.unsent) for one in report.files] == [(1, 0, 1)]
    assert files_in(tmp_path / "out") == {"fr/a.json": b'{"x": "OPEN FILE", "y": "Close file"}'}


def test_a_limit_leaves_the_rest_as_it_is(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "a.json").write_text('{"x": "Open file", "y": "Close file", "z": "Close file"}')
    batch = accept_documents(shelf.store, folder / "a.json", limit=1).batch
    published(shelf, batch)
    report = written(shelf, batch, tmp_path / "out")
    assert (batch.rows, report.is_whole, report.codes[UNSENT]) == (1, True, 0)
    assert report.files[0].unsent == 2


def test_a_row_that_intake_refused_is_named_for_each_of_its_segments(shelf: Any, folder: Path, tmp_path: Path) -> None:
    long = "word " * 50_000
    (folder / "a.md").write_text(f"# Title\n\n{long}\n\n{long}\n")
    accepted = accept_documents(shelf.store, folder / "a.md")
    assert (accepted.batch.rows, accepted.batch.refused) == (2, 1)
    assert "a.md: " in str(accepted.faults[0])
    published(shelf, accepted.batch)
    report = written(shelf, accepted.batch, tmp_path / "out")
    assert [one.code for one in report.left] == ["out_of_range", "out_of_range"]


def test_a_document_that_cannot_be_read_harms_no_other(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "a.md").write_bytes(b"# Title\n")
    (folder / "b.md").write_bytes(b"# Title\n\xff\n")
    accepted = accept_documents(shelf.store, folder)
    assert [(one.code, one.custom_id) for one in accepted.faults] == [("unreadable_document", "b.md")]
    assert "b.md, line 2: it is not valid utf-8" in accepted.faults[0].message
    published(shelf, accepted.batch)
    report = written(shelf, accepted.batch, tmp_path / "out")
    assert not report.is_whole
    assert [one.name for one in report.unread] == ["b.md"]
    assert sorted(files_in(tmp_path / "out")) == ["fr/a.md"]


def test_tables_come_back_as_one_file_with_all_languages(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "strings.csv").write_bytes(b"key,en,fr,de\r\na,Open file,,\r\nb,Close it,Fermer,\r\n")
    batch = accept_documents(shelf.store, folder / "strings.csv", to="fr,de").batch
    assert sorted(one.custom_id or "" for one in requests_of(shelf.store, batch)) == [
        *("strings.csv:de:a", "strings.csv:de:b", "strings.csv:fr:a")
    ]
    published(shelf, batch)
    assert written(shelf, batch, tmp_path / "out").is_whole
    assert files_in(tmp_path / "out") == {
        "strings.csv": b"key,en,fr,de\r\na,Open file,OPEN FILE,OPEN FILE\r\nb,Close it,Fermer,CLOSE IT\r\n"
    }


def test_columns_of_a_table_are_named(shelf: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "strings.csv").write_bytes(b"Ref,Screen,Texte,Wording\na,Menu,,Open file\n")
    columns = columns_of({"source": "Wording", "fr": "Texte", "context": "Screen", "key": "Ref"})
    batch = accept_documents(shelf.store, folder / "strings.csv", to="fr,pt-BR", columns=columns).batch
    first, second = requests_of(shelf.store, batch)
    assert (first.custom_id, first.request["context"]) == ("strings.csv:fr:a", "Menu")
    assert second.custom_id == "strings.csv:pt-BR:a"
    published(shelf, batch)
    assert written(shelf, batch, tmp_path / "out").is_whole
    assert files_in(tmp_path / "out") == {
        "strings.csv": b"Ref,Screen,Texte,Wording,pt-BR\na,Menu,OPEN FILE,Open file,OPEN FILE\n"
    }


@pytest.mark.parametrize("mapped", [{"colour": "a"}, {"text": "a"}, {"source": "a"}])
def test_columns_of_rows_are_no_columns_of_a_document(shelf: Any, folder: Path, mapped: dict[str, str]) -> None:
    (folder / "a.md").write_text("# Open it")
    with pytest.raises(RequestError, match="--map of a document names columns of a string table"):
        accept_documents(shelf.store, folder / "a.md", columns=columns_of(mapped))


def test_a_table_of_rows_stays_one_with_a_map(shelf: Any, folder: Path) -> None:
    (folder / "a.csv").write_text("key,en,source_language\na,Open it,en\n")
    columns = columns_of({"text": "en", "custom_id": "key"})
    options = IntakeOptions(kind="translation", set=("target_language=fr",), columns=columns)
    batch = accept_file(shelf.store, str(folder / "a.csv"), options, SETTINGS, "k").batch
    assert (batch.documents, batch.rows) == (None, 1)


def test_a_workbook_keeps_all_cells_but_the_damaged_ones(shelf: Any, folder: Path, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["key", "en", "fr", "de"])
    for n in range(40):
        book.active.append([f"k{n}", f"Open %s file {'x' * n}", None, None])
    book.save(folder / "strings.xlsx")
    batch = accept_documents(shelf.store, folder / "strings.xlsx", to="fr,de").batch
    assert batch.rows == 80
    published(shelf, batch, lambda one: "damaged" if one.row in (3, 4, 50) else shouted(one))
    report = written(shelf, batch, tmp_path / "out")
    assert (report.files[0].translated, report.codes) == (77, {"damaged_translation": 3})
    cells = list(openpyxl.load_workbook(tmp_path / "out/strings.xlsx").active.iter_rows(min_row=2, values_only=True))
    assert sum(cell is None for row in cells for cell in row) == 3
    assert cells[0] == ("k0", "Open %s file ", "OPEN %s FILE ", "OPEN %s FILE ")


@pytest.mark.parametrize("name", ["0", "list.jsonl"])
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_damaged_or_missing_document_is_an_error(
    shelf: Any, folder: Path, tmp_path: Path, name: str, is_missing: bool
) -> None:
    (folder / "a.json").write_text('{"x": "Open file"}')
    batch = accept_documents(shelf.store, folder / "a.json").batch
    published(shelf, batch)
    assert isinstance(shelf.store, LocalStore)
    path = tmp_path / "store" / BatchPaths(batch.batch_id).root / "documents" / name
    if is_missing:
        path.unlink()
    else:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"f", b"g"))
    with pytest.raises(StoreDamaged, match=f"documents/{name} is"):
        written(shelf, batch, tmp_path / "out")
    assert files_in(tmp_path / "out") == {} if (tmp_path / "out").exists() else True


def test_a_batch_of_rows_has_no_documents(shelf: Any, tmp_path: Path) -> None:
    shelf.accept()
    with pytest.raises(RequestError, match="has no documents"):
        write_translations(shelf.store, "night-1", str(tmp_path / "out"), lambda _: {})
