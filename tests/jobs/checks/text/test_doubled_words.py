"""Doubled words: found in six languages, and let pass where a language or a name doubles them."""

import pytest

from tests.support.checking import findings_of, quoted


@pytest.mark.parametrize(
    ("language", "text", "doubled"),
    [
        ("en", "Water the the tomatoes in the morning.", "the the"),
        ("en", "Water The the tomatoes in the morning.", "The the"),
        ("de", "Wir gießen und und ernten.", "und und"),
        ("fr", "Il faut arroser les les tomates.", "les les"),
        ("ru", "Мы поливаем и и собираем.", "и и"),
        ("el", "Ποτίζουμε και και μαζεύουμε.", "και και"),
        ("en", "It's it's late.", "It's it's"),
    ],
)
def test_a_word_that_stands_twice_is_found(language: str, text: str, doubled: str) -> None:
    (finding,) = findings_of("doubled_word", "translation", {"target_language": language}, {"text": text})
    assert quoted(finding, {"text": text}) == doubled


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "She had had enough."),
        ("en", "Duran Duran play in Baden Baden."),
        ("fr", "Nous nous levons."),
        ("de", "Die Leute, die die Tomaten gießen."),
        ("id", "Anak-anak dan buku buku itu."),
        ("en", "One tomato. Tomato soup."),
        ("en", "10 10 10"),
        ("en", "the\nthe"),
        ("en", "bathe the cat"),
        ("en", "well-known known facts"),
    ],
)
def test_what_may_stand_twice_passes(language: str, text: str) -> None:
    assert not findings_of("doubled_word", "translation", {"target_language": language}, {"text": text})
