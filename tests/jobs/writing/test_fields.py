"""Shows jobs/writing/fields.py: text, text on one line, and language tags."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from jobs.languages.families import codes_of
from jobs.languages.names import language_name
from jobs.writing.fields import LanguageTag, Line, Text


@pytest.mark.parametrize(
    "tag",
    [
        "de",
        "nds",
        "pt-BR",
        "es-419",
        "zh-Hant",
        "zh-Hant-TW",
        "zh-cmn-Hans-CN",
        "sl-rozaj-biske",
        "de-CH-1996",
        "en-x-us",
        "en-GB",
        "en-a-GB-x-DE".lower(),
        "de-DE-u-co-phonebk",
    ],
)
def test_a_well_formed_tag(tag: str) -> None:
    assert TypeAdapter(LanguageTag).validate_python(tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "d",
        "de-",
        "-de",
        "de--AT",
        "de-u",
        "de-x",
        "klingon",
        "German (Austria)",
        "дe",
        "de-" + "x" * 40,
    ],
)
def test_no_language_tag(tag: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(LanguageTag).validate_python(tag)


def test_the_message_shows_what_a_tag_looks_like() -> None:
    with pytest.raises(
        ValidationError, match="'klingon' is not a language tag of BCP 47, such as de, pt-BR or zh-Hant"
    ):
        TypeAdapter(LanguageTag).validate_python("Klingon")


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ("de_DE", "de-DE"),
        ("de DE", "de-DE"),
        ("de-DE\n", "de-DE"),
        (" EN ", "en"),
        ("PT_br", "pt-BR"),
        ("en_US.UTF-8", "en-US"),
        ("zh_hans_cn", "zh-Hans-CN"),
        ("ZH-HANT", "zh-Hant"),
        ("en-UK", "en-GB"),
        ("iw", "he"),
        ("in_ID", "id-ID"),
        ("German", "de"),
        ("norwegian bokmål", "nb"),
        ("Deutsch", "de"),
        ("FRANÇAIS", "fr"),
        ("日本語", "ja"),
        ("Tiếng Việt", "vi"),
        ("हिन्दी", "hi"),
        ("Chinese (Simplified)", "zh-Hans"),
        ("Portuguese - Brazil", "pt-BR"),
        ("brazilian portuguese", "pt-BR"),
        ("English (US)", "en-US"),
        ("German-AT", "de-AT"),
        ("en ( uk )", "en-GB"),
        ("DE-CH-1996", "de-CH-1996"),
    ],
)
def test_a_tag_that_is_written_in_another_way_is_understood(given: str, tag: str) -> None:
    assert TypeAdapter(LanguageTag).validate_python(given) == tag
    assert TypeAdapter(LanguageTag).validate_json(f'"{given.strip()}"', strict=True) == tag


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("jp", "ja"),
        ("CN", "zh"),
        ("cz", "cs"),
        ("us", "en"),
        ("at", "de"),
        ("mx-MX", "es"),
        ("ge", "ka"),
        ("Germn", "German"),
        ("portugese", "Portuguese"),
    ],
)
def test_a_tag_that_is_not_certain_is_answered_with_what_was_meant(given: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=f"did you mean {meant}\\?"):
        TypeAdapter(LanguageTag).validate_python(given)


@given(st.text(max_size=20))
def test_text_has_something_to_read_and_a_line_is_one(text: str) -> None:
    def taken(kind: Any) -> bool:
        try:
            TypeAdapter(kind).validate_python(text)
        except ValidationError:
            return False
        return True

    assert taken(Line) <= taken(Text) <= bool(text)
    assert not taken(Line) or not {"\r", "\n"} & set(text)


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_blank_text(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(text)


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\na", " "])
def test_no_line(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python(text)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("sp", "'sp' is no registered language: give a tag of BCP 47, such as de"),
        ("xx", "'xx' is no registered language"),
        ("xyx-DE", "'xyx' is no registered language"),
        ("tw", "'tw' is not certain: it is Twi, and mostly written for Taiwan: write twi, or zh-Hant"),
    ],
)
def test_a_language_that_the_registry_lacks_is_refused(given: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TypeAdapter(LanguageTag).validate_python(given)


@pytest.mark.parametrize("tag", ["quy", "twi", "eng", "qaa", "mni-Mtei", "en-EN", "tlh"])
def test_a_rare_language_is_taken(tag: str) -> None:
    assert TypeAdapter(LanguageTag).validate_python(tag) == tag


@given(
    st.lists(
        st.sampled_from(
            [
                "de",
                "zh",
                "sr",
                "Latn",
                "Hant",
                "BR",
                "419",
                "yue",
                "abc",
                "1996",
                "valencia",
                "u",
                "co",
                "phonebk",
                "x",
                "a",
                "t",
            ]
        ),
        max_size=6,
    )
)
def test_whatever_is_well_formed_has_a_name_and_is_looked_up(parts: list[str]) -> None:
    """Libraries that read tags raise errors of their own for some that the grammar allows."""
    try:
        tag = TypeAdapter(LanguageTag).validate_python("-".join(["en", *parts]))
    except ValidationError:
        return
    assert language_name(tag).startswith(("English", "American", "British", tag))
    assert codes_of("nllb").find(tag) in ("eng_Latn", None)
    assert len(codes_of("nllb").nearest(tag)) <= 3
