"""Words in many scripts, and function words."""

# ruff: noqa: RUF001 - words of other scripts

import pytest

from jobs.writing.words import words as module
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
        ("I ❤️ you ✅", 2),
        ("e\u0301te\u0301", 1),
        ("", 0),
    ],
)
def test_words_are_counted(text: str, count: int) -> None:
    assert len(words(text)) == count


def test_the_faster_pattern_finds_the_same_words_beside_every_sign() -> None:
    """The faster pattern is used for a text without a sign that it would read otherwise, whatever stands beside the sign."""
    latin = [sign for sign in map(chr, range(0x110000)) if not module._OTHER_THAN_LATIN.search(sign)]
    assert len(latin) > 1_000
    for sign in latin:
        text = f"{sign} a{sign}b 1{sign} {sign}c '{sign} d-{sign}{sign}e"
        assert module._LATIN_WORD.findall(text) == module._WORD.findall(text), hex(ord(sign))


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
