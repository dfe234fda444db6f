"""A heading that repeats the title or the heading before it is found, and can be removed."""

# ruff: noqa: RUF001 - words of other scripts

import pytest

from jobs.checks.article.heading_repeats_title import mended
from tests.jobs.checks.article.articles import found, marked


@pytest.mark.parametrize(
    ("title", "body", "places", "rest"),
    [
        ("Tomatoes", "# Tomatoes\n\nText.\n", ["# Tomatoes"], "Text.\n"),
        ("Tomatoes!", "## **tomatoes**\n\nText.\n", ["## **tomatoes**"], "Text.\n"),
        ("Помидоры", "## ПОМИДОРЫ\n\nТекст.\n", ["## ПОМИДОРЫ"], "Текст.\n"),
        ("番茄", "## 番茄。\n\n文。\n", ["## 番茄。"], "文。\n"),
        ("طماطم", "## طماطم:\n\nنص.\n", ["## طماطم:"], "نص.\n"),
        ("T", "## Soil\n\n### Soil\n\nText.\n", ["### Soil"], "## Soil\n\nText.\n"),
        ("T", "## Soil\n\nText.\n\n### soil:\n\nMore.\n", ["### soil:"], "## Soil\n\nText.\n\nMore.\n"),
        ("T", "# T\n\n## T\n\nText.\n", ["# T", "## T"], "Text.\n"),
        ("T", "Intro.\r\n\r\n## T\r\n\r\nText.\r\n", ["## T"], "Intro.\r\n\r\nText.\r\n"),
        ("T", "T\n=\n\nText.\n", ["T\n="], "Text.\n"),
        ("T", "## T", ["## T"], ""),
        ("Tomatoes", "## Tomatoes at home\n\nText.\n", [], None),
        ("Tomatoes", "## Soil\n\nText.\n\n## Tomatoes\n\nText.\n", [], None),  # a later heading may be the title
        ("T", "## Soil\n\nText.\n\n## Sun\n\nText.\n\n## Soil\n\nText.\n", [], None),  # the check `headings` finds it
        ("T", "```\n# T\n```\n", [], None),
        ("", "##\n\n##\n", [], None),
        ("", "", [], None),
    ],
)
def test_a_repeated_heading(title: str, body: str, places: list[str], rest: str | None) -> None:
    assert marked(found("heading_repeats_title", body, title=title), body) == places
    assert mended(title, body) == (body if rest is None else rest, places)


def test_a_mended_body_is_found_whole() -> None:
    body, _ = mended("T", "# T\n\n## A\n\n### A\n\nText.\n\n## B\n\n## B\n\nText.\n")
    assert body == "## A\n\nText.\n\n## B\n\nText.\n"
    assert not found("heading_repeats_title", body, title="T")


def test_a_heading_that_the_outline_asks_for_stays() -> None:
    body = "## Tomatoes\n\nText.\n"
    assert not found("heading_repeats_title", body, title="Tomatoes", outline=["Tomatoes"])
    assert mended("Tomatoes", body, ["Tomatoes"]) == (body, [])
