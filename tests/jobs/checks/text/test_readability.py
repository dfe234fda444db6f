"""Readability: the share of long sentences, and LIX."""

from typing import Any

import pytest

from tests.support.checking import findings_with

SHORT = "The soil is wet now. "


def sentence(words: int, word: str = "soil") -> str:
    return " ".join(["The", *[word] * (words - 1)]) + ". "


def measured(text: str, language: str = "en", **limits: Any) -> list[object]:
    row = {"topic": "Soil", "language": language}
    return [one.measured for one in findings_with("readability", "article", row, {"body_markdown": text}, **limits)]


@pytest.mark.parametrize(
    ("long", "short", "found"), [(1, 3, False), (2, 6, False), (3, 6, True), (2, 5, True), (8, 0, True)]
)
def test_at_most_a_quarter_of_the_sentences_is_long(long: int, short: int, found: bool) -> None:
    text = sentence(21) * long + SHORT * short
    assert measured(text) == ([round(100 * long / (long + short), 1)] if found else [])
    assert measured(text, percent=100) == []


@pytest.mark.parametrize(
    ("language", "most"),
    [("en", 20), ("de", 20), ("fr", 20), ("pl", 20), ("es", 25), ("it", 25), ("pt-BR", 25), ("ru", 15), ("tr", 15)],
)
def test_a_sentence_is_long_from_a_number_of_words_by_language(language: str, most: int) -> None:
    assert measured(sentence(most) * 6, language, lix=1_000) == []
    assert measured(sentence(most + 1) * 6, language, lix=1_000) == [100.0]


def test_a_japanese_sentence_is_long_from_forty_one_signs_on() -> None:
    assert measured(("水" * 40 + "。") * 6, "ja") == []
    assert measured(("水" * 41 + "。") * 6, "ja") == [100.0]


def test_a_text_of_few_sentences_is_not_judged() -> None:
    assert measured(sentence(40) * 4) == []
    assert measured(sentence(40) * 5) == [100.0]


@pytest.mark.parametrize(("language", "found"), [("en", [64.0]), ("de", [64.0]), ("fi", []), ("ru", []), ("hu", [])])
def test_the_lix_is_judged_where_it_can_be_compared(language: str, found: list[float]) -> None:
    text = "The soil vegetable vegetable vegetable soil soil soil soil vegetable. " * 6  # 10 words, 4 of them long: 50
    assert measured(text, language) == []
    assert measured(text, language, lix=50) == []
    assert measured(text, language, lix=49.9) == ([50.0] if found else [])


def test_headings_and_tables_are_no_sentences() -> None:
    long = " ".join(["word"] * 30)
    assert measured(f"## {long}\n\n" * 9 + SHORT * 5) == []
    assert measured(f"| {long} | {long} |\n" * 9 + SHORT * 5) == []


def test_the_finding_is_a_note_at_the_longest_sentence() -> None:
    text = sentence(21) * 4 + sentence(30) + sentence(21)
    row = {"topic": "Soil", "language": "en"}
    (finding,) = findings_with("readability", "article", row, {"body_markdown": text})
    assert finding.severity == "note"
    assert finding.where is not None
    assert text[finding.where.start : finding.where.end] == sentence(30).strip()


@pytest.mark.parametrize("sign", ["a", "a ", ". ", "a. ", "字", "\n"])
def test_a_text_of_one_sign_takes_little_time(sign: str) -> None:
    measured((sign * 100_000)[:100_000])
