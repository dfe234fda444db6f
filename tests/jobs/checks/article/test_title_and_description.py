"""The lengths of a title and a description: at each limit, one beyond, in wide scripts, and in pixels."""

# ruff: noqa: RUF001 - words of other scripts

from typing import Any

import pytest

from jobs.findings import Severity
from tests.jobs.checks.article.articles import found

YOAST_TITLE = {"least": 0, "most": 1_000, "most_pixels": 600}
YOAST_DESCRIPTION = {"least": 120, "most": 156}


@pytest.mark.parametrize(
    ("title", "limits", "measured"),
    [
        ("t" * 50, {}, None),
        ("t" * 60, {}, None),
        ("t" * 49, {}, 49),
        ("t" * 61, {}, 61),
        ("", {}, 0),
        ("  " + "t" * 50 + "  ", {}, None),
        ("é" * 60, {}, None),
        ("e\u0301" * 60, {}, None),  # counted as a reader sees them
        ("e\u0301" * 61, {}, 61),
        ("п" * 55, {}, None),
        ("α" * 61, {}, 61),
        ("ب" * 50, {}, None),
        ("字" * 25, {}, None),  # as wide as two letters
        ("字" * 30, {}, None),
        ("字" * 24, {}, 48),
        ("字" * 31, {}, 62),
        ("हि" * 50, {}, None),
        ("h" * 30, {"least": 30, "most": 30}, None),
        ("h" * 31, {"least": 30, "most": 30}, 31),
        ("W" * 31, YOAST_TITLE, None),
        ("W" * 32, YOAST_TITLE, 604),
        ("W" * 31, YOAST_TITLE | {"most_pixels": 585}, None),
        ("W" * 31, YOAST_TITLE | {"most_pixels": 584}, 585),
        ("i" * 135, YOAST_TITLE, None),
        ("i" * 136, YOAST_TITLE, 604),
        ("t" * 100_000, {}, 100_000),
    ],
)
def test_the_title_is_in_its_range(title: str, limits: dict[str, Any], measured: int | None) -> None:
    findings = found("seo_title", "Body.", title=title, limits=limits)
    assert [one.measured for one in findings] == ([] if measured is None else [measured])
    assert all(one.where and one.where.field == "title" and one.severity is Severity.REVIEW for one in findings)


@pytest.mark.parametrize(
    ("description", "limits", "measured"),
    [
        ("d" * 140, {}, None),
        ("d" * 160, {}, None),
        ("d" * 139, {}, 139),
        ("d" * 161, {}, 161),
        ("д" * 150, {}, None),
        ("字" * 75, {}, None),
        ("字" * 81, {}, 162),
        ("d" * 120, YOAST_DESCRIPTION, None),
        ("d" * 156, YOAST_DESCRIPTION, None),
        ("d" * 119, YOAST_DESCRIPTION, 119),
        ("d" * 157, YOAST_DESCRIPTION, 157),
    ],
)
def test_the_description_is_in_its_range(description: str, limits: dict[str, Any], measured: int | None) -> None:
    findings = found("meta_description", "Body.", description=description, limits=limits)
    assert [one.measured for one in findings] == ([] if measured is None else [measured])
    assert all(one.where and one.where.field == "meta_description" for one in findings)


def test_the_limit_of_a_finding_is_the_one_that_is_passed() -> None:
    assert [one.limit for one in found("seo_title", "B.", title="t" * 49)] == [50]
    assert [one.limit for one in found("seo_title", "B.", title="t" * 61)] == [60]
