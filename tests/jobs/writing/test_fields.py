"""Shows jobs/writing/fields.py: text, text on one line, and language tags."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from jobs.writing.fields import LanguageTag, Line, Text, language_name


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
        "EN-gb",
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
        "german",
        "de_DE",
        "de-",
        "-de",
        "de--AT",
        "de DE",
        "de-DE\n",
        "de-u",
        "de-x",
        "deutsch",
        "дe",
        "de-" + "x" * 40,
    ],
)
def test_no_language_tag(tag: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(LanguageTag).validate_python(tag)


def test_the_message_shows_what_a_tag_looks_like() -> None:
    with pytest.raises(ValidationError, match="'de_DE' is not a language tag of BCP 47, such as de, pt-BR or zh-Hant"):
        TypeAdapter(LanguageTag).validate_python("de_DE")


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
    ("tag", "name"),
    [
        ("de", "German"),
        ("DE", "German"),
        ("pt-BR", "Portuguese (pt-BR)"),
        ("tlh", "tlh"),
        ("zh-Hant", "Chinese (zh-Hant)"),
    ],
)
def test_a_language_is_named_for_a_model(tag: str, name: str) -> None:
    assert language_name(tag) == name
