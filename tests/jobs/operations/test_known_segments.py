"""Shows that estimates and previews leave out what the translation memory knows."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.commands.views.estimate import heading, legend, table
from jobs.commands.views.preview import lines as preview_lines
from jobs.formats.record import Record
from jobs.intake.accept import IntakeOptions, row_reader
from jobs.intake.remembering import RowLookup
from jobs.kinds.registry import load_kinds
from jobs.memory.entry import Entry
from jobs.memory.files import import_name, write_section
from jobs.operations.estimate import Estimate, Line, estimate
from jobs.operations.preview import Preview, previews
from jobs.settings import MemorySettings, Settings
from jobs.store.local import LocalStore
from jobs.usage import Usage

KINDS = load_kinds()
ASKED = {"kind": "translation", "source_language": "en", "target_language": "de"}
OTHERS = ["Close the window", "Leave it open", "Nothing of it is known"]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(str(tmp_path / "store"))
    save = Entry(
        "Save all files", "Alle Dateien sichern", "en", "de", datetime(2026, 12, 1, tzinfo=UTC), origin="editor"
    )
    write_section(made, "default", import_name("0" * 64), [save])
    return made


def estimated(store: LocalStore, cache: Path, texts: Sequence[str], **settings: Any) -> Estimate:
    rows = [orjson.dumps({**ASKED, "text": text}) for text in texts]
    given = Settings(store_url=store.url, cache_dir=cache, model="stub", **settings)
    return estimate(store, rows, IntakeOptions(), KINDS, given)


def tokens(line: Line) -> tuple[int, int]:
    return line.usage.prompt_tokens, line.usage.completion_tokens


def test_known_rows_are_rows_and_take_nothing(store: LocalStore, tmp_path: Path) -> None:
    (without,) = estimated(store, tmp_path, OTHERS).lines
    (found,) = estimated(store, tmp_path, [*OTHERS, "Save all files", "Save all files"]).lines
    assert (found.rows, found.known_rows, without.known_rows) == (5, 2, 0)
    assert tokens(found) == tokens(without)


def test_known_segments_of_a_row_take_nothing(store: LocalStore, tmp_path: Path) -> None:
    text = "Save all files\nClose the window"
    (half,) = estimated(store, tmp_path, [text]).lines
    (whole,) = estimated(store, tmp_path, [text], memory=MemorySettings(enabled=False)).lines
    assert (half.rows, half.known_rows) == (1, 0)
    assert tokens(half) < tokens(whole)
    assert half.usage.completion_tokens < whole.usage.completion_tokens


def test_a_file_whose_rows_are_all_known_takes_nothing_and_says_why(store: LocalStore, tmp_path: Path) -> None:
    found = estimated(store, tmp_path, ["Save all files"] * 3)
    (line,) = found.lines
    assert (line.basis, line.rows, line.known_rows, line.usage) == ("memory", 3, 3, Usage())
    assert found.interval == (Usage(), Usage())
    assert "  3 rows that the translation memory answers, without a model" in list(heading(found))
    assert "memory: the translation memory has all segments of these rows" in list(legend(found, "EUR"))
    assert table(found, "EUR").rows[0][-1] == "memory"


def test_a_memory_that_cannot_be_asked_is_said(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    found = estimated(store, tmp_path / "file", ["Save all files", *OTHERS])
    ((remark, rows),) = found.remarks.items()
    assert (rows, "memory could not be asked" in remark) == (4, True)
    assert found.lines[0].known_rows == 0


def previewed(store: LocalStore, cache: Path, text: str) -> Preview:
    settings = Settings(store_url=store.url, cache_dir=cache, model="stub")
    reader = row_reader(IntakeOptions(), KINDS, settings)
    with closing(RowLookup(store, KINDS, settings)) as memory:
        (found,) = previews([Record(1, b"", {**ASKED, "text": text})], reader, KINDS, settings, 1, memory)
    assert isinstance(found, Preview)
    return found


def test_a_preview_shows_only_what_is_asked(store: LocalStore, tmp_path: Path) -> None:
    (prompt,) = previewed(store, tmp_path, "Save all files\nClose the window").prompts
    assert prompt.messages[-1].content.endswith("\n\nClose the window"), "the line before is only its context"
    known = previewed(store, tmp_path, "Save all files")
    assert not known.prompts
    assert list(preview_lines(known))[-1] == "  nothing is asked: the translation memory has all its segments"
