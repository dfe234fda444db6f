"""Shows jobs/commands/views/fitting.py: lines fit the terminal's columns, and texts that are to be copied are not broken."""

import pytest
from rich.cells import cell_len

from jobs.commands.views.fitting import fitted, joined, kept_together

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("line", "width", "parts"),
    [
        pytest.param("", 10, [""], id="empty"),
        pytest.param("short", 10, ["short"], id="it fits"),
        pytest.param("  two words", 8, ["  two", "    words"], id="between words, with its indent"),
        pytest.param("cost 12,345,678.90 USD", 14, ["cost", "  12,345,678.90", "  USD"], id="a number stays whole"),
        pytest.param("see https://example.org/a/b", 12, ["see", "  https://example.org/a/b"], id="a link stays whole"),
        pytest.param("a-b-c-d-e-f a-b-c-d-e-f", 12, ["a-b-c-d-e-f", "  a-b-c-d-e-f"], id="hyphens are no break"),
        pytest.param("日本語日本語日本語", 10, ["日本語日本", "  語日本語"], id="Japanese, between characters"),
        pytest.param("日本語日本。語", 10, ["日本語日", "  本。語"], id="a full stop begins no line"),
        pytest.param("한국어 문장", 7, ["한국어", "  문장"], id="Korean"),
        pytest.param("abc日本 night-5f2c81", 8, ["abc日本", "  night-5f2c81"], id="an id after Chinese stays whole"),
        pytest.param(FAMILY * 2, 3, [FAMILY, f"  {FAMILY}"], id="a joined picture stays whole"),
        pytest.param("e\u0301" * 6, 4, ["e\u0301" * 6], id="accents of their own break no word"),
        pytest.param(f"failed 1, {kept_together('2 not_json')}", 12, ["failed 1,", "  2 not_json"], id="kept together"),
        pytest.param("a\tb", 80, ["a       b"], id="a tab"),
    ],
)
def test_a_line_is_broken_where_it_can_be_read(line: str, width: int, parts: list[str]) -> None:
    assert fitted(line, width) == parts


@pytest.mark.parametrize("width", [1, 2, 20, 60, 80])
def test_nothing_is_lost_and_what_can_fit_fits(width: int) -> None:
    line = "    prompt: 夜の記事を書いてください、 12,345,678 tokens für 「お茶」 and night-5f2c81-0123456789ab  end"
    parts = fitted(line, width)
    assert "".join("".join(parts).split()) == "".join(line.split())
    longest = max(cell_len(word) for word in line.split() if word.isascii()) + 6
    assert max(map(cell_len, parts)) <= max(width, longest)


def test_pairs_are_broken_between_two_and_not_within_one() -> None:
    assert list(joined(["rows 3,256,950", "charge USD 12.50", "by history"], 24)) == [
        "  rows 3,256,950",
        "  charge USD 12.50",
        "  by history",
    ]
    assert list(joined(["rows 3", "by history"], 24)) == ["  rows 3  by history"]


@pytest.mark.parametrize("text", ["x", "日", "a ", "\U0001f1e9\U0001f1ea", "\u0301", "\u200d"])
def test_a_hostile_text_takes_little_time(text: str) -> None:
    """An algorithm of quadratic time would take minutes for it."""
    assert fitted(text * 50_000, 80)
