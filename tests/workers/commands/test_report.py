"""Shows workers/commands/report.py: the summary and the progress of a run."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs import logs
from jobs.batches.batch import BatchPaths, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import close
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.publishing.publish import publish
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.usage import Usage
from tests.support import outcomes
from tests.support.outcomes import finding
from workers.commands.report import Reporter
from workers.commands.run import RunProgress


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store_url=str(tmp_path / "store"), model="stub")


def reported(
    settings: Settings,
    tmp_path: Path,
    *,
    completed: int,
    model: str = "stub",
    judged: Sequence[Outcome] = (),
    stopped_by: str | None = None,
) -> tuple[Reporter, Done, str]:
    """Publish a batch of three rows, of which `completed` are completed. Returns a reporter, the batch's marker and its id.

    The outcomes `judged` take the place of the others. `stopped_by` is the budget that ended the round.
    """
    store = open_store(settings.store_url)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind": "chat", "prompt": "Hi?"}\n' * 3)
    batch = accept_file(store, path, IntakeOptions(), settings, "k").batch
    usage = Usage(10, 0, 20, 1_000, 5, 700)
    lines = [
        Outcome(row, 1, 1, "c", "completed", True, "chat", output={"text": "x"}, usage=usage, model="stub")
        if row < completed
        else Outcome(
            row, 1, 1, "c", "failed", True, "chat", error={"code": "empty_output", "message": "none"}, model="stub"
        )
        for row in range(3)
    ]
    lines = [replace(line, model=model) for line in judged or lines]
    if stopped_by is not None:
        close(store, batch.batch_id, "over_budget", stopped_by=stopped_by)
        lines = lines[:completed]
    write(store, BatchPaths(batch.batch_id), lines, "w", "i", 1)
    done = publish(store, batch.batch_id, prices=settings.prices, clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    assert isinstance(done, Done)
    return Reporter(store, batch, settings), done, batch.batch_id


def test_the_summary_and_the_files(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reporter, done, batch_id = reported(settings, tmp_path, completed=3)
    reporter.published(done, tmp_path / "out", 10.0)
    printed = capsys.readouterr().out
    assert "3 completed, of 3" in printed
    assert "30 in, 60 out" in printed
    assert "6.0 tokens/s" in printed
    assert "0.000002 USD charged" in printed
    assert batch_id in printed
    assert not any(word in printed for word in ("Errors", "Verdict", "Findings"))
    assert max(map(len, printed.splitlines())) <= 80 or batch_id in printed
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["errors.jsonl", "output.jsonl", "usage.json"]
    assert len((tmp_path / "out/output.jsonl").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "out/usage.json").read_text())["rows"] == 3


def test_rows_that_did_not_complete_are_counted(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter, done, _ = reported(settings, tmp_path, completed=1)
    reporter.published(done, tmp_path / "out", None)
    printed = capsys.readouterr().out
    assert "1 completed, 2 failed, of 3" in printed
    assert "errors.jsonl" in printed
    assert "nothing was generated" in printed
    assert "--again" in printed


def test_a_budget_that_is_used_up_is_named_with_what_goes_on(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter, done, batch_id = reported(settings, tmp_path, completed=2, stopped_by="its budget of 2 EUR is used up")
    reporter.published(done, tmp_path / "out", 10.0)
    lines = capsys.readouterr().out.splitlines()
    (first,) = (n for n, line in enumerate(lines) if line.startswith("  Budget   "))
    told = " ".join(line.strip() for line in lines[first : first + 2])
    assert told == (
        f"Budget   {batch_id} is paused: its budget of 2 EUR is used up; "
        f"to go on: nightpress resume {batch_id} --budget +AMOUNT"
    )
    assert max(map(len, lines[first : first + 2])) <= 80


def test_all_that_a_run_says_is_an_event_where_the_logs_are_json(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter, _, _ = reported(settings, tmp_path, completed=3)
    logs.configure("info", "json")
    with reporter:
        reporter.show(RunProgress("starting Ray"))
        reporter.show(RunProgress("starting Ray"))
        reporter.report("queue.back", "Redis is back")
    reporter.interrupted("run rows.jsonl")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["run.progress", "queue.back", "run.interrupted"]
    assert lines[2]["command"] == "nightpress run rows.jsonl"


def test_progress_without_a_terminal_is_a_line_from_time_to_time(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter, _, batch_id = reported(settings, tmp_path, completed=3)
    with reporter:
        reporter.show(RunProgress("starting Ray"))
        reporter.show(RunProgress("starting Ray"))
    reporter.interrupted("run rows.jsonl")
    printed = capsys.readouterr().err.splitlines()
    assert printed == [
        f"batch {batch_id}: 3 rows, 0 refused",
        "starting Ray: 0 of 3 rows",
        "Interrupted. 0 of 3 rows are done and kept. Go on with:",
        "  nightpress run rows.jsonl",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_the_line_of_a_terminal_has_whole_parts_alone(settings: Settings, tmp_path: Path, width: int) -> None:
    reporter, _, _ = reported(settings, tmp_path, completed=3)
    reporter._error.width = width
    reporter._rows, reporter._done_rows = 3_256_950, 1_628_475
    line = reporter._line(
        RunProgress("generating", None, 3_661.0), ("1,234.5 rows/s", "123,456 tok/s", "12:34:56 left")
    )
    whole = "generating  [##########..........]  1,628,475 of 3,256,950 rows  1,234.5 rows/s  123,456 tok/s"
    assert len(line) <= width - 3 or line == "generating  1,628,475 of 3,256,950 rows"
    assert set(line.split("  ")) <= {*whole.split("  "), "12:34:56 left", "1:01:01"}
    assert "1,628,475 of 3,256,950 rows" in line
    assert ("[####" in line) == (width == 140)


def test_refused_rows_and_the_loading_of_a_model_are_no_progress(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(settings.store_url)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind": "chat", "prompt": "Hi?"}\n' * 10 + "nonsense\n" * 4)
    batch = accept_file(store, path, IntakeOptions(), settings, "k").batch
    index = OutcomeIndex(store, batch)
    index.refresh()
    reporter = Reporter(store, batch, settings)
    with reporter:
        reporter.show(RunProgress("loading stub for 2 s", index, 2.0))
        reporter.show(RunProgress("loading stub for 12 s", index, 12.0))
    reporter.interrupted("run rows.jsonl")
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == f"batch {batch.batch_id}: 14 rows, 4 refused"
    assert printed[1] == "loading stub for 2 s: 0 of 10 rows"
    assert printed[2].startswith("Interrupted. 0 of 10 rows are done and kept.")
    outcome = Outcome(
        0, 1, 1, "c", "completed", True, "chat", output={"text": "x"}, usage=Usage(1, 0, 20), model="stub"
    )
    write(store, BatchPaths(batch.batch_id), [outcome], "w", "i", 2)
    index.refresh()
    reporter._done_rows = 1
    assert reporter._rate(RunProgress("generating", index, 22.0), 20) == ("0.1 rows/s", "2 tok/s", "0:01:30 left")


def test_verdicts_and_findings_are_reported_with_the_worst_example_of_each_check(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = finding("readability", "note", "the sentences are long: " + "word " * 40 + "\x1b[31m[bold]")
    few = finding("gap", "review", "a gap: [Name]", measured=1, limit=0)
    many = finding("gap", "review", "gaps: [Name], [Date]", measured=2, limit=0)
    rows = [
        outcomes.completed(0, verdict="review", findings=[few, long], custom_id="tea-0"),
        outcomes.completed(1, verdict="review", findings=[many]),
        outcomes.failed(2, "gap", findings=[finding("gap", "fail", "still a gap", tries=3)], rejected={"text": "x"}),
    ]
    reporter, done, batch_id = reported(settings, tmp_path, completed=2, judged=rows)
    reporter.published(done, tmp_path / "out", 10.0)
    printed = capsys.readouterr().out
    assert "  Verdict  2 to review\n" in printed
    assert "\n  Findings of the checks, by rows\n    gap: 1 failed, 2 to review\n      row 2: still a gap\n" in printed
    assert "    readability: 1 noted\n      tea-0: the sentences are long: word word" in printed
    assert "toy" not in printed
    assert "[bold]" in printed
    assert "\x1b" not in printed
    assert all(len(one) <= 80 for one in printed.splitlines() if batch_id not in one and str(tmp_path) not in one)


def test_a_report_without_findings_has_no_part_for_them(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [outcomes.completed(row, verdict="fit") for row in range(3)]
    reporter, done, _ = reported(settings, tmp_path, completed=3, judged=rows)
    reporter.published(done, tmp_path / "out", 10.0)
    printed = capsys.readouterr().out
    assert "  Verdict  3 fit\n" in printed
    assert "Findings" not in printed


def test_a_report_on_a_toy_says_that_it_is_one(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter, done, batch_id = reported(settings, tmp_path, completed=3, model="smollm2-135m")
    reporter.published(done, tmp_path / "out", 10.0)
    printed = capsys.readouterr().out
    assert "smollm2-135m is a toy" in printed
    assert "docs/models.md" in " ".join(printed.split())
    assert all(len(one) <= 80 for one in printed.splitlines() if batch_id not in one and str(tmp_path) not in one)
