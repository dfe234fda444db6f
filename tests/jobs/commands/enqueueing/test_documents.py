"""Shows the commands over a batch of documents: enqueue, preview, status, show, failed and results."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.rounds import load_batch
from jobs.client import Client
from jobs.errors import RequestError
from jobs.settings import Settings
from tests.support.command_line import Ran
from tests.support.documents.batches import outcomes_of, shouted

INTO = ("--kind", "translation", "--set", "source_language=en", "--set", "target_language=fr,de", "--model", "stub")

Run = Callable[..., Ran]


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "guide").mkdir(parents=True)
    (folder / "index.md").write_text("# Growing tomatoes\n\nWater `it` now.\n")
    (folder / "guide/soil.md").write_text("Use good soil.\n")
    return folder


def published(shelf: Any, batch_id: str, answer: Any = shouted) -> None:
    batch = load_batch(shelf.store, batch_id)
    assert batch is not None
    shelf.write(batch_id, outcomes_of(shelf.store, batch, answer))
    shelf.publish(batch_id)


def test_a_folder_of_pages_from_enqueue_to_results(nightpress: Run, shelf: Any, pages: Path, tmp_path: Path) -> None:
    made = nightpress("enqueue", str(pages), *INTO)
    assert (made.status, made.err) == (0, "6 rows, 0 refused\n  2 documents into fr, de\n")
    batch_id = made.out.strip()
    assert batch_id.startswith("pages-")
    assert "2 documents into fr, de" in nightpress("status", batch_id).out
    assert nightpress("show", batch_id, "guide/soil.md:fr:1").out.startswith(f"{batch_id} row 0 (guide/soil.md:fr:1)")
    early = nightpress("results", batch_id, "--format", "document", "-o", "early")
    assert early.status == 1
    assert "fr/guide/soil.md: 0 translated, 1 not done" in early.err
    assert "is not finished" in early.err
    published(shelf, batch_id)
    ran = nightpress("results", batch_id, "--format", "document", "-o", "out")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        "4 files in out",
        "  fr/guide/soil.md: 1 translated",
        "  de/guide/soil.md: 1 translated",
        "  fr/index.md: 2 translated",
        "  de/index.md: 2 translated",
    ]
    assert (tmp_path / "out/fr/index.md").read_text() == "# GROWING TOMATOES\n\nWATER `it` NOW.\n"
    assert f"results {batch_id} --format document -o FOLDER" in nightpress("status", batch_id).out


def test_segments_that_fail_are_named_with_their_code(nightpress: Run, shelf: Any, pages: Path, tmp_path: Path) -> None:
    batch_id = nightpress("enqueue", str(pages), *INTO).out.strip()
    published(shelf, batch_id, lambda one: None if one.request["text"].startswith("Water") else shouted(one))
    ran = nightpress("results", batch_id, "--format", "document", "-o", "out")
    assert ran.status == 1
    assert ran.err.splitlines()[-3:] == [
        "2 segments stay as in the source: 2 x placeholders_changed",
        "  index.md [fr] line 3, segment 2: placeholders_changed",
        "  index.md [de] line 3, segment 2: placeholders_changed",
    ]
    assert (tmp_path / "out/fr/index.md").read_text() == "# GROWING TOMATOES\n\nWater `it` now.\n"
    listed = nightpress("failed", "list", batch_id).out
    assert "index.md:fr:2" in listed
    assert nightpress("failed", "retry", batch_id).status == 0
    published(shelf, batch_id)
    assert nightpress("results", batch_id, "--format", "document", "-o", "out").status == 0
    assert (tmp_path / "out/fr/index.md").read_text() == "# GROWING TOMATOES\n\nWATER `it` NOW.\n"


def test_preview_and_dry_run_read_documents(nightpress: Run, pages: Path) -> None:
    ran = nightpress("preview", str(pages / "index.md"), *INTO, "--limit", "1")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("row 0 (index.md:fr:1): translation by stub")
    assert "Growing tomatoes" in ran.out
    ran = nightpress("enqueue", str(pages), *INTO, "--dry-run")
    assert (ran.status, ran.out.splitlines()[0]) == (0, "6 rows, 0 of them to be refused; nothing is enqueued")
    (pages / "index.md").write_text("```\nx\n```\n")
    for command in (("preview",), ("enqueue", "--dry-run"), ("enqueue",)):
        ran = nightpress(*command, str(pages / "index.md"), *INTO)
        assert (ran.status, ran.out) == (2, "")
        assert "index.md: no text to translate" in ran.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "a document is a file a language: name a folder with -o"),
        (("-o", "-"), "a document is a file a language: name a folder with -o"),
        (("--errors", "-o", "out"), "leave out --format document"),
        (("--only", "failed", "-o", "out"), "leave out --format document"),
    ],
)
def test_wrong_options_of_results(nightpress: Run, pages: Path, args: tuple[str, ...], message: str) -> None:
    batch_id = nightpress("enqueue", str(pages), *INTO).out.strip()
    ran = nightpress("results", batch_id, "--format", "document", *args)
    assert (ran.status, message in ran.err) == (2, True)


def test_results_into_a_file_is_an_error_in_one_line(nightpress: Run, shelf: Any, pages: Path, tmp_path: Path) -> None:
    batch_id = nightpress("enqueue", str(pages), *INTO).out.strip()
    published(shelf, batch_id)
    (tmp_path / "taken").write_text("")
    ran = nightpress("results", batch_id, "--format", "document", "-o", "taken")
    assert ran.status in (2, 3)
    assert "cannot write" in ran.err
    assert "Traceback" not in ran.err


def test_wrong_options_of_enqueue(nightpress: Run, pages: Path, tmp_path: Path) -> None:
    page = str(pages / "index.md")
    for args, message in (
        ((page,), "no source_language: documents need --set source_language=en --set target_language=fr"),
        ((page, *INTO, "--output-format", "document"), "needs --output-url"),
        ((page, *INTO, "--output-format", "document", "--output-url", "out"), "end it with /"),
        ((page, *INTO, "--format", "mardown"), "did you mean markdown?"),
        ((page, *INTO, "--map", "text=a"), "--map"),
        ((str(tmp_path / "none"), *INTO), "cannot read"),
    ):
        ran = nightpress("enqueue", *args)
        assert (ran.status, ran.out) == (2, ""), args
        assert message in ran.err, args


def test_a_program_enqueues_documents_and_writes_them(shelf: Any, pages: Path, tmp_path: Path) -> None:
    settings = Settings(store_url=str(tmp_path / "store"), model="stub")
    languages = {"source_language": "en", "target_language": ["fr", "pt-BR"]}
    with Client(settings, clock=shelf.clock) as client:
        batch = client.enqueue([pages / "index.md", pages / "guide"], kind="translation", fields=languages)
        assert (batch.documents, tuple(batch.languages), batch.rows) == (2, ("fr", "pt-BR"), 6)
        assert client.estimate(pages, kind="translation", fields=languages).rows == 6
        assert client.status(batch).documents == 2
        published(shelf, batch.id)
        report = client.write_documents(batch, str(tmp_path / "out"))
        assert report.is_whole
        assert [one.name for one in report.files][0::2] == ["fr/guide/soil.md", "fr/index.md"]
        with pytest.raises(RequestError, match="named by its path"), (pages / "index.md").open("rb") as file:
            client.enqueue(file, kind="translation", fields=languages, format="markdown")


def test_refused_segments_are_mended_in_their_documents(nightpress: Run, pages: Path) -> None:
    (pages / "bad.md").write_bytes(b"\xff")
    made = nightpress("enqueue", str(pages), *INTO)
    assert made.status == 0
    assert "line 1: unreadable_document: bad.md, line 1: it is not valid utf-8: save it as UTF-8" in made.err
    assert "failed export" not in made.err
    ran = nightpress("failed", "export", made.out.strip(), "-o", "fix.jsonl")
    assert (ran.status, "mend the documents" in ran.err) == (2, True)


def test_a_document_may_come_from_standard_input(nightpress: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"# Open it\n")))
    made = nightpress("enqueue", "-", "--format", "markdown", *INTO)
    assert (made.status, made.err) == (0, "2 rows, 0 refused\n  1 document into fr, de\n")
