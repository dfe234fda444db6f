"""Shows jobs/languages/likeness.py: whether two tags name one language."""

import pytest

from jobs.languages.likeness import same_language


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
