"""Shows jobs/commands/show.py and views/row.py."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.usage import Usage
from tests.support.command_line import Ran
from tests.support.outcomes import finding

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_show_has_everything_about_a_row(nightpress: Callable[..., Ran], night: Shelf) -> None:
    shown = nightpress("show", "night-1", "2", "--json").json()
    assert shown["request"]["request"] == {"prompt": "Row 2"}
    assert [(attempt["status"], attempt["final"]) for attempt in shown["attempts"]] == [
        ("failed", False),
        ("failed", True),
    ]
    assert shown["outcome"]["error"]["code"] == "empty_output"
    shown = nightpress("show", "night-1", "3", "--json").json()
    assert shown["outcome"]["usage"]["prompt_tokens"] == 103
    refused = nightpress("show", "night-1", "1", "--json").json()
    assert (refused["request"], refused["outcome"]["error"]["line"]) == (None, 2)


def test_show_reads_as_a_story_and_fits_80_columns(
    nightpress: Callable[..., Ran], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shelf.accept(rows=2, refused=[1])
    shelf.write("night-1", [shelf.failed(0, final=False)])
    shelf.write("night-1", [shelf.priced(0, "EUR", output={"text": "word " * 40}, wasted=Usage(0, 0, 7))])
    shelf.publish()
    out = nightpress("show", "night-1", "0").out
    assert max(map(len, out.splitlines())) <= 80
    for part in (
        "night-1 row 0 (c0): chat by stub, line 1 of the input",
        "request\n  prompt: Row 0\n",
        "prompt main\n  user:\n    Row 0\n",
        "attempt 1, round 1: failed, to be tried again\n  check failed: empty_output: the model wrote nothing\n",
        "by w, 2026-11-23T22:00:00+00:00 to 2026-11-23T22:00:00+00:00: completed\n  not checked\n",
        "7 tokens were written again",
        "outcome: completed\n  text: word word",
        "100 prompt tokens (0 cached), 10 completion tokens",
        "0.001400 EUR charged",
    ):
        assert " ".join(part.split()) in " ".join(out.split())
    assert "refused at intake" in nightpress("show", "night-1", "1").out


def test_show_of_a_refused_row_names_it_and_tells_of_no_attempt(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=2, refused=[0, 1])
    shelf.write("night-1", [replace(shelf.refusal(1), custom_id="tea-1")])
    shelf.publish()
    out = nightpress("show", "night-1", "1").out
    assert out.startswith("night-1 row 1 (tea-1)\n  refused at intake: no attempt was made\noutcome: failed\n")


def test_show_of_a_row_that_nobody_has_tried(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept()
    ran = nightpress("show", "night-1", "2", "--json")
    assert (ran.json()["attempts"], ran.json()["outcome"]) == ([], None)
    assert "not published yet" in ran.err


def test_show_works_for_a_row_whose_request_is_damaged(nightpress: Callable[..., Ran], night: Shelf) -> None:
    (path,) = Path(night.store.url).glob("batches/night-1/input/stub.jsonl")
    path.write_bytes(path.read_bytes().replace(b"Row 0", b"Raw 0").replace(b'{"row":2', b'{row":2'))
    for row in (0, 2):
        assert nightpress("show", "night-1", str(row), "--json").json()["request"] is None
    assert nightpress("show", "night-1", "0").status == 0
    assert nightpress("show", "night-1", "3", "--json").json()["request"]["request"] == {"prompt": "Row 3"}


def test_numbers_in_the_texts_of_other_rows_mislead_nobody(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    """Lines of other rows are skipped by the number at their beginning, without being parsed."""
    shelf.accept(rows=12)
    texts = [f'{{"row":{11 - n},"batch_id":"x","row":{n}}}' for n in range(12)]
    shelf.write("night-1", [shelf.completed(n, output={"text": text}) for n, text in enumerate(texts) if n % 5])
    shelf.write("night-1", [shelf.failed(n) for n in (0, 5, 10)])
    shelf.publish()
    for n in range(12):
        shown = nightpress("show", "night-1", str(n), "--json").json()
        assert shown["request"]["request"] == {"prompt": f"Row {n}"}
        assert shown["outcome"]["row"] == n
        assert shown["outcome"].get("output") == ({"text": texts[n]} if n % 5 else None)


def test_a_row_is_shown_by_its_custom_id(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=3, refused=[1])
    assert "night-1 row 2 (c2)" in nightpress("show", "night-1", "c2").out
    assert nightpress("show", "night-1", "id:c2", "--json").json()["row"] == 2
    ran = nightpress("show", "night-1", "c9")
    assert (ran.status, ran.out) == (2, "")
    assert "no row of night-1 has the custom_id 'c9'" in ran.err


@pytest.mark.parametrize("row", ["-1", "-12", "-1.5"])
def test_a_negative_row_is_no_option(nightpress: Callable[..., Ran], night: Shelf, row: str) -> None:
    shown = nightpress("show", "night-1", row)
    assert shown.status == 2
    assert f"no row {row}: rows count from 0; the custom_id {row} is written id:{row}" in shown.err


@pytest.mark.parametrize("is_open", [True, False])
def test_show_has_what_the_checks_said(
    nightpress: Callable[..., Ran], shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, is_open: bool
) -> None:
    """While no round is published, the attempt has the findings; after that, the outcome has them."""
    monkeypatch.setenv("COLUMNS", "80")
    shelf.accept(rows=3)
    title = finding(
        where={"field": "title", "start": 0, "end": 6}, message="a gap of a template: \x1b[31m" + "word " * 30
    )
    broken = replace(shelf.failed(2), findings=[finding(severity="fail", tries=3)], rejected={"text": "Dear [Name]"})
    shelf.write("night-1", [shelf.completed(0, verdict="fit"), shelf.completed(1, verdict="review", findings=[title])])
    shelf.write("night-1", [broken])
    if not is_open:
        shelf.publish()
    fit, review, failed = (nightpress("show", "night-1", str(row)).out for row in range(3))
    assert "completed\n  checks passed\n" in fit
    assert "completed\n  checks passed, but a person should look at it\n" in review
    assert review.count("review gap (title): a gap of a template: ") == 1
    assert failed.count("  fail gap: a gap\n") == 1
    assert failed.count("refused output:\n  text: Dear [Name]\n") == 1
    assert max(map(len, review.splitlines())) <= 80
    assert "\x1b" not in review
    outcomes = [[line for line in one.splitlines() if line.startswith("outcome")] for one in (fit, review, failed)]
    closed = [["outcome: completed, verdict: fit"], ["outcome: completed, verdict: review"], ["outcome: failed"]]
    assert outcomes == ([[]] * 3 if is_open else closed)
    attempts = nightpress("show", "night-1", "2", "--json").json()["attempts"]
    assert (attempts[0]["rejected"], attempts[0]["findings"]) == (broken.rejected, broken.findings)
