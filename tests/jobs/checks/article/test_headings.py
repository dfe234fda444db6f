"""Headings: their levels, repeated ones, sections that are too long, and lines that only look like headings."""

import pytest

from jobs.findings import Severity
from tests.jobs.checks.article.articles import found, marked, words_of


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ("## Soil\n\nText.\n\n### Sand\n\nText.\n\n## Sun\n\nText.", []),
        ("# Title\n\n## Soil\n\n### Sand\n\n## Sun", []),
        ("Text.\n\n## Soil\n\nText.", []),
        ("No heading at all.", []),
        ("# One\n\n## A\n\n# Two\n\n## B", ["# Two"]),
        ("One\n===\n\nTwo\n===\n", ["Two\n==="]),
        ("### Sand\n\nText.", ["### Sand"]),
        ("## Soil\n\n#### Sand", ["#### Sand"]),
        ("## Soil\n\n### Sand\n\n##### Fine", ["##### Fine"]),
        ("### A\n\n## B", ["### A"]),
        ("## Soil\n\nText.\n\n## Sun\n\nText.\n\n## Soil\n\nText.", ["## Soil"]),
        ("## Soil\n\nText.\n\n## **soil**:\n\nText.", ["## **soil**:"]),
        ("## Почва\n\nText.\n\n## ПОЧВА\n\nText.", ["## ПОЧВА"]),
        ("## Έδαφος\n\n## Έδαφος", ["## Έδαφος"]),
        ("## 土\n\n## 土。", ["## 土。"]),
        ("## تربة\n\n## تربة؟", ["## تربة؟"]),
        ("## मिट्टी\n\n## मिट्टी।", ["## मिट्टी।"]),
        ("## Cake\n\n### Ingredients\n\n## Bread\n\n### Ingredients", []),  # each recipe has such a heading of its own
        ("## C++\n\n## C#\n\n## C", []),
        ("## 1. Soil\n\n## 2. Soil", []),
        ("##\n\nText.", ["##"]),
        ("## Soil\n\n```\n# a comment\n# another\n```\n", []),
        ("## Soil\n\n~~~\n# a\n```\n# b\n~~~\n", []),
        ("## Soil\n\n    # code\n", []),
        ("## Soil\n\n````\n#### a\n```\n#### b\n````\n", []),
        ("> # Quoted\n> # Again\n", []),
        ("- # In a list\n- # Again\n", []),
        ("- item\n  # In a list\n  # In a list\n", []),
        ("Text\n- item\n---\n\nText\n> quote\n---\n", []),
        ("> quote\n#### Sand\n", ["#### Sand"]),
        ("<div>\n#### In HTML\n</div>\n\n#### Sand", ["#### Sand"]),
        ("#tag is no heading\n\n#tag\n", []),
        ("####### seven\n", []),
        ("## Soil\r\n\r\nText.\r\n\r\n#### Sand\r\n", ["#### Sand"]),
        ("Text\n\n---\n\nText\n\n---\n", []),  # rules
        ("- item\n---\n\n- item\n---\n", []),
        ("| a | b |\n| --- | --- |\n| c | d |\n", []),
        ("Soil\n---\n\nText.\n\nSoil\n---\n", ["Soil\n---"]),
        ("## Soil ##\n\n## Soil\n", ["## Soil"]),
    ],
)
def test_the_structure(body: str, places: list[str]) -> None:
    findings = found("headings", body)
    assert marked(findings, body) == places
    assert all(one.severity is Severity.FAIL for one in findings)


def test_headings_of_other_sections_may_be_refused_too() -> None:
    body = "## Cake\n\n### Ingredients\n\n## Bread\n\n### Ingredients"
    assert len(found("headings", body, limits={"twice_anywhere": True})) == 1


@pytest.mark.parametrize(
    ("body", "measured"),
    [
        ("## A\n\n" + words_of(300), None),
        ("## A\n\n" + words_of(301), 301),
        (words_of(301) + "\n\n## A\n\nText.", 301),
        ("## A\n\n" + words_of(200) + "\n\n### B\n\n" + words_of(200), None),
        ("## 土\n\n" + "字" * 600, None),
        ("## 土\n\n" + "字" * 601, 601),
        ("## A\n\n    " + words_of(400) + "\n\nText.", None),
        ("## A\n\n```\n" + words_of(400) + "\n```\n\nText.", None),
    ],
)
def test_a_long_section_is_for_review(body: str, measured: int | None) -> None:
    findings = found("headings", body)
    assert [one.measured for one in findings] == ([] if measured is None else [measured])
    assert all(one.severity is Severity.REVIEW for one in findings)


@pytest.mark.parametrize(
    "body", ["#\n" * 3_000, "# a\n" * 3_000, "a\n=\n" * 3_000, "#" * 50_000, "# " * 20_000, "`" * 50_000]
)
def test_hostile_texts_are_read(body: str) -> None:
    assert len(found("headings", body)) <= 20
