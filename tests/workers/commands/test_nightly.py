"""Tests `nightpress nightly` without a fleet: which files of an inbox become batches, and where the files and outputs go."""

import errno
import gzip
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.input import read_rows
from jobs.batches.rounds import close, is_open, load_batch
from jobs.batches.segments.segment import write
from jobs.errors import RequestError, UnavailableError
from jobs.formats.source import open_source
from jobs.intake.column_options import columns_of
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store
from tests.support import outcomes
from tests.support.command_line import MAIN, ROOT
from workers.commands import nightly
from workers.commands.nightly import Night, NightOptions

ROW = b'{"kind": "chat", "prompt": "Hi?"}\n'


class Nights:
    """An inbox with its store, and the messages of its nights."""

    def __init__(self, folder: Path) -> None:
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.out = folder / "published"
        self.settings = Settings(store_url=str(folder / "store"))
        self.store = open_store(self.settings.store_url)
        self.said: list[str] = []
        self.written: list[str] = []

    def begin(self, **options: Any) -> Night:
        """Accept the files of the inbox."""
        given = NightOptions(self.inbox, self.out, **{"until": "+8h", "kind": "chat", "model": "stub", **options})
        night = Night(self.store, self.settings, given, self.said.append, self.written.append)
        with night.alone():
            night.accept()
        return night

    def publish(self) -> None:
        for batch_id in self.store.list("batches"):
            if is_open(self.store, batch_id):
                close(self.store, batch_id, "cancelled")
                publish(self.store, batch_id, prices=Prices())

    def rows(self) -> dict[str, int]:
        """The name of each batch -> the number of its rows."""
        batches = (load_batch(self.store, batch_id) for batch_id in self.store.list("batches"))
        return {batch.name: batch.rows for batch in batches if batch}

    def put(self, name: str, data: bytes) -> Path:
        (self.inbox / name).write_bytes(data)
        return self.inbox / name

    def left(self) -> set[str]:
        return {file.name for file in self.inbox.iterdir() if not file.name.startswith(".") and not file.is_dir()}


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def as_parquet() -> bytes:
    target = io.BytesIO()
    parquet.write_table(pyarrow.table({"prompt": ["Hi?", "Ho?"]}), target)
    return target.getvalue()


GOOD = {
    "rows.jsonl": ROW,
    "table.csv": b"prompt\nHi?\n",
    "tabs.tsv": b"prompt\tseed\nHi?\t1\n",
    "columns.parquet": as_parquet(),
    "openai.json": b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "stub", '
    b'"messages": [{"role": "user", "content": "Hi?"}]}}\n',
    "packed.jsonl.gz": gzip.compress(ROW),
    "no suffix": ROW,
    "UPPER.JSONL": ROW,
}


def test_a_file_of_every_format_becomes_a_batch(nights: Nights) -> None:
    for name, data in GOOD.items():
        nights.put(name, data)
    night = nights.begin()
    assert (nights.said, night.status) == ([], 0)
    assert nights.rows() == {
        **dict.fromkeys(("rows", "table", "tabs", "openai", "packed", "no suffix", "UPPER"), 1),
        "columns": 2,
    }
    assert night.has_work
    nights.publish()
    night.deliver()
    assert (nights.left(), night.status) == (set(), 1), "each row was cancelled"
    (day,) = nights.out.iterdir()
    assert {folder.name for folder in day.iterdir()} == set(GOOD)
    assert {file.name for file in (nights.inbox / "done" / day.name).iterdir()} == set(GOOD)
    assert len(nights.written) == len(GOOD)
    assert not nights.begin().has_work


def packed_often() -> bytes:
    data = ROW
    for _ in range(200):
        data = gzip.compress(data)
    return data


BAD = {
    "a packed often.gz": (packed_often(), "compressed more than 3 times"),
    "b cut off.gz": (gzip.compress(ROW * 100)[:-9], "damaged or cut off"),
    "c empty.jsonl": (b"\n", "holds no rows"),
    "d notes.txt": (b"Buy milk.\n", "neither JSON Lines nor a CSV"),
    "e sheet.xlsx": (b"PK\x03\x04...", "a workbook (xlsx, ods) or a zip archive"),
    "f array.json": (b'[{"prompt": "Hi?"}', "JSON array is never closed"),
    "g rows.jsonl.part": (ROW, "half-written by its name"),
    "h cut off.parquet": (as_parquet()[:-20], "Parquet file cannot be read"),
    "i one line.jsonl": (b"x" * (3 << 20), "a line of more than 2,097,152 bytes"),
}


def test_a_file_with_a_fault_is_named_and_harms_no_other(nights: Nights) -> None:
    nights.settings = nights.settings.model_copy(update={"input_line_bytes": 2 << 20})
    for name, (data, _) in BAD.items():
        nights.put(name, data)
    (nights.inbox / "j link.jsonl").symlink_to("nowhere")
    os.mkfifo(nights.inbox / "k pipe.jsonl")
    nights.put(".hidden.jsonl", ROW)
    (nights.inbox / "folder").mkdir()
    nights.put("z good.jsonl", ROW)
    night = nights.begin()
    assert (nights.rows(), night.status) == ({"z good": 1}, 2)
    faults = {**{name: message for name, (_, message) in BAD.items()}, "j link.jsonl": "link to nothing"}
    faults["k pipe.jsonl"] = "is not a file"
    assert len(nights.said) == len(faults)
    for said, (name, message) in zip(nights.said, faults.items(), strict=True):
        assert said.startswith("nightly: ")
        assert name in said
        assert message in said
    nights.publish()
    night.deliver()
    assert (nights.left(), night.status) == (set(faults), 2)


def during_the_first(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Call `change` once, after the first file was opened."""
    before, changes = open_source, [change]

    @contextmanager
    def opened(*args: Any) -> Iterator[Any]:
        with before(*args) as file:
            if changes:
                changes.pop()()
            yield file

    monkeypatch.setattr(nightly, "open_source", opened)


def test_a_file_that_vanishes_is_named(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    nights.put("a.jsonl", ROW)
    gone = nights.put("b.jsonl", ROW * 2)
    nights.put("c.jsonl", ROW * 3)
    during_the_first(monkeypatch, gone.unlink)
    assert nights.begin().status == 2
    assert nights.rows() == {"a": 1, "c": 3}
    (said,) = nights.said
    assert "b.jsonl" in said


def test_a_file_that_is_still_written_is_not_taken(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    first = nights.put("a.jsonl", ROW)
    nights.put("b.jsonl", ROW * 2)

    def write_on() -> None:
        with first.open("ab") as file:
            file.write(ROW)

    during_the_first(monkeypatch, write_on)
    assert nights.begin().status == 2
    assert nights.rows() == {"b": 2}
    (said,) = nights.said
    assert "a.jsonl was changed while it was read" in said


def test_a_file_that_may_not_be_read_is_named(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    nights.put("a.jsonl", ROW)
    nights.put("b.jsonl", ROW * 2)
    before = Path.open

    def opened(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "a.jsonl":
            raise PermissionError(13, "Permission denied")
        return before(path, *args, **more)

    monkeypatch.setattr(Path, "open", opened)
    assert nights.begin().status == 2
    assert nights.rows() == {"b": 2}
    (said,) = nights.said
    assert "a.jsonl: Permission denied" in said


def test_a_file_that_changed_after_it_was_read_stays_for_the_next_night(nights: Nights) -> None:
    changed = nights.put("a.jsonl", ROW)
    nights.put("b.jsonl", ROW * 2)
    night = nights.begin()
    changed.write_bytes(ROW * 3)
    nights.publish()
    night.deliver()
    assert (nights.left(), night.status) == ({"a.jsonl"}, 2)
    assert "a.jsonl has changed since it was read" in nights.said[0]
    nights.begin()
    assert len(nights.store.list("batches")) == 3


def test_outputs_that_cannot_be_copied_hold_up_no_other_file(nights: Nights) -> None:
    nights.put("a.jsonl", ROW)
    nights.put("b.jsonl", ROW * 2)
    night = nights.begin()
    nights.publish()
    (day,) = {taken.folder.parent for taken in night._taken}
    day.mkdir(parents=True)
    (day / "a.jsonl").write_text("a file where the folder should be")
    night.deliver()
    assert nights.left() == {"a.jsonl"}
    assert night.status >= 2
    assert (day / "b.jsonl/errors.jsonl").exists()


def test_a_second_file_of_the_same_name_replaces_nothing(nights: Nights) -> None:
    for n in (1, 2, 3):
        nights.put("rows.jsonl", ROW * n)
        night = nights.begin()
        nights.publish()
        night.deliver()
    (day,) = nights.out.iterdir()
    names = {"rows.jsonl", "rows-2.jsonl", "rows-3.jsonl"}
    assert {folder.name for folder in day.iterdir()} == names
    assert {file.name for file in (nights.inbox / "done" / day.name).iterdir()} == names


def test_an_interrupted_night_finds_its_batches_again(nights: Nights) -> None:
    nights.put("rows.jsonl", ROW)
    nights.begin(publish_at="+1h")
    nights.begin(publish_at="+1h")
    assert len(nights.store.list("batches")) == 1


def test_a_name_that_is_not_utf8_is_shown(nights: Nights) -> None:
    nights.put(os.fsdecode(b"caf\xe9.jsonl"), ROW)
    night = nights.begin(publish_at="+1h")
    nights.publish()
    nights.publish()
    night.deliver()
    assert (nights.left(), nights.said) == (set(), [])
    assert nights.written[0].startswith("caf?.jsonl: 0 of 1 rows")


def test_a_night_needs_a_folder_and_times(nights: Nights, tmp_path: Path) -> None:
    for wrong in ({"inbox": tmp_path / "none"}, {"until": "half past seven"}):
        options = NightOptions(**{"inbox": nights.inbox, "out": nights.out, "until": "07:30", **wrong})  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="is not a"):
            Night(nights.store, nights.settings, options, nights.said.append, nights.written.append)


def test_two_nights_do_not_work_on_one_inbox(nights: Nights) -> None:
    night = nights.begin()
    with night.alone(), pytest.raises(UnavailableError, match="another night is working on"):
        nights.begin()


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with a Redis that does not answer, so the batches are made, but the fleet cannot start."""
    environment = {"NIGHTPRESS_REDIS_URL": "redis://127.0.0.1:1/0", "NIGHTPRESS_STORE_URL": "store"}
    return subprocess.run(
        [sys.executable, "-c", MAIN, "nightly", "inbox", "--out", "published", "--model", "stub"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_night_that_is_started_again_after_its_soft_deadline_goes_on(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    file = inbox / "rows.jsonl"
    file.write_text('{"kind": "chat", "prompt": "Hi?"}\n')
    assert run(tmp_path).returncode == 3
    store = open_store(str(tmp_path / "store"))
    (batch_id,) = store.list("batches")
    close(store, batch_id, "postponed")
    assert isinstance(publish(store, batch_id, prices=Prices()), Done)
    assert is_open(store, batch_id)
    ended = run(tmp_path)
    assert (ended.returncode, file.exists(), (tmp_path / "published").exists()) == (3, True, False)
    close(store, batch_id, "cancelled")
    publish(store, batch_id, prices=Prices())
    ended = run(tmp_path)
    assert (ended.returncode, file.exists(), (tmp_path / "published").exists()) == (1, False, True)


def test_a_night_takes_fields_from_other_columns_and_refuses_a_file_of_bad_rows(nights: Nights) -> None:
    nights.put("bad.csv", b"Ask,Notes\n,x\n,y\n")
    nights.put("good.csv", b"Ask,Notes\nHi?,x\n")
    night = nights.begin(columns=columns_of(["prompt=Ask"], "metadata"))
    assert (nights.rows(), night.status) == ({"good": 1}, 2)
    (message,) = nights.said
    assert "bad.csv" in message
    assert "all 2 rows were refused, nothing was accepted" in message
    assert nights.left() == {"bad.csv", "good.csv"}


def test_a_translation_into_its_own_language_is_said(nights: Nights) -> None:
    row = b'{"kind": "translation", "text": "Tea.", "source_language": "en", "target_language": "English"}\n'
    nights.put("a.jsonl", row * 2 + ROW)
    nights.begin()
    (said,) = [line for line in nights.said if "same language" in line]
    assert said.startswith("nightly: a.jsonl: 2 rows: source_language en and ")


def test_an_input_is_moved_although_nobody_reads_the_result(nights: Nights) -> None:
    """Standard output is closed or full, and so is standard error: no file is taken again in the next night."""

    def failed(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    nights.put("a.jsonl", ROW)
    nights.put("b.jsonl", ROW)
    given = NightOptions(nights.inbox, nights.out, until="+8h", kind="chat", model="stub")
    night = Night(nights.store, nights.settings, given, failed, failed)
    with night.alone():
        night.accept()
    nights.publish()
    night.deliver()
    assert nights.left() == set()
    assert night.status == 2
    (day,) = (nights.inbox / "done").iterdir()
    assert {file.name for file in day.iterdir()} == {"a.jsonl", "b.jsonl"}


@pytest.mark.parametrize(
    ("verdicts", "accept_review", "status", "words"),
    [
        pytest.param(["fit", "fit"], False, 0, "2 of 2 rows (2 fit) in", id="all fit"),
        pytest.param(["fit", "review"], False, 1, "2 of 2 rows (1 fit, 1 to review) in", id="one for review"),
        pytest.param(["fit", "review"], True, 0, "2 of 2 rows (1 fit, 1 to review) in", id="accepted"),
        pytest.param([None, None], False, 0, "2 of 2 rows in", id="not checked"),
        pytest.param(["fit", "failed"], True, 1, "1 of 2 rows (1 fit) in", id="one failed"),
    ],
)
def test_a_night_ends_well_only_if_all_rows_can_be_published(
    nights: Nights, *, verdicts: list[Any], accept_review: bool, status: int, words: str
) -> None:
    nights.settings = nights.settings.model_copy(update={"accept_review": accept_review})
    nights.put("a.jsonl", ROW * 2)
    night = nights.begin()
    (batch_id,) = nights.store.list("batches")
    lines = [
        outcomes.failed(row) if verdict == "failed" else outcomes.completed(row, verdict=verdict)
        for row, verdict in enumerate(verdicts)
    ]
    write(nights.store, BatchPaths(batch_id), lines, "w", "i", 1)
    assert isinstance(publish(nights.store, batch_id, prices=Prices()), Done)
    night.deliver()
    assert (night.status, nights.said) == (status, [])
    assert words in nights.written[0]


def test_a_night_whose_budget_is_used_up_says_how_to_go_on(nights: Nights) -> None:
    nights.put("a.jsonl", ROW * 2)
    night = nights.begin()
    (batch_id,) = nights.store.list("batches")
    write(nights.store, BatchPaths(batch_id), [outcomes.completed(0)], "w", "i", 1)
    close(nights.store, batch_id, "over_budget", stopped_by="its budget of 2 EUR is used up")
    assert isinstance(publish(nights.store, batch_id, prices=Prices()), Done)
    night.deliver()
    assert night.status == 1
    (said,) = nights.said
    assert said == (
        f"nightly: a.jsonl: {batch_id} is paused: its budget of 2 EUR is used up; "
        f"to go on: nightpress resume {batch_id} --budget +AMOUNT"
    )


PO = b"""msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

msgid "Save %s"
msgstr ""
"""
INTO_GERMAN = {"kind": "translation", "set": ("source_language=en", "target_language=de")}


def translate(store: Store) -> None:
    """Publish each batch with its texts in capital letters, but for what a letter would damage."""
    for batch_id in store.list("batches"):
        batch = load_batch(store, batch_id)
        assert batch is not None
        rows = [row for lane in batch.lanes for row in read_rows(store, batch_id, lane)]
        texts = [{"text": row.request["text"].replace("Save", "Sichern")} for row in rows]
        done = [
            outcomes.completed(row.row, output=text, metadata=row.metadata)
            for row, text in zip(rows, texts, strict=True)
        ]
        write(store, BatchPaths(batch_id), done, "w", "i", 1)
        assert isinstance(publish(store, batch_id, prices=Prices()), Done)


@pytest.mark.parametrize("publish_at", [None, "+1h"])
def test_documents_come_back_translated(nights: Nights, publish_at: str | None) -> None:
    nights.put("messages.po", PO)
    nights.put("page.md", b"# Getting started\n\nSave `x` now.\n")
    nights.put("rows.jsonl", b'{"text": "Good night."}\n')
    night = nights.begin(**INTO_GERMAN, publish_at=publish_at)
    assert (night.status, nights.said) == (0, [])
    assert nights.rows() == {"messages": 1, "page": 2, "rows": 1}
    translate(nights.store)
    night.deliver()
    (day,) = nights.out.iterdir()
    assert b'msgstr "Sichern %s"' in (day / "messages.po/de/messages.po").read_bytes()
    assert (day / "page.md/de/page.md").read_text() == "# Getting started\n\nSichern `x` now.\n"
    assert (day / "messages.po/output.jsonl").exists()
    assert not (day / "rows.jsonl/de").exists()
    assert nights.left() == set()
    assert "  de/messages.po: 1 translated" in nights.said


def test_a_document_with_texts_that_stay_ends_the_night_with_1(nights: Nights) -> None:
    nights.put("messages.po", PO)
    night = nights.begin(**INTO_GERMAN)
    nights.publish()
    night.deliver()
    assert night.status == 1
    assert any("1 segment stays as in the source" in line for line in nights.said), nights.said


def test_a_document_that_changes_while_it_is_read_makes_no_batch(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = nights.put("messages.po", PO)
    copy = shutil.copyfile

    def copied(source: Path, target: Path) -> None:
        copy(source, target)
        file.write_bytes(PO * 2)

    monkeypatch.setattr(shutil, "copyfile", copied)
    night = nights.begin(**INTO_GERMAN)
    assert night.status == 2
    assert nights.rows() == {}
    assert "messages.po was changed while it was read" in nights.said[0]


def test_documents_of_a_night_need_their_languages(nights: Nights) -> None:
    nights.put("messages.po", PO)
    nights.put("a.jsonl", b'{"kind": "chat", "prompt": "Hi?"}\n')
    night = nights.begin(kind="translation")
    assert night.status == 2
    assert "target_language" in nights.said[0]
    assert nights.rows() == {"a": 1}
