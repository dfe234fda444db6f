"""Shows jobs/commands/enqueue.py."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.support.command_line import Ran, command

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


GOOD = '{"kind": "chat", "prompt": "Hello", "model": "stub"}\n'


BAD = '{"kind": "chat"}\n'


def test_enqueue_prints_the_id_and_nothing_else(nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "night.jsonl").write_text(GOOD + "not json\n" + GOOD)
    ran = nightpress("enqueue", "night.jsonl")
    assert ran.status == 0
    (batch_id,) = ran.out.splitlines()
    assert batch_id.startswith("night-")
    assert ran.err.startswith("3 rows, 1 refused\n  line 2: not_json: ")
    (one,) = nightpress("status", batch_id, "--json").json()["batches"]
    assert (one["id"], one["rows"], one["failed"], one["waiting"]) == (batch_id, 3, 1, 2)
    assert nightpress("show", batch_id, "2", "--json").json()["request"]["line"] == 3


def test_options_fill_the_fields_that_rows_lack(nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "night.jsonl").write_text('{"topic": "Tea"}\n{"topic": "Ink"}\n')
    args = (
        "--kind article --model stub --set language=fr --tenant acme --priority 9 --name tea --deadline +8h --limit 1"
    )
    ran = nightpress("enqueue", "night.jsonl", *args.split())
    batch = orjson.loads(shelf.store.read(f"batches/{ran.out.strip()}/batch.json"))
    assert (batch["name"], batch["tenant"], batch["rows"], batch["deadline"]) == (
        "tea",
        "acme",
        1,
        "2026-11-24T06:00:00Z",
    )
    request = nightpress("show", "tea", "0", "--json").json()["request"]
    assert (request["kind"], request["request"]["language"], request["priority"]) == ("article", "fr", 9)


def test_enqueue_reads_standard_input(tmp_path: Path) -> None:
    ran = command("enqueue", "-", cwd=tmp_path, stdin=GOOD * 2)
    assert (ran.status, ran.err) == (0, "2 rows, 0 refused\n")
    assert (tmp_path / ".nightpress/store/batches" / ran.out.strip() / "batch.json").exists()


def test_a_run_key_makes_the_same_rows_one_batch_and_again_another(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "night.jsonl").write_text(GOOD)
    first = nightpress("enqueue", "night.jsonl", "--run-key", "monday")
    second = nightpress("enqueue", "night.jsonl", "--run-key", "monday")
    assert (second.status, second.out) == (0, first.out)
    assert "exists already, from the same rows and run key, and is open" in second.err
    assert nightpress("enqueue", "night.jsonl", "--run-key", "monday", "--again").out != first.out
    assert nightpress("enqueue", "night.jsonl").out != nightpress("enqueue", "night.jsonl").out


def test_strict_refuses_the_whole_file_and_names_every_bad_line(
    nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "night.jsonl").write_text(GOOD + BAD + GOOD + "[]\n")
    ran = nightpress("enqueue", "night.jsonl", "--strict")
    assert (ran.status, ran.out) == (2, "")
    head, *lines = ran.err.splitlines()
    assert head == "nightpress: 2 bad lines, nothing was accepted:"
    assert [line.split(":")[0] for line in lines] == ["line 2", "line 4"]
    assert shelf.store.list("batches") == []


@pytest.mark.parametrize("option", [(), ("--dry-run",)], ids=["enqueue", "dry run"])
def test_a_file_of_which_every_row_is_refused_makes_no_batch(
    option: Sequence[str], nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "night.jsonl").write_text(BAD * 7 + "[]\n")
    ran = nightpress("enqueue", "night.jsonl", *option)
    assert (ran.status, ran.out) == (2, "")
    head, first, second, advice = ran.err.splitlines()
    assert head == "nightpress: all 8 rows were refused, nothing was accepted:"
    assert first.startswith("  7 x missing_field, lines 1, 2, 3, 4, 5 and 2 more: ")
    assert second.startswith("  1 x not_an_object, line 8: ")
    assert advice.startswith("The columns are kind. The fields of chat are ")
    assert shelf.store.list("batches") == shelf.store.list("open") == []


def test_kept_columns_come_back_as_columns(nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Ask,Price\nHi,9\n")
    args = ("a.csv", "--kind", "chat", "--model", "stub", "--map", "prompt=Ask", "--extra", "metadata")
    (batch_id,) = nightpress("enqueue", *args).out.splitlines()
    shelf.write(batch_id, [shelf.completed(0, metadata={"Price": "9"})])
    (row,) = csv.DictReader(nightpress("results", batch_id, "--format", "csv").out.splitlines())
    assert row["Price"] == "9"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(["none.jsonl"], "cannot read none.jsonl: No such file", id="a file that is not there"),
        pytest.param(["empty.jsonl"], "holds no rows", id="an empty file"),
        pytest.param(["good.jsonl", "--set", "language"], "FIELD=VALUE", id="a field without a value"),
        pytest.param(["good.jsonl", "--priority", "10"], "--priority", id="a priority out of range"),
        pytest.param(["good.jsonl", "--deadline", "late"], "not a time", id="a deadline that is none"),
    ],
)
def test_a_file_or_option_that_cannot_be_enqueued_is_refused(
    args: Sequence[str], message: str, nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "good.jsonl").write_text(GOOD)
    ran = nightpress("enqueue", *args)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert shelf.store.list("batches") == []


def test_one_model_for_all_rows(nightpress: Callable[..., Ran], shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "night.jsonl").write_text('{"kind": "chat", "prompt": "a", "model": "org/other"}\n')
    assert nightpress("enqueue", "night.jsonl", "--override-model").status == 2
    (batch_id,) = nightpress("enqueue", "night.jsonl", "--model", "stub", "--override-model").out.splitlines()
    assert nightpress("show", batch_id, "0", "--json").json()["request"]["model"] == "stub"
    shown = nightpress("preview", "night.jsonl", "--model", "stub", "--override-model", "--json").json()
    assert shown["model"] == "stub"
    assert "--override-model" in nightpress("preview", "night.jsonl").out


def test_a_translation_into_its_own_language_is_said_by_every_command_that_reads_it(
    nightpress: Callable[..., Ran], tmp_path: Path
) -> None:
    rows = [("en", "en-US"), ("English", "en-US"), ("en", "de"), ("de", "German")]
    (tmp_path / "a.jsonl").write_bytes(
        b"\n".join(
            orjson.dumps(
                {
                    "kind": "translation",
                    "text": "Tea.",
                    "source_language": source,
                    "target_language": target,
                    "custom_id": "x",
                }
                if n == 1
                else {"kind": "translation", "text": "Tea.", "source_language": source, "target_language": target}
            )
            for n, (source, target) in enumerate(rows)
        )
    )
    both = "2 rows: source_language en and target_language en-US are the same language"
    german = "1 row: source_language de and target_language de are the same language"
    ran = nightpress("enqueue", "a.jsonl", "--dry-run", "--model", "stub")
    assert (ran.status, both in ran.out, german in ran.out) == (0, True, True)
    ran = nightpress("enqueue", "a.jsonl", "--model", "stub")
    assert (ran.status, both in ran.err, german in ran.err, len(ran.out.splitlines())) == (0, True, True, 1)
    ran = nightpress("preview", "a.jsonl", "--model", "stub")
    assert ran.out.count("  note: source_language ") == 3
    shown = nightpress("preview", "a.jsonl", "--model", "stub", "--json").rows()
    assert [row["remark"] is not None for row in shown] == [True, True, False, True]


def test_a_row_that_is_refused_is_not_remarked_on(nightpress: Callable[..., Ran], tmp_path: Path) -> None:
    row = (
        '{"kind": "translation", "text": "Tea.", "source_language": "en", "target_language": "en", "custom_id": "x"}\n'
    )
    (tmp_path / "a.jsonl").write_text(row * 3)
    assert "  1 row: source_language en and" in nightpress("enqueue", "a.jsonl", "--model", "stub").err
