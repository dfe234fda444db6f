"""Shows jobs/operations/content/findings.py: findings of published rows are added up by check, each with its worst example."""

from typing import Any

import orjson
import pytest

from jobs.operations.content.findings import FoundCode, by_code
from tests.support.outcomes import finding


def line(row: int, *findings: dict[str, Any], custom_id: str | None = None, **more: Any) -> bytes:
    """A published row with these findings, as a line."""
    return orjson.dumps({"batch_id": "b", "row": row, "custom_id": custom_id, "findings": list(findings), **more})


def counted(found: list[FoundCode]) -> list[tuple[str, int, int, int]]:
    return [(one.code, one.failed, one.review, one.noted) for one in found]


def test_a_row_counts_once_for_each_check_by_its_worst_finding() -> None:
    lines = [
        line(0, finding("gap", "note"), finding("gap", "fail"), finding("gap", "review")),
        line(1, finding("gap", "review"), finding("echo", "note"), finding("echo", "note")),
        line(2),
    ]
    assert counted(by_code(lines)) == [("gap", 1, 1, 0), ("echo", 0, 0, 1)]


def test_what_fails_most_rows_comes_first() -> None:
    lines = [
        line(0, finding("b_note", "note"), finding("b_review", "review"), finding("b_fail", "fail")),
        line(1, finding("a_note", "note"), finding("a_review", "review"), finding("b_review", "review")),
        line(2, finding("a_fail", "fail"), finding("b_fail", "fail")),
    ]
    found = [one.code for one in by_code(lines)]
    assert found == ["b_fail", "a_fail", "b_review", "a_review", "a_note", "b_note"]


@pytest.mark.parametrize(
    ("findings", "worst"),
    [
        pytest.param([finding("x", "review"), finding("x", "fail"), finding("x", "note")], 1, id="by severity"),
        pytest.param(
            [
                finding("x", measured=12, limit=10),
                finding("x", measured=30, limit=10),
                finding("x", measured=11, limit=10),
            ],
            1,
            id="above the limit",
        ),
        pytest.param(
            [
                finding("x", measured=90, limit=100),
                finding("x", measured=95, limit=100),
                finding("x", measured=3, limit=100),
            ],
            2,
            id="below the limit",
        ),
        pytest.param([finding("x", measured=300, limit=100), finding("x", measured=3, limit=0)], 1, id="a limit of 0"),
        pytest.param([finding("x", "fail"), finding("x", measured=9, limit=1)], 0, id="severity before distance"),
        pytest.param([finding("x"), finding("x", measured="de", limit="en")], 0, id="the first of equals"),
    ],
)
def test_the_example_is_the_worst(findings: list[dict[str, Any]], worst: int) -> None:
    """It is so in whichever rows the findings are, and also within one row."""
    named = [{**one, "message": f"number {n}"} for n, one in enumerate(findings)]
    (apart,) = by_code(line(n, one, custom_id=f"c{n}") for n, one in enumerate(named))
    (together,) = by_code([line(7, *named)])
    assert apart.worst is not None
    assert together.worst is not None
    assert (apart.worst.message, apart.example) == (f"number {worst}", f"c{worst}")
    assert (together.worst.message, together.example) == (f"number {worst}", "row 7")


def test_only_the_findings_of_the_row_itself_count() -> None:
    quoted = {"findings": [finding()]}
    lines = [
        line(0, metadata=quoted),
        orjson.dumps({"row": 1, "output": {"text": orjson.dumps(quoted).decode()}, "metadata": quoted}),
    ]
    assert by_code(lines) == []
