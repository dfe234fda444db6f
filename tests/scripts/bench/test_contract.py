"""Shows scripts/bench/contract.py: the rows that it compares, how it groups them, and that its table fits into 80 columns."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.request_row import RowRequest
from jobs.findings import Finding, Severity
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings
from scripts.bench.contract import CONSTRAINTS, ROWS, Judged, group_of, request_of, run, table

FULL = ROWS.with_name("contract_full.jsonl")


@pytest.mark.parametrize("path", [ROWS, FULL], ids=["simple", "full"])
def test_each_row_can_be_read_by_its_kind(path: Path) -> None:
    kinds = load_kinds()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        kinds[row["kind"]].request_type.model_validate(request_of(row))
    assert len(rows) == len({row["custom_id"] for row in rows}) == 60


def test_the_full_rows_are_ten_of_each_group() -> None:
    rows = [json.loads(line) for line in FULL.read_text().splitlines()]
    groups = Counter(row["custom_id"].rpartition("-")[0] for row in rows)
    assert groups == dict.fromkeys(("extras", "lengths", "facts", "several", "marks", "schema"), 10)


@pytest.mark.parametrize(
    ("name", "group"), [("facts-3", "facts"), ("a-b-3", "a-b"), ("a3", "chat"), (None, "chat"), ("-3", "chat")]
)
def test_the_group_of_a_row(name: str | None, group: str) -> None:
    assert group_of(RowRequest(0, 1, "chat", "stub", {}, name)) == group


def test_with_checks_off_no_schema_constrains_and_the_answer_is_judged_by_it() -> None:
    schema = {"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]}
    rows: list[dict[str, Any]] = [
        {"custom_id": "schema-0", "kind": "chat", "prompt": "Rate it.", "output_schema": schema},
        {"custom_id": "schema-1", "kind": "chat", "prompt": "Rate it."},
    ]
    asked, free = run(rows, "stub", "off", Settings())
    assert (asked.group, asked.verdict) == ("schema", "failed")
    assert [one.code for one in asked.findings if one.severity == "fail"] == ["output_not_json"]
    assert asked.error is None, "the kind did not read the answer as JSON"
    assert "output_not_json" not in [one.code for one in free.findings]
    assert "output_schema" in CONSTRAINTS


def test_the_table_fits_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    codes = ("words_off_target", "seo_title", "meta_description", "keyword_use", "invented", "gap", "headings")
    found = [Finding(code=code, severity=Severity.FAIL, message="broken") for code in codes]

    def judged(way: str) -> Sequence[Judged]:
        return [
            Judged(f"{group}-{n}", "article", group, "failed", found, 2_345, 9, {"body": way}, None)
            for group in ("extras", "lengths")
            for n in range(20)
        ]

    table({way: judged(way) for way in ("off", "on")})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1:4]] == ["extras", "lengths", "all"]
