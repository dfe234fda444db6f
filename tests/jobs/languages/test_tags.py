"""Shows jobs/languages/tags.py: whether two tags name one language, and whether the registry has a language."""

import pytest

from jobs.languages.tags import is_registered, language_of_country, same_language


@pytest.mark.parametrize(
    ("tag", "other"),
    [
        ("en", "en-US"),
        ("en-GB", "en-US"),
        ("eng", "en"),
        ("ger", "de"),
        ("nb", "no"),
        ("nob", "nor"),
        ("zh", "zh-TW"),
        ("zh-Hant", "zh-HK"),
        ("cmn", "zh"),
        ("tl", "fil"),
        ("arb", "ar"),
        ("pt-BR", "pt-PT"),
        ("sr", "sr-Latn"),
        ("iw", "heb"),
    ],
)
def test_one_language(tag: str, other: str) -> None:
    assert same_language(tag, other)
    assert same_language(other, tag)


@pytest.mark.parametrize(
    ("tag", "other"),
    [
        ("en", "de"),
        ("zh-TW", "zh-Hans"),
        ("sr-Latn", "sr-Cyrl"),
        ("nn", "no"),
        ("nn", "nb"),
        ("arz", "ar"),
        ("eng", "deu"),
    ],
)
def test_two_languages(tag: str, other: str) -> None:
    assert not same_language(tag, other)
    assert not same_language(other, tag)


@pytest.mark.parametrize(
    ("language", "is_known"), [("de", True), ("quy", True), ("eng", True), ("qaa", True), ("xx", False), ("ge", False)]
)
def test_the_registry_of_languages(language: str, is_known: bool) -> None:
    assert is_registered(language) is is_known


@pytest.mark.parametrize(
    ("country", "language"),
    [("at", "de"), ("CN", "zh"), ("mx", "es"), ("xk", "sq"), ("xx", None), ("sp", None), ("e", None)],
)
def test_the_language_of_a_country(country: str, language: str | None) -> None:
    assert language_of_country(country) == language
