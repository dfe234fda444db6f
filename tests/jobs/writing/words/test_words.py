"""Words in many scripts, and function words."""

# ruff: noqa: RUF001 - words of other scripts

import pytest

from jobs.writing.words.function_words import is_function_word
from jobs.writing.words.words import is_unspaced, words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("We don't water well-known pots.", 5),
        ("L’eau n'est pas", 3),
        ("पानी दें", 2),
        ("番茄 and 水", 4),
        ("トマト", 3),
        ("Bal\u00adkon", 1),
        ("کتاب\u200cها", 1),
        ("3.5 kg", 3),
        ("- * — …", 0),
        ("", 0),
    ],
)
def test_words_are_counted(text: str, count: int) -> None:
    assert len(words(text)) == count


@pytest.mark.parametrize(
    ("text", "unspaced"), [("番茄", True), ("มะเขือเทศ", True), ("tomato 番茄", False), ("помидор", False), ("", False)]
)
def test_a_script_without_spaces(text: str, unspaced: bool) -> None:
    assert is_unspaced(text) is unspaced


@pytest.mark.parametrize(
    ("word", "language", "joins"),
    [
        ("the", "en", True),
        ("The", "en-GB", True),
        ("tomato", "en", False),
        ("und", "de", True),
        ("и", "ru", True),
        ("και", "el", True),
        ("في", "ar", True),
        ("का", "hi", True),
        ("l'", "fr", True),
        ("og", "no", True),
        ("the", "xx", False),
        ("the", None, False),
    ],
)
def test_function_words(word: str, language: str | None, joins: bool) -> None:
    assert is_function_word(word, language) is joins
