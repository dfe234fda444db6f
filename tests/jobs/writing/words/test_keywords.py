"""Keywords and their forms: how often each occurs in a text."""

# ruff: noqa: RUF001 - words of other scripts

import pytest

from jobs.writing.words.keywords import Reader, folded, same_word


@pytest.mark.parametrize(
    ("language", "keyword", "text", "count"),
    [
        ("en", "tomato", "Tomatoes, tomato’s, TOMATO; automaton.", 3),
        ("en", "city garden", "City gardens. A garden in cities. A city.", 2),
        ("en", "city garden", "City, city, city: garden garden.", 2),
        ("en", "low-cost", "Low-cost, low cost, lowcost and low.", 3),
        ("en", "#tomato", "Tomatoes.", 1),
        ("en", "C#", "C# and C.", 1),
        ("en", ".NET", "On .NET and the net.", 1),
        ("en", "24/7", "Open 24/7, or 24 hours on 7 days.", 1),
        ("en", "R&D", "R&D, not R and D.", 1),
        ("en", "the", "The end.", 1),
        ("en", "🍅", "🍅🍅", 2),
        ("zh", "番茄", "番茄和番茄汁。", 2),
        ("ja", "Python 入門", "Pythonの入門。Python。入門。", 1),
        ("ar", "الطماطم", "الطماطم وطماطم بالطماطم", 3),
        ("tr", "ışık", "IŞIK ve ışıklar", 2),
        ("de", "Straße", "STRASSE und Straßen", 2),
        ("en", "", "Text.", 0),
    ],
)
def test_keywords_are_counted(language: str, keyword: str, text: str, count: int) -> None:
    assert Reader([keyword], language).counts(text) == [count]


def test_many_keywords_are_counted_at_once() -> None:
    assert Reader(["pot", "soil", "red pot", "sun"], "en").counts("Red pots of soil. Soil.") == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("one", "other", "language", "same"),
    [
        ("plan", "planning", "en", True),
        ("care", "caring", "en", True),
        ("care", "cars", "en", False),
        ("car", "card", "en", False),
        ("city", "cit", "en", False),
        ("bake", "baked", "en", True),
        ("be", "bees", "en", False),
        ("alma", "almaval", "hu", True),
        ("abcd", "abcdefg", "xx", True),
        ("abcd", "abcdefgh", "xx", False),
        ("abc", "abcd", "xx", False),
    ],
)
def test_forms_of_a_word(one: str, other: str, language: str, same: bool) -> None:
    assert same_word(one, other, language) is same
    assert same_word(other, one, language) is same


def test_folding() -> None:
    assert folded("Été Straße ﬁn Ё") == "ete strasse fin е"
